"""Small profiles for tests: differentials, with the snapshots that the server makes of them."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from fhirserver.fhir.profiles.built_in import BuiltInStructures
from fhirserver.fhir.profiles.snapshots import with_snapshot
from fhirserver.fhir.validation.profiles.checker import Lookup

Json = dict[str, Any]
URL = "http://example.org/StructureDefinition/"
R4 = "http://hl7.org/fhir/StructureDefinition/"
_of_r4 = lru_cache(BuiltInStructures.load().structure)


def element(id: str, **rules: Any) -> Json:
    """An ElementDefinition; `Observation.category:lab` is the slice `lab` of `Observation.category`."""
    slice_name = id.rpartition(".")[2].partition(":")[2]
    named = {"sliceName": slice_name} if slice_name else {}
    return {"id": id, "path": re.sub(r":[^.]+", "", id), **named, **rules}


def by(*discriminators: str, rules: str = "open", **others: Any) -> Json:
    """A slicing by discriminators such as `value:coding.code`."""
    found = [text.partition(":") for text in discriminators]
    return {"discriminator": [{"type": kind, "path": path} for kind, _, path in found], "rules": rules, **others}


def profile(name: str, type_code: str, *elements: Json, **others: Any) -> Json:
    """A profile of an R4 type, without its snapshot."""
    return {
        "resourceType": "StructureDefinition",
        "url": URL + name,
        "name": name,
        "status": "active",
        "kind": "resource",
        "abstract": False,
        "type": type_code,
        "baseDefinition": R4 + type_code,
        "derivation": "constraint",
        "differential": {"element": list(elements)},
        **others,
    }


def extension(name: str, *elements: Json, context: Sequence[str] = ("Element",)) -> Json:
    """The definition of an extension that may be in these elements."""
    places = [{"type": "element", "expression": expression} for expression in context]
    url = element("Extension.url", fixedUri=URL + name)
    return profile(name, "Extension", url, *elements, context=places, kind="complex-type")


def lookup(*structures: Json) -> Lookup:
    """Knows these and R4's own."""
    by_url = {structure["url"]: structure for structure in structures}

    def find(url: str) -> Json | None:
        address = url.partition("|")[0]
        return by_url.get(address) or _of_r4(url)

    def find_with_snapshot(url: str) -> Json | None:
        found = find(url)
        return with_snapshot(found, find) if found is not None else None

    return find_with_snapshot
