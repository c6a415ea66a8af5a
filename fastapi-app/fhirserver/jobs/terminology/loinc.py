"""LOINC: the table of a release, with its hierarchy, answer lists and translations where they are there.

https://loinc.org/kb/ and https://hl7.org/fhir/R4/loinc.html
"""

import re
from collections.abc import Iterator

from fhirserver.fhir.terminology.concepts import Concept, Json
from fhirserver.fhir.terminology.implicit import LOINC
from fhirserver.jobs.terminology.release import CodeSystemRelease, Options, Release, ReleaseError

TABLE = r"Loinc\.csv"
_HIERARCHY = r"(?:ComponentHierarchyBySystem|MultiAxialHierarchy)\.csv"
_ANSWERS = r"AnswerList\.csv"
_VARIANT = r"([a-z]{2})([A-Z]{2})\d*LinguisticVariant\.csv"

_PROPERTIES = (
    "STATUS",
    "COMPONENT",
    "PROPERTY",
    "TIME_ASPCT",
    "SYSTEM",
    "SCALE_TYP",
    "METHOD_TYP",
    "CLASS",
    "CLASSTYPE",
    "ORDER_OBS",
    "CONSUMER_NAME",
)
_NOTICE = (
    "This material contains content from LOINC (http://loinc.org). LOINC is copyright © Regenstrief Institute, Inc. "
    "and the Logical Observation Identifiers Names and Codes (LOINC) Committee and is available at no cost under the "
    "license at http://loinc.org/license."
)


def is_loinc(release: Release) -> bool:
    """Whether this is a release of LOINC."""
    return bool(release.find(TABLE))


def read(release: Release, options: Options) -> CodeSystemRelease:
    """The terms, the parts above them in the hierarchy, answer lists and answers."""
    version = options.version or _version(release)
    header: Json = {
        "resourceType": "CodeSystem",
        "url": LOINC,
        "version": version,
        "name": "LOINC",
        "title": "LOINC",
        "status": "active",
        "copyright": _NOTICE,
        "caseSensitive": True,
        "valueSet": LOINC + "/vs",
        "hierarchyMeaning": "is-a",
        "compositional": False,
        "content": "not-present",
    }
    return CodeSystemRelease(header, _concepts(release, options))


def _version(release: Release) -> str:
    for text in (release.path.name, *release.names):
        found = re.search(r"(?i:loinc)[_-]?v?(\d\.\d\d)(?!\d)", text)
        if found is not None:
            return found[1]
    raise ReleaseError("no name of a file or folder says which version of LOINC this is: say the version")


def _concepts(release: Release, options: Options) -> Iterator[Concept]:
    parents: dict[str, dict[str, None]] = {}
    groups: dict[str, str] = {}
    for name in release.find(_HIERARCHY):
        for row in release.rows(name, "IMMEDIATE_PARENT", "CODE", "CODE_TEXT"):
            above = parents.setdefault(row["CODE"], {})
            if row["IMMEDIATE_PARENT"]:
                above[row["IMMEDIATE_PARENT"]] = None
            groups.setdefault(row["CODE"], row["CODE_TEXT"])
    translations = _translations(release, options)
    seen = set()
    for name in release.find(TABLE):
        for row in release.rows(name, "LOINC_NUM", "LONG_COMMON_NAME", "STATUS", "SHORTNAME"):
            seen.add(row["LOINC_NUM"])
            yield _term(row, list(parents.get(row["LOINC_NUM"], ())), translations.get(row["LOINC_NUM"], []))
    for code, display in groups.items():
        if code not in seen:
            seen.add(code)
            yield Concept(code, display, parents=list(parents[code]))
    yield from _answers(release, seen)


def _term(row: dict[str, str], parents: list[str], translations: list[Json]) -> Concept:
    use = {"system": LOINC, "code": "SHORTNAME"}
    short = [{"language": "en", "use": use, "value": row["SHORTNAME"]}] if row["SHORTNAME"] else []
    return Concept(
        row["LOINC_NUM"],
        row["LONG_COMMON_NAME"] or row["SHORTNAME"] or None,
        row.get("DefinitionDescription") or None,
        [*short, *translations],
        [{"code": name, "valueString": row[name]} for name in _PROPERTIES if row.get(name)],
        parents,
        row["STATUS"] == "DEPRECATED",
    )


def _translations(release: Release, options: Options) -> dict[str, list[Json]]:
    """Names in the languages that are wanted (`es`, `es-MX`), by code."""
    found: dict[str, list[Json]] = {}
    for name in release.find(_VARIANT):
        match = re.match(_VARIANT, name.rpartition("/")[2])
        tag = f"{match[1]}-{match[2]}" if match is not None else ""
        if tag in options.languages or tag.partition("-")[0] in set(options.languages) - {"en"}:
            for row in release.rows(name, "LOINC_NUM", "LONG_COMMON_NAME"):
                text = row.get("LinguisticVariantDisplayName") or row["LONG_COMMON_NAME"]
                if text:
                    found.setdefault(row["LOINC_NUM"], []).append({"language": tag, "value": text})
    return found


def _answers(release: Release, seen: set[str]) -> Iterator[Concept]:
    lists: dict[str, str] = {}
    answers: dict[str, tuple[str, dict[str, None]]] = {}
    for name in release.find(_ANSWERS):
        for row in release.rows(name, "AnswerListId", "AnswerListName", "AnswerStringId", "DisplayText"):
            lists.setdefault(row["AnswerListId"], row["AnswerListName"])
            if row["AnswerStringId"]:
                answers.setdefault(row["AnswerStringId"], (row["DisplayText"], {}))[1][row["AnswerListId"]] = None
    for code, display in lists.items():
        if code not in seen:
            yield Concept(code, display)
    for code, (display, within) in answers.items():
        if code not in seen:
            yield Concept(code, display, properties=[{"code": "LIST", "valueCode": own} for own in within])
