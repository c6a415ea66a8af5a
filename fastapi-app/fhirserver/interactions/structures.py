"""Profiles and extensions that were posted: from what is stored to what the server checks resources against.

https://hl7.org/fhir/R4/structuredefinition.html. The codes of value sets that they demand are listed ahead, as far as
these sets are small: the check can't wait. What is in others is asked of terminology at its end (decisions/0018).
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import replace
from typing import Protocol

from fhirserver.fhir.outcomes import FhirError
from fhirserver.fhir.profiles.built_in import BuiltInStructures
from fhirserver.fhir.profiles.structures import Packed, Structures, pack
from fhirserver.fhir.terminology import BuiltIn
from fhirserver.fhir.terminology.listed import ListedSets
from fhirserver.interactions.context import Server
from fhirserver.interactions.terminology import Terminology

_TYPE = "StructureDefinition"
_AT_ONCE = 20
_MOST_CODES = 2_000
_SECONDS = 2.0
# What a value set that was stored unchecked leads to.
_MALFORMED = (AttributeError, KeyError, TypeError, ValueError)


class Contents(Protocol):
    """Where resources are stored."""

    async def versions(self, resource_type: str) -> Mapping[str, int]:
        """The versions of all stored resources of a type, by id."""
        ...

    async def contents(self, resource_type: str, ids: Sequence[str]) -> Mapping[str, tuple[int, bytes]]:
        """Version and content of the resources with these ids, as far as they are there."""
        ...


class StoredStructures:
    """Follows StructureDefinition resources, and what their value sets are made of.

    StructureDefinitions that did not change are not read again. `forget` is called before value sets are listed.
    """

    resource_types = (_TYPE, "ValueSet", "CodeSystem")

    def __init__(
        self,
        built_in: BuiltInStructures,
        codes: BuiltIn,
        store: Contents,
        forget: Callable[[Iterable[str]], None],
    ):
        self._built_in = built_in
        self._codes = codes
        self._store = store
        self._forget = forget
        self._known: dict[str, tuple[int, Packed | None]] = {}

    async def apply(self, server: Server) -> Server:
        """The server with the profiles that are stored now."""
        versions = await self._store.versions(_TYPE)
        known = {id: found for id, found in self._known.items() if versions.get(id) == found[0]}
        missing = list(versions.keys() - known.keys())
        for start in range(0, len(missing), _AT_ONCE):
            found = await self._store.contents(_TYPE, missing[start : start + _AT_ONCE])
            for id, (version, content) in found.items():
                known[id] = version, pack(content)
                await asyncio.sleep(0)
        self._known = known
        packed = [found for _, found in known.values() if found is not None]
        structures = Structures(self._built_in, packed)
        listed = await self._listed(server.terminology, {url for found in packed for url in found.required})
        validator = server.validator.with_structures(structures.structure, listed.contains)
        return replace(server, structures=structures, validator=validator)

    async def _listed(self, terminology: Terminology, value_sets: Iterable[str]) -> ListedSets:
        """These value sets, without those of R4, and those that are large, not known, or not told in time."""
        self._forget(self.resource_types)
        found: dict[str, Mapping[str, AbstractSet[str]]] = {}
        with suppress(TimeoutError):
            async with asyncio.timeout(_SECONDS):
                for url in sorted(value_sets):
                    if self._codes.value_set(url) is None:
                        with suppress(FhirError, *_MALFORMED):
                            found[url] = await terminology.codes(url, _MOST_CODES)
        return ListedSets(self._codes, found)
