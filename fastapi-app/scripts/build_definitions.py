"""Turn HL7's package hl7.fhir.r4.core 4.0.1 into the data file that ships with the server.

    python scripts/build_definitions.py [hl7.fhir.r4.core-4.0.1.tar.xz [r4.zip]]

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
SYSTEM = "http://hl7.org/fhirpath/System."
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
        "types": {name: [type_["kind"], type_["abstract"], type_["base"]] for name, type_ in sorted(types.items())}
    }
    members["compartments.json"] = [
        _compartment(definition)
        for definition in package["CompartmentDefinition"]
        if definition["url"].startswith(FHIR) and definition["id"] != "example"
    ]
    members["operations.json"] = [
        without(definition, "text", "contact", "publisher", "meta")
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
    path, types = element["path"], element.get("type", [])
    if element["max"] not in ("0", "1", "*"):
        raise ValueError(f"unexpected cardinality of {path}")
    result: Json = {"path": path, "min": element["min"], "max": element["max"]}
    if "contentReference" in element:
        result["content"] = element["contentReference"].removeprefix("#")
    if types and types[0]["code"].startswith(SYSTEM):
        result["plain"] = True
        result["types"] = [{"code": _system_type(type_name, element)}]
        regex = _extension(types[0], STRUCTURE + "regex")
        if regex:
            result["regex"] = regex["valueString"]
    else:
        result["types"] = [_element_type(type_) for type_ in types]
    if "valueSet" in element.get("binding", {}):
        result["binding"] = [element["binding"]["strength"], _canonical(element["binding"]["valueSet"])]
    own = [_constraint_place(constraint, constraints) for constraint in element.get("constraint", ())]
    if own:
        result["constraints"] = own
    for flag, source in (("summary", "isSummary"), ("modifier", "isModifier")):
        if element.get(source):
            result[flag] = True
    return result


def _system_type(type_name: str, element: Json) -> str:
    """The FHIR type of an element that R4 gives a FHIRPath system type: a bare value."""
    origin = element["base"]["path"]
    if origin == "Resource.id":
        # R4 says string, but its own text and schema say id.
        return "id"
    if origin == "Element.id":
        return "string"
    if element["path"] == type_name + ".value":
        return type_name
    extension = _extension(element["type"][0], STRUCTURE + "structuredefinition-fhir-type")
    if extension is None:
        raise ValueError(f"unknown type of {element['path']}")
    return str(extension["valueUrl"])


def _element_type(type_: Json) -> Json:
    result: Json = {"code": type_["code"]}
    if "targetProfile" in type_:
        result["targets"] = [_last(url) for url in type_["targetProfile"]]
    if "profile" in type_:
        result["profiles"] = type_["profile"]
    return result


def _constraint_place(constraint: Json, constraints: list[Json]) -> int:
    kept: Json = {key: constraint[key] for key in ("key", "severity", "human", "expression") if key in constraint}
    if kept not in constraints:
        constraints.append(kept)
    return constraints.index(kept)


def _search_parameters(parameters: list[Json], resource_types: set[str]) -> dict[str, list[Json]]:
    """The parameters of each type, abstract types included, by code."""
    result: dict[str, list[Json]] = {name: [] for name in resource_types}
    for parameter in parameters:
        # What has no standards status is an example or belongs to an extension, not to R4's core.
        if _extension(parameter, STRUCTURE + "structuredefinition-standards-status") is None:
            continue
        _correct_search_parameter(parameter)
        for base in parameter["base"]:
            result[base].append(_search_parameter(parameter, base, resource_types))
    for listed in result.values():
        listed.sort(key=lambda parameter: str(parameter["code"]))
    return result


def _correct_search_parameter(parameter: Json) -> None:
    """Errors of R4 4.0.1."""
    if parameter["id"] == "DocumentReference-relationship":
        # The expressions of the two components are swapped.
        first, second = parameter["component"]
        first["expression"], second["expression"] = second["expression"], first["expression"]
    elif parameter["id"] == "clinical-patient":
        # A parameter for patients, of which the expression selects only these.
        parameter["target"].remove("Group")
    elif parameter["id"] == "Observation-code-value-date":
        # FHIR's type is dateTime; DateTime is FHIRPath's.
        for component in parameter["component"]:
            component["expression"] = component["expression"].replace("as(DateTime)", "as(dateTime)")


def _search_parameter(parameter: Json, base: str, resource_types: set[str]) -> Json:
    result: Json = {key: parameter[key] for key in ("code", "type", "url")}
    if "expression" in parameter:
        result["expression"] = trim_expression(parameter["expression"], base, resource_types)
    for key in ("target", "comparator", "modifier", "multipleOr", "multipleAnd"):
        if key in parameter:
            result[key] = parameter[key]
    if "component" in parameter:
        result["component"] = [[part["definition"], part["expression"]] for part in parameter["component"]]
    result["description"] = _description(parameter["description"], base)
    return result


def trim_expression(expression: str, base: str, resource_types: set[str]) -> str:
    """The alternatives of a union that concern one type; those without a type in front get it."""
    kept = []
    for alternative in _alternatives(expression):
        first = re.match(r"\(*\s*([A-Za-z]+)", alternative)
        if first is None:
            raise ValueError(f"cannot read {expression!r}")
        if first[1] in (base, "Resource", "DomainResource"):
            kept.append(alternative)
        elif first[1] not in resource_types:
            kept.append(f"{alternative[: first.start(1)]}{base}.{alternative[first.start(1) :]}")
    if not kept:
        raise ValueError(f"nothing for {base} in {expression!r}")
    return " | ".join(kept)


def _alternatives(expression: str) -> list[str]:
    """The operands of the outermost `|` operators."""
    parts, depth, quoted = [""], 0, False
    for character in expression:
        if character == "'":
            quoted = not quoted
        elif not quoted:
            depth += (character == "(") - (character == ")")
            if character == "|" and depth == 0:
                parts.append("")
                continue
        parts[-1] += character
    return [part.strip() for part in parts]


def _description(text: str, base: str) -> str:
    """R4 describes a parameter of several types as a list with one line for each."""
    for line in text.splitlines():
        match = re.match(r"\* \[(\w+)\]\([^)]*\): (.*)", line)
        if match and match[1] == base:
            return match[2].strip()
    return text.strip()


def _compartment(definition: Json) -> Json:
    return {
        "code": definition["code"],
        "url": definition["url"],
        "params": {part["code"]: part["param"] for part in definition["resource"] if part.get("param")},
    }


def _value_sets(urls: list[str], value_sets: list[Json], code_systems: list[Json]) -> Json:
    """Which codes of which systems are in each value set; null for those that cannot be listed."""
    by_url = {value_set["url"]: value_set for value_set in value_sets}
    systems = {system["url"]: system for system in code_systems if system["content"] == "complete"}
    return {url: _expand(by_url[url], systems) if url in by_url else None for url in urls}


def _expand(value_set: Json, systems: dict[str, Json]) -> Json | None:
    codes: dict[str, set[str]] = {}
    compose = value_set["compose"]
    for include in compose["include"]:
        if "filter" in include or "valueSet" in include or "exclude" in compose:
            raise ValueError(f"{value_set['url']} needs more than lists of codes")
        system = include["system"]
        if "concept" in include:
            found = {concept["code"] for concept in include["concept"]}
        elif system in systems:
            found = set(_codes(systems[system].get("concept", ())))
        else:
            return None
        codes.setdefault(system, set()).update(found)
    return {system: sorted(found) for system, found in sorted(codes.items())}


def _codes(concepts: Iterable[Json]) -> Iterator[str]:
    for concept in concepts:
        yield concept["code"]
        yield from _codes(concept.get("concept", ()))


def _extension(element: Json, url: str) -> Json | None:
    return next((found for found in element.get("extension", ()) if found["url"] == url), None)


def _canonical(url: str) -> str:
    return url.split("|")[0]


def _last(url: str) -> str:
    return url.rsplit("/", 1)[-1]


def without(resource: Json, *keys: str) -> Json:
    return {key: value for key, value in resource.items() if key not in keys}


def main() -> None:
    """Build the data file from the package named on the command line, or from the one in ../shared."""
    source = Path(sys.argv[1]) if len(sys.argv) > 1 else SOURCE
    target = Path(sys.argv[2]) if len(sys.argv) > 2 else TARGET
    write(build(read_package(source)), target)
    print(f"{target.name}: {target.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
