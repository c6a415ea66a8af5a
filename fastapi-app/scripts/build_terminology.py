"""Turn HL7's packages into the data file of R4's own code systems, value sets and concept maps.

    python scripts/build_terminology.py [R4-CORE.tar.xz R4-EXPANSIONS.tgz [terminology.zip]]

Writes fhirserver/fhir/definitions/terminology.zip. Its members are lists of resources, some dozens in each;
`index.json` says where each canonical URL is. The same input gives the same bytes.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from build_definitions import HERE, SOURCE, Json, read_package, write

EXPANSIONS = HERE.parents[2] / "shared" / "packages" / "hl7.fhir.r4.expansions-4.0.1.tgz"
TARGET = HERE.parent / "fhirserver" / "fhir" / "definitions" / "terminology.zip"

TYPES = ("CodeSystem", "ValueSet", "ConceptMap")
MEMBER_SIZE = 60_000
# What says nothing about the codes.
LEFT_OUT = {
    "id", "text", "meta", "contact", "publisher", "identifier", "extension", "useContext", "jurisdiction", "language",
    "description", "purpose",
}  # fmt: skip
# Code systems that HL7 has no resource for, but all codes of in its expansions. Those that grow are fragments.
FROM_EXPANSIONS = {
    "urn:iso:std:iso:4217": ("ISO 4217 currencies", "complete"),
    "http://hl7.org/fhir/sid/cvx": ("CVX vaccines", "fragment"),
    "urn:oid:1.2.36.1.2001.1005.17": ("Australian immunisation register vaccines", "fragment"),
    "http://ihe.net/fhir/ValueSet/IHE.FormatCode.codesystem": ("IHE format codes", "fragment"),
}


def build(core: dict[str, list[Json]], expansions: dict[str, list[Json]]) -> dict[str, Json | list[Json]]:
    """The members of the data file, by name, without the manifest."""
    resources = {name: [_slim(resource) for resource in core[name]] for name in TYPES}
    # Some, SNOMED CT among them, are there by name only.
    resources["CodeSystem"] = [resource for resource in resources["CodeSystem"] if "concept" in resource]
    resources["CodeSystem"] += _from_expansions(expansions["ValueSet"])
    members: dict[str, Json | list[Json]] = {}
    index: Json = {}
    for name, listed in resources.items():
        index[name] = {}
        for number, group in enumerate(_groups(sorted(listed, key=_order))):
            member = f"{name}/{number:02}.json"
            members[member] = group
            for place, resource in enumerate(group):
                index[name].setdefault(resource["url"], []).append([resource.get("version"), member, place])
    index["maps"] = {resource["url"]: _map_systems(resource) for resource in resources["ConceptMap"]}
    members["index.json"] = index
    return members


def _map_systems(concept_map: Json) -> Json:
    """From which code systems a map is, and to which."""
    return {
        side: sorted({group[side] for group in concept_map.get("group", ()) if side in group})
        for side in ("source", "target")
    }


def _order(resource: Json) -> tuple[str, str]:
    return resource["url"], resource.get("version", "")


def _groups(resources: list[Json]) -> Iterator[list[Json]]:
    group: list[Json] = []
    size = 0
    for resource in resources:
        group.append(resource)
        size += len(str(resource))
        if size > MEMBER_SIZE:
            yield group
            group, size = [], 0
    if group:
        yield group


def _slim(resource: Json) -> Json:
    """The resource without what R4 does not need to tell its codes, and without extensions."""
    slim = {name: _without_extensions(value) for name, value in resource.items() if name not in LEFT_OUT}
    if resource["url"].endswith("/all-time-units"):
        # The canonical unit of time is the second, not the year.
        slim["compose"]["include"][0]["filter"][0]["value"] = "s"
    url, bar, version = resource["url"].partition("|")
    # Three tables of HL7 v2 have the version of a canonical in their URL.
    return slim | {"url": url, "version": version} if bar else slim


def _without_extensions(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: _without_extensions(part)
            for name, part in value.items()
            if name != "extension" and not name.startswith("_")
        }
    if isinstance(value, list):
        return [_without_extensions(part) for part in value]
    return value


def _from_expansions(value_sets: list[Json]) -> Iterator[Json]:
    codes: dict[str, dict[str, str]] = {url: {} for url in FROM_EXPANSIONS}
    for value_set in value_sets:
        for concept in value_set["expansion"].get("contains", ()):
            if concept.get("system") in codes:
                codes[concept["system"]].setdefault(concept["code"], concept["display"])
    for url, (name, content) in FROM_EXPANSIONS.items():
        yield {
            "resourceType": "CodeSystem",
            "url": url,
            "name": name,
            "status": "active",
            "caseSensitive": True,
            "content": content,
            "concept": [{"code": code, "display": display} for code, display in sorted(codes[url].items())],
        }


def main() -> None:
    """Build the data file from the packages named on the command line, or from those in ../shared."""
    core, expansions = (Path(sys.argv[1]), Path(sys.argv[2])) if len(sys.argv) > 2 else (SOURCE, EXPANSIONS)
    target = Path(sys.argv[3]) if len(sys.argv) > 3 else TARGET
    write(build(read_package(core), read_package(expansions)), target)
    print(f"{target.name}: {target.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
