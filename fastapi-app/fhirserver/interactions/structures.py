"""Profiles and extensions that were posted: from what is stored to what the server checks resources against.

https://hl7.org/fhir/R4/structuredefinition.html
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from fhirserver.fhir.profiles.built_in import BuiltInStructures
from fhirserver.fhir.profiles.structures import Packed, Structures, pack
from fhirserver.interactions.context import Server

_TYPE = "StructureDefinition"
_AT_ONCE = 20


class Contents(Protocol):
    """Where resources are stored."""

    async def versions(self, resource_type: str) -> Mapping[str, int]:
        """The versions of all stored resources of a type, by id."""
        ...

    async def contents(self, resource_type: str, ids: Sequence[str]) -> Mapping[str, tuple[int, bytes]]:
        """Version and content of the resources with these ids, as far as they are there."""
        ...


class StoredStructures:
    """Follows StructureDefinition resources; what did not change is not read again."""

    resource_types = (_TYPE,)

    def __init__(self, built_in: BuiltInStructures, store: Contents):
        self._built_in = built_in
        self._store = store
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
        return replace(server, structures=Structures(self._built_in, packed))
