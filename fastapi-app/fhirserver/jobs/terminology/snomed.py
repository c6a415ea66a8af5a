"""SNOMED CT, RF2: the snapshot of an edition.

https://confluence.ihtsdotools.org/display/DOCRELFMT and https://hl7.org/fhir/R4/snomedct.html
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from fhirserver.fhir.terminology.concepts import Concept, Json
from fhirserver.fhir.terminology.implicit import SNOMED
from fhirserver.jobs.terminology.release import CodeSystemRelease, Options, Release, ReleaseError

CONCEPTS = r"x?sct2_Concept_\w*Snapshot_\w+\.txt"
_DESCRIPTIONS = r"x?sct2_Description_\w*Snapshot[\w-]*\.txt"
_DEFINITIONS = r"x?sct2_TextDefinition_\w*Snapshot[\w-]*\.txt"
_RELATIONSHIPS = r"x?sct2_Relationship_\w*Snapshot_\w+\.txt"
_LANGUAGES = r"x?der2_cRefset_\w*Language\w*Snapshot[\w-]*\.txt"
_SIMPLE_REFSETS = r"x?der2_Refset_\w*Simple\w*Snapshot[\w-]*\.txt"
_MODULES = r"x?der2_ssRefset_ModuleDependency\w*Snapshot[\w-]*\.txt"

_IS_A = "116680003"
_FULLY_SPECIFIED = "900000000000003001"
_SYNONYM = "900000000000013009"
_PREFERRED = "900000000000548007"
_DEFINED = "900000000000073002"
_INTERNATIONAL = "900000000000207008"
_USES = {_FULLY_SPECIFIED: "Fully specified name", _SYNONYM: "Synonym"}


def is_snomed(release: Release) -> bool:
    """Whether this is an RF2 release."""
    return bool(release.find(CONCEPTS))


def read(release: Release, options: Options) -> CodeSystemRelease:
    """The concepts, inactive ones too, with their active descriptions, relationships and simple reference sets."""
    files = release.find(CONCEPTS)
    header: Json = {
        "resourceType": "CodeSystem",
        "url": SNOMED,
        "version": options.version or _version(release, files),
        "name": "SNOMED_CT",
        "title": "SNOMED CT",
        "status": "active",
        "caseSensitive": True,
        "valueSet": SNOMED + "?fhir_vs",
        "hierarchyMeaning": "is-a",
        "compositional": True,
        "content": "not-present",
    }
    return CodeSystemRelease(header, _concepts(release, files, options))


def _version(release: Release, files: list[str]) -> str:
    """https://hl7.org/fhir/R4/snomedct.html#versions: the module of the edition and the date of the release."""
    date = re.search(r"_(\d{8})(?:T\w+)?\.txt$", files[0])
    if date is None:
        raise ReleaseError(f"{files[0]} has no date in its name: say the version")
    sources, targets = set(), set()
    for row in _rows(release, _MODULES, "moduleId", "referencedComponentId"):
        sources.add(row["moduleId"])
        targets.add(row["referencedComponentId"])
    modules = sources - targets or {_INTERNATIONAL}
    if len(modules) > 1:
        raise ReleaseError(f"the edition may be any of {', '.join(sorted(modules))}: say the version")
    return f"{SNOMED}/{modules.pop()}/version/{date[1]}"


@dataclass(slots=True)
class _About:
    """What the other files say of a concept."""

    descriptions: list[tuple[str, str, bool, str]]
    parents: list[str]
    properties: list[Json]
    definition: str | None = None


def _concepts(release: Release, files: list[str], options: Options) -> Iterator[Concept]:
    about = _descriptions(release)
    for row in _rows(release, _DEFINITIONS, "conceptId", "term"):
        if row["conceptId"] in about:
            about[row["conceptId"]].definition = row["term"]
    for row in _rows(release, _RELATIONSHIPS, "sourceId", "destinationId", "typeId"):
        found = about.get(row["sourceId"])
        if found is not None:
            if row["typeId"] == _IS_A:
                found.parents.append(row["destinationId"])
            else:
                found.properties.append({"code": row["typeId"], "valueCode": row["destinationId"]})
    for row in _rows(release, _SIMPLE_REFSETS, "refsetId", "referencedComponentId"):
        found = about.get(row["referencedComponentId"])
        if found is not None:
            found.properties.append({"code": "memberOf", "valueCode": row["refsetId"]})
    nothing = _About([], [], [])
    for name in files:
        for row in release.rows(name, "id", "active", "definitionStatusId", "moduleId", delimiter="\t"):
            yield _concept(row, about.pop(row["id"], nothing), options)


def _descriptions(release: Release) -> dict[str, _About]:
    """All active descriptions, by concept: language, kind, whether it is preferred, text."""
    preferred = {
        int(row["referencedComponentId"])
        for row in _rows(release, _LANGUAGES, "referencedComponentId", "acceptabilityId")
        if row["acceptabilityId"] == _PREFERRED
    }
    about: dict[str, _About] = {}
    for row in _rows(release, _DESCRIPTIONS, "id", "conceptId", "languageCode", "typeId", "term"):
        found = about.setdefault(row["conceptId"], _About([], [], []))
        found.descriptions.append((row["languageCode"], row["typeId"], int(row["id"]) in preferred, row["term"]))
    return about


def _concept(row: dict[str, str], about: _About, options: Options) -> Concept:
    def order(description: tuple[str, str, bool, str]) -> tuple[int, bool, bool]:
        language, kind, is_preferred, _ = description
        place = options.languages.index(language) if language in options.languages else len(options.languages)
        return place, kind != _SYNONYM, not is_preferred

    descriptions = sorted(about.descriptions, key=order)
    inactive = row["active"] != "1"
    return Concept(
        row["id"],
        descriptions[0][3] if descriptions else None,
        about.definition,
        [_designation(language, kind, term) for language, kind, _, term in descriptions],
        [
            {"code": "inactive", "valueBoolean": inactive},
            {"code": "sufficientlyDefined", "valueBoolean": row["definitionStatusId"] == _DEFINED},
            {"code": "moduleId", "valueCode": row["moduleId"]},
            *about.properties,
        ],
        list(dict.fromkeys(about.parents)),
        inactive,
    )


def _designation(language: str, kind: str, term: str) -> Json:
    use = {"system": SNOMED, "code": kind, "display": _USES.get(kind, kind)}
    return {"language": language, "use": use, "value": term}


def _rows(release: Release, pattern: str, *columns: str) -> Iterator[dict[str, str]]:
    """The active rows of all files with such a name."""
    for name in release.find(pattern):
        for row in release.rows(name, "active", *columns, delimiter="\t"):
            if row["active"] == "1":
                yield row
