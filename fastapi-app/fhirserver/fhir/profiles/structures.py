"""The StructureDefinitions that a server knows: profiles and extensions that are stored on it, and R4's own.

They are kept packed, as there may be thousands, and unpacked when somebody asks for them.
"""

import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson

from fhirserver.fhir.datatypes.versions import order_of_version
from fhirserver.fhir.outcomes import InvalidResource
from fhirserver.fhir.profiles.built_in import BuiltInStructures
from fhirserver.fhir.profiles.element_tree import Json
from fhirserver.fhir.profiles.snapshots import with_snapshot
from fhirserver.fhir.resource_json import parse, serialize

FHIR_VERSION = "4.0.1"
_DECIMAL = re.compile(rb"[:,\[]\s*-?\d+[.eE]").search
_KEPT = 64
_PARTS = (
    "resourceType", "id", "extension", "url", "version", "name", "kind", "abstract", "context", "type",
    "baseDefinition", "derivation",
)  # fmt: skip
_FOR_READERS = frozenset(
    ("definition", "comment", "requirements", "alias", "mapping", "example", "code", "condition", "isModifierReason")
)


@dataclass(frozen=True, slots=True)
class Packed:
    """A profile or an extension that is stored: what it is known by, what it is about, and all that it demands.

    `required` are the value sets that it binds elements to with strength `required`.
    """

    url: str
    version: str | None
    type: str
    kind: str
    retired: bool
    required: frozenset[str]
    data: bytes


def pack(content: bytes) -> Packed | None:
    """A StructureDefinition as it is stored, for `Structures`; None if it is a type or a logical model."""
    structure = _parsed(content)
    url, type_name, kind = structure.get("url"), structure.get("type"), structure.get("kind")
    is_profile = structure.get("derivation") == "constraint" and kind != "logical"
    if not (is_profile and isinstance(url, str) and isinstance(type_name, str)):
        return None
    slim = {name: structure[name] for name in _PARTS if name in structure}
    part = "snapshot" if _elements(structure.get("snapshot")) else "differential"
    elements = _elements(structure.get(part))
    slim[part] = {"element": [_slim(element) for element in elements]}
    version = structure.get("version")
    return Packed(
        url,
        version if isinstance(version, str) else None,
        type_name,
        str(kind),
        structure.get("status") == "retired",
        frozenset(value_set for element in elements if (value_set := _required(element)) is not None),
        zlib.compress(serialize(slim)),
    )


class Structures:
    """Finds StructureDefinitions by their canonical URLs. Without a version it is the newest, a retired one last.

    R4's own types can't be replaced.
    """

    def __init__(self, built_in: BuiltInStructures, stored: Iterable[Packed] = ()):
        self._built_in = built_in
        self._stored: dict[str, list[Packed]] = {}
        for packed in stored:
            self._stored.setdefault(packed.url, []).append(packed)
        for listed in self._stored.values():
            listed.sort(key=lambda packed: (not packed.retired, order_of_version(packed.version)))
        self.structure = lru_cache(_KEPT)(self._structure)
        self._problems: dict[str, str] = {}

    def problem(self, url: str) -> str | None:
        """Why a structure that is known can't be used, after `structure` was asked for it."""
        return self._problems.get(url)

    def profiles(self) -> Mapping[str, list[str]]:
        """The URLs of the profiles that are stored, by the type of resource that they are for."""
        found: dict[str, list[str]] = {}
        for url, (*_, newest) in sorted(self._stored.items()):
            if newest.kind == "resource":
                found.setdefault(newest.type, []).append(url)
        return found

    def _structure(self, url: str) -> Json | None:
        """A StructureDefinition with its snapshot; None if it is not known, or can't be used (`problem`)."""
        found = self._found(url)
        if found is None:
            return None
        try:
            return with_snapshot(found, self._found)
        except InvalidResource as error:
            self._problems[url] = str(error)
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
            # It was stored unchecked.
            self._problems[url] = "it is no valid StructureDefinition"
        return None

    def _found(self, canonical: str) -> Json | None:
        """As it was stored, or as R4 has it."""
        url, _, version = canonical.partition("|")
        own = self._built_in.structure(canonical)
        if own is not None and own.get("derivation") != "constraint":
            return own
        listed = [packed for packed in self._stored.get(url, ()) if version in ("", packed.version)]
        if not listed or (own is not None and order_of_version(listed[-1].version) < order_of_version(FHIR_VERSION)):
            return own
        return _parsed(zlib.decompress(listed[-1].data))


def _parsed(content: bytes) -> Json:
    # Only decimals need the exact reader, which is many times slower.
    structure: Json = parse(content, max_depth=500) if _DECIMAL(content) else orjson.loads(content)
    return structure


def _elements(part: Any) -> list[Json]:
    listed = part.get("element") if isinstance(part, dict) else None
    return [element for element in listed if isinstance(element, dict)] if isinstance(listed, list) else []


def _slim(element: Json) -> Json:
    slim = {name: value for name, value in element.items() if name not in _FOR_READERS}
    constraints = slim.get("constraint")
    if isinstance(constraints, list):
        slim["constraint"] = [
            {name: value for name, value in item.items() if name != "xpath"} if isinstance(item, dict) else item
            for item in constraints
        ]
    return slim


def _required(element: Json) -> str | None:
    binding = element.get("binding")
    value_set = binding.get("valueSet") if isinstance(binding, dict) and binding.get("strength") == "required" else None
    return value_set if isinstance(value_set, str) else None
