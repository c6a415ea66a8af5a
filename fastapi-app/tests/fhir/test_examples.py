"""HL7's examples and Synthea's patients: all are read, valid, and written back to the letter."""

import csv
import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest

from fhirserver.fhir.definitions import Definitions
from fhirserver.fhir.resource_json import parse, serialize
from fhirserver.fhir.validation.structure import Validator

from .exactness import exactly

NO_BASE = "SearchParameter.base is required in R4; the package leaves it out"
# Files of the package that break R4's own rules: the place of the first issue, and why it is one.
WRONG = {
    "ImplementationGuide-fhir.json": ("ImplementationGuide", "name and status are required in R4"),
    "Questionnaire-qs1.json": ("Questionnaire.item[0].item[0]", "linkId is required in R4"),
    "SearchParameter-questionnaireresponse-extensions-QuestionnaireResponse-item-subject.json": (
        "SearchParameter.id", "an id has at most 64 characters; this has 67",
    ),
    "SearchParameter-codesystem-extensions-CodeSystem-author.json": ("SearchParameter", NO_BASE),
    "SearchParameter-codesystem-extensions-CodeSystem-effective.json": ("SearchParameter", NO_BASE),
    "SearchParameter-codesystem-extensions-CodeSystem-end.json": ("SearchParameter", NO_BASE),
    "SearchParameter-codesystem-extensions-CodeSystem-keyword.json": ("SearchParameter", NO_BASE),
    "SearchParameter-codesystem-extensions-CodeSystem-workflow.json": ("SearchParameter", NO_BASE),
    "SearchParameter-valueset-extensions-ValueSet-author.json": ("SearchParameter", NO_BASE),
    "SearchParameter-valueset-extensions-ValueSet-effective.json": ("SearchParameter", NO_BASE),
    "SearchParameter-valueset-extensions-ValueSet-end.json": ("SearchParameter", NO_BASE),
    "SearchParameter-valueset-extensions-ValueSet-keyword.json": ("SearchParameter", NO_BASE),
    "SearchParameter-valueset-extensions-ValueSet-workflow.json": ("SearchParameter", NO_BASE),
}  # fmt: skip


@pytest.fixture(scope="module")
def validator(definitions: Definitions) -> Validator:
    return Validator(definitions)


@pytest.mark.parametrize(("kind", "count"), [("instance", 713), ("core-definition", 4578), ("definition-bundle", 14)])
def test_hl7(validator: Validator, shared: Path, example_files: Path, kind: str, count: int) -> None:
    with (shared / "fhir-r4" / "examples-index.csv").open(newline="") as index:
        names = [row["file"] for row in csv.DictReader(index) if row["kind"] == kind]
    assert len(names) == count
    for name in names:
        data = (example_files / name).read_bytes()
        resource = parse(data)
        assert exactly(serialize(resource)) == exactly(data), name
        places = [issue.expression[0] for issue in validator.validate(resource)]
        if name in WRONG:
            assert places[:1] == [WRONG[name][0]], name
        else:
            assert places == [], name


def test_synthea(validator: Validator, shared: Path) -> None:
    count = 0
    for name, data in synthea(shared):
        bundle = parse(data)
        assert validator.validate(bundle) == [], name
        assert exactly(serialize(bundle)) == exactly(data), name
        count += len(bundle["entry"])
    assert count > 60_000


def synthea(shared: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted((shared / "synthea" / "dev").rglob("*.json.gz")):
        yield path.name, gzip.decompress(path.read_bytes())
