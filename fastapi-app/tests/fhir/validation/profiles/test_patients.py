"""Patients of Synthea and of US Core's reference server against US Core, each resource by itself.

What does not conform stands here, with the reason. `pytest -s` prints the table.
"""

import gzip
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from fhirserver.fhir.resource_json import parse
from fhirserver.fhir.validation.report import Context
from fhirserver.fhir.validation.validator import Validator

from .packages import Package

Json = dict[str, Any]
US_CORE = "http://hl7.org/fhir/us/core/StructureDefinition/"
VITAL_SIGNS = "http://hl7.org/fhir/StructureDefinition/vitalsigns"
IN_TRANSACTION = Context(conditional=True)
BUNDLES = 5  # of each set of Synthea's
# By profile: how many do not conform, what is said of the first, and the reason.
SYNTHEA = {
    "us-core-careplan": (
        17, "CarePlan.category: category for slice AssessPlan is missing", "Synthea's category is SNOMED CT's alone",
    ),
    "us-core-condition": (46, "Condition: category is missing", "Synthea of 2019 gives none"),
    "us-core-patient": (
        1,
        "Patient.extension[0].extension[0].valueCoding: valueCoding must have a code of"
        " http://hl7.org/fhir/us/core/ValueSet/omb-race-category, not urn:oid:2.16.840.1.113883.6.238|2135-2",
        "Hispanic is an ethnicity, not a race",
    ),
}  # fmt: skip
REFERENCE_SERVER = {
    "bp": (1, "Observation.effectivePeriod.stop: stop is not an element of Period", "it is called end"),
    "vitalsigns": (1, "Observation.effectivePeriod.stop: stop is not an element of Period", "the same observation"),
    "us-core-patient": (
        1,
        "Patient.extension[0].valueCoding: valueCoding must be of type code",
        "us-core-sex has a code",
    ),
}


def _synthea(folder: Path) -> Iterator[Json]:
    for name in ("fhir-data-pipes-synthea-hiv-2021", "smart-on-fhir-2019"):
        for path in sorted((folder / name).rglob("*.json.gz"))[:BUNDLES]:
            for entry in parse(gzip.decompress(path.read_bytes()))["entry"]:
                yield entry["resource"]


def _reference_server(folder: Path) -> Iterator[Json]:
    for path in sorted(folder.rglob("uscore_bundle*.json")):
        for entry in parse(path.read_bytes())["entry"]:
            yield entry["resource"]


def _table(validator: Validator, resources: Iterator[Json], asked: Callable[[Json], list[str]]) -> dict[str, Any]:
    conforming, wrong, reasons = Counter[str](), Counter[str](), dict[str, str]()
    for resource in resources:
        urls = asked(resource)
        report = validator.inspect(resource, context=IN_TRANSACTION, profiles=urls)
        unknown = {url for url, _ in report.unknown_profiles}
        errors = [issue for issue in report.issues if issue.is_error]
        for url in urls:
            if url in unknown:
                continue
            (wrong if errors else conforming)[url] += 1
            if errors:
                reasons.setdefault(url, f"{errors[0].expression[0]}: {errors[0].diagnostics}")
    for url in sorted(conforming.keys() | wrong.keys()):
        print(f"{url.rpartition('/')[2]} | {conforming[url]} conform | {wrong[url]} do not | {reasons.get(url, '')}")
    print(f"{conforming.total()} of {conforming.total() + wrong.total()} conform")
    return {url.rpartition("/")[2]: (wrong[url], reasons[url].partition(" (http")[0]) for url in sorted(wrong)}


def test_synthea(knowing: Callable[..., Validator], package: Callable[[str], Package], shared: Path) -> None:
    """They claim US Core 3.1.1, or nothing: asked for is the profile of their type, if there is one only."""
    content = package("US Core 3.1.1")
    by_type: dict[str, list[str]] = {}
    for url, structure in content.structures.items():
        if structure["kind"] == "resource":
            by_type.setdefault(structure["type"], []).append(url)

    def asked(resource: Json) -> list[str]:
        categories = {coding["code"] for item in resource.get("category", ()) if isinstance(item, dict)
                      for coding in item.get("coding", ())}  # fmt: skip
        if resource["resourceType"] == "Observation":
            kinds = {"laboratory": US_CORE + "us-core-observation-lab", "vital-signs": VITAL_SIGNS}
            return [url for code, url in kinds.items() if code in categories]
        urls = by_type.get(resource["resourceType"], [])
        return urls if len(urls) == 1 else []

    found = _table(knowing("US Core 3.1.1"), _synthea(shared / "synthea" / "dev"), asked)
    assert found == {name: (count, said) for name, (count, said, _) in SYNTHEA.items()}


def test_reference_server(knowing: Callable[..., Validator], shared: Path) -> None:
    """They claim profiles of several versions of US Core, of which those of 6.1.0 and 7.0.0 are known."""
    resources = _reference_server(shared / "synthea" / "us-core")
    found = _table(
        knowing("US Core 6.1.0", "US Core 7.0.0"),
        resources,
        lambda resource: list(resource.get("meta", {}).get("profile", ())),
    )
    assert found == {name: (count, said) for name, (count, said, _) in REFERENCE_SERVER.items()}
