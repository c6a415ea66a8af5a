"""Turn HL7's package hl7.fhir.r4.core 4.0.1 into the data file that ships with the server.

    python scripts/build_definitions.py [hl7.fhir.r4.core-4.0.1.tar.xz]

Writes fhirserver/fhir/definitions/r4.zip: one JSON member per type and per type's search parameters,
and members for the compartments, operations and value sets. `manifest.json` holds the SHA-256 of each.
The same input gives the same bytes. Errors in R4 itself are put right here, in `_correct_*`.
"""

import hashlib
import json
import re
import sys
import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

Json = dict[str, Any]

HERE = Path(__file__).resolve().parent
SOURCE = HERE.parents[2] / "shared" / "fhir-r4" / "hl7.fhir.r4.core-4.0.1.tar.xz"
TARGET = HERE.parent / "fhirserver" / "fhir" / "definitions" / "r4.zip"

FHIR = "http://hl7.org/fhir/"
STRUCTURE = FHIR + "StructureDefinition/"
KINDS = ("resource", "complex-type", "primitive-type")
EARLIEST = (1980, 1, 1, 0, 0, 0)


def read_package(path: Path) -> dict[str, list[Json]]:
    """All resources of an HL7 package, by resource type, sorted by id."""
    found: dict[str, list[Json]] = {}
    with tarfile.open(path) as archive:
        for member in archive:
            if not member.isfile() or not member.name.endswith(".json"):
                continue
            file = archive.extractfile(member)
            content = json.load(file) if file else {}
            if "resourceType" in content:
                found.setdefault(content["resourceType"], []).append(content)
    for resources in found.values():
        resources.sort(key=lambda resource: str(resource["id"]))
    return found


def build(package: dict[str, list[Json]]) -> dict[str, Json | list[Json]]:
    """The members of the data file, by name, without the manifest."""
    structures = [
        structure
        for structure in package["StructureDefinition"]
        if structure["kind"] in KINDS and structure.get("derivation") != "constraint"
    ]
    types = {structure["name"]: _type(structure) for structure in structures}
    resource_types = {name for name, type_ in types.items() if type_["kind"] == "resource"}
    members: dict[str, Json | list[Json]] = {f"types/{name}.json": type_ for name, type_ in types.items()}
    for name, parameters in _search_parameters(package["SearchParameter"], resource_types).items():
        members[f"search/{name}.json"] = parameters
    members["index.json"] = {
        "types": {name: [type_["kind"], type_["abstract"]] for name, type_ in sorted(types.items())}
    }
    members["compartments.json"] = [
        _compartment(definition)
        for definition in package["CompartmentDefinition"]
        if definition["url"].startswith(FHIR) and definition["id"] != "example"
    ]
    members["operations.json"] = [
        _without(definition, "text", "contact", "publisher", "meta")
        for definition in package["OperationDefinition"]
        if definition["url"].startswith(FHIR)
    ]
    required = {
        _canonical(element["binding"]["valueSet"])
        for structure in structures
        for element in structure["snapshot"]["element"]
        if element.get("binding", {}).get("strength") == "required"
    }
    members["value_sets.json"] = _value_sets(sorted(required), package["ValueSet"], package["CodeSystem"])
    return members


def write(members: dict[str, Json | list[Json]], target: Path) -> None:
    """Write the data file; its bytes depend on the members alone."""
    texts = {
        name: json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
        for name, content in members.items()
    }
    manifest = {
        "fhirVersion": "4.0.1",
        "members": {name: hashlib.sha256(text).hexdigest() for name, text in sorted(texts.items())},
    }
    texts["manifest.json"] = json.dumps(manifest, separators=(",", ":")).encode()
    with zipfile.ZipFile(target, "w") as archive:
        for name, text in sorted(texts.items()):
            entry = zipfile.ZipInfo(name, EARLIEST)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, text, compresslevel=9)


def _type(structure: Json) -> Json:
    first, *rest = structure["snapshot"]["element"]
    # Most elements repeat the same few invariants: these are kept once, and elements name their place.
    constraints: list[Json] = []
    elements = [_element(structure["name"], element, constraints) for element in rest]
    own = [_constraint_place(constraint, constraints) for constraint in first.get("constraint", ())]
    return {
        "name": structure["name"],
        "kind": structure["kind"],
        "base": _last(structure["baseDefinition"]) if "baseDefinition" in structure else None,
        "abstract": structure["abstract"],
        "url": structure["url"],
        "constraints": constraints,
        "own": own,
        "elements": elements,
    }


def _element(type_name: str, element: Json, constraints: list[Json]) -> Json:
    result: Json = {"path": element["path"], "min": element["min"], "max": element["max"]}
    if element["max"] not in ("0", "1", "*") or element["base"]["max"] not in (element["max"], "*"):
        raise ValueError(f"unexpected cardinality of {element['path']}")
    if "contentReference" in element:
        result["content"] = element["contentReference"].removeprefix("#")
    result["types"] = [_element_type(element["path"], type_) for type_ in element.get("type", ())]
    if any("fhirpath/System." in type_["code"] for type_ in element.get("type", ())):
        result["plain"] = True
        for extension in element["type"][0].get("extension", ()):
            if extension["url"] == STRUCTURE + "regex":
                result["regex"] = extension["valueString"]
    if "valueSet" in element.get("binding", {}):
        result["binding"] = [element["binding"]["strength"], _canonical(element["binding"]["valueSet"])]
    own = [_constraint_place(constraint, constraints) for constraint in element.get("constraint", ())]
    for key, content in (("constraints", own), ("summary", element.get("isSummary")),
                         ("modifier", element["isModifier"])):  # fmt: skip
        if content:
            result[key] = content
    return result


def _element_type(path: str, type_: Json) -> Json:
    code = type_["code"]
    if "fhirpath/System." in code:
        if path == "Resource.id" or path.count(".") == 1 and path.endswith(".id") and _is_resource_id(type_):
            code = "id"
        else:
            code = next(
                (
                    extension["valueUrl"]
                    for extension in type_.get("extension", ())
                    if extension["url"].endswith("structuredefinition-fhir-type")
                ),
                # The value of a primitive that R4 derives from another is told by its path alone.
                path.removesuffix(".value"),
            )
    result: Json = {"code": code}
    for key, source in (("targets", "targetProfile"), ("profiles", "profile")):
        if type_.get(source):
            result[key] = [_last(url) if key == "targets" else url for url in type_[source]]
    return result


def _constraint_place(constraint: Json, constraints: list[Json]) -> int:
    kept = {key: constraint[key] for key in ("key", "severity", "human", "expression") if key in constraint}
    if kept not in constraints:
        constraints.append(kept)
    return constraints.index(kept)
