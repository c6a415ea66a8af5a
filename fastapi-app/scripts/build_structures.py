"""Turn HL7's package hl7.fhir.r4.core 4.0.1 into the data file of R4's own StructureDefinitions.

    python scripts/build_structures.py [hl7.fhir.r4.core-4.0.1.tar.xz [structures.zip]]

Writes fhirserver/fhir/definitions/structures.zip: one member for each, with its snapshot, without what is for readers
only. `index.json` says of each canonical URL where it is, and the type that it is about. The same input gives the
same bytes.
"""

import sys
from pathlib import Path

from build_definitions import HERE, SOURCE, Json, read_package, without, write

TARGET = HERE.parent / "fhirserver" / "fhir" / "definitions" / "structures.zip"

KEPT = (
    "resourceType", "id", "url", "version", "name", "kind", "abstract", "context", "contextInvariant", "type",
    "baseDefinition", "derivation",
)  # fmt: skip
LEFT_OUT = {
    "definition", "comment", "requirements", "alias", "mapping", "example", "orderMeaning", "code", "condition",
    "meaningWhenMissing", "isModifierReason",
}  # fmt: skip


def build(structures: list[Json]) -> dict[str, Json | list[Json]]:
    """The members of the data file, by name, without the manifest."""
    members: dict[str, Json | list[Json]] = {}
    index: Json = {}
    for structure in structures:
        # R4 has a few profiles without a snapshot: the server makes it.
        part = "snapshot" if "snapshot" in structure else "differential"
        member = f"{structure['url'].rsplit('/', 1)[-1]}.json"
        if structure["kind"] == "logical" or member in members:
            raise ValueError(f"unexpected: {structure['url']}")
        slim: Json = {name: structure[name] for name in KEPT if name in structure}
        members[member] = slim | {part: {"element": [_slim(element) for element in structure[part]["element"]]}}
        index[structure["url"]] = [member, structure["type"], structure.get("derivation") == "constraint"]
    members["index.json"] = index
    return members


def _slim(element: Json) -> Json:
    slim = {name: value for name, value in element.items() if name not in LEFT_OUT}
    if "constraint" in slim:
        slim["constraint"] = [without(constraint, "xpath", "source") for constraint in slim["constraint"]]
    return slim


def main() -> None:
    """Build the data file from the package named on the command line, or from the one in ../shared."""
    source = Path(sys.argv[1]) if len(sys.argv) > 1 else SOURCE
    target = Path(sys.argv[2]) if len(sys.argv) > 2 else TARGET
    structures = [item for item in read_package(source)["StructureDefinition"] if item["kind"] != "logical"]
    write(build(structures), target)
    print(f"{target.name}: {target.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
