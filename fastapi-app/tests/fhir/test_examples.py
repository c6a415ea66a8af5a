"""HL7's examples and Synthea's patients: all are read, valid, and written back to the letter."""

import csv
import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest

from fhirserver.fhir.resource_json import parse, serialize
from fhirserver.fhir.validation.report import Context
from fhirserver.fhir.validation.validator import Validator

from .exactness import exactly

NO_TEXT = "the narrative has neither text nor images (txt-2)"
OTHER_ID = "fullUrl ends with another id than the resource has"
NO_BASE_DEFINITION = "a logical model without a baseDefinition, though it is not abstract (sdf-4)"
NO_BASE = "SearchParameter.base is required in R4; the package leaves it out"
IN_TRANSACTION = Context(conditional=True)
# Files of the package that break R4's own rules: the place of the first issue, and why it is one.
WRONG = {
    "ActivityDefinition-blood-tubes-supply.json": ("ActivityDefinition.text.div", NO_TEXT),
    "ActivityDefinition-heart-valve-replacement.json": ("ActivityDefinition.text.div", NO_TEXT),
    "Bundle-10bb101f-a121-4264-a920-67be9cb82c74.json": ("Bundle.entry[2].fullUrl", OTHER_ID),
    "Bundle-3a0707d3-549e-4467-b8b8-5a2ab3800efe.json": ("Bundle.entry[3].fullUrl", OTHER_ID),
    "Bundle-dataelements.json": ("Bundle.entry[6769].fullUrl", "data elements of the Quantities are in it twice"),
    "Bundle-lri-example.json": ("Bundle.entry[1].fullUrl", OTHER_ID),
    "DeviceMetric-example.json": ("DeviceMetric.parent.reference", "parent is a Device, not a DeviceDefinition"),
    "DeviceUseStatement-example.json": (
        "DeviceUseStatement.reasonReference[0].reference", "a Procedure is no reason that R4 allows",
    ),
    "EventDefinition-example.json": ("EventDefinition.text.div", NO_TEXT),
    "ImplementationGuide-fhir.json": (
        "ImplementationGuide.manifest.resource[11904].reference.reference", "an id of 67 characters",
    ),
    "Library-zika-virus-intervention-logic.json": (
        "Library.dataRequirement[0].codeFilter[0].valueSet", "urn:oid:X.Y.Z is no OID",
    ),
    "MedicationRequest-medrx0301.json": (
        "MedicationRequest.dispenseRequest.performer.reference", "performer is an Organization, not a Practitioner",
    ),
    "Observation-clinical-gender.json": ("Observation.performer[0].reference", "an Encounter is no performer"),
    "PlanDefinition-example-cardiology-os.json": (
        "PlanDefinition.contained[11].item[0].answerValueSet", "two contained resources are missing",
    ),
    "ValueSet-example-hierarchical.json": ("ValueSet.compose.include[0].system", "#hacked is no absolute URI"),
    "Bundle-valuesets.json": (
        "Bundle.entry[499].resource.compose.include[0].system", "the same value set: #hacked is no absolute URI",
    ),
    "Questionnaire-qs1.json": ("Questionnaire.item[0].item[0]", "linkId is required in R4"),
    "Questionnaire-zika-virus-exposure-assessment.json": ("Questionnaire.text.div", NO_TEXT),
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
    "StructureDefinition-Definition.json": ("StructureDefinition", NO_BASE_DEFINITION),
    "StructureDefinition-Event.json": ("StructureDefinition", NO_BASE_DEFINITION),
    "StructureDefinition-FiveWs.json": ("StructureDefinition", NO_BASE_DEFINITION),
    "StructureDefinition-Request.json": ("StructureDefinition", NO_BASE_DEFINITION),
}  # fmt: skip


@pytest.mark.parametrize(("kind", "count"), [("instance", 713), ("core-definition", 4578), ("definition-bundle", 14)])
def test_hl7(validator: Validator, shared: Path, example_files: Path, kind: str, count: int) -> None:
    wrong = []
    with (shared / "fhir-r4" / "examples-index.csv").open(newline="") as index:
        names = [row["file"] for row in csv.DictReader(index) if row["kind"] == kind]
    assert len(names) == count
    for name in names:
        data = (example_files / name).read_bytes()
        resource = parse(data)
        assert exactly(serialize(resource)) == exactly(data), name
        places = [issue.expression[0] for issue in validator.validate(resource) if issue.is_error]
        if places[:1] != ([WRONG[name][0]] if name in WRONG else []):
            wrong.append((name, places[:3]))
    assert wrong == []


def test_synthea(validator: Validator, shared: Path) -> None:
    count = 0
    for name, data in synthea(shared):
        bundle = parse(data)
        assert validator.validate(bundle, context=IN_TRANSACTION) == [], name
        assert exactly(serialize(bundle)) == exactly(data), name
        count += len(bundle["entry"])
    assert count > 60_000


def synthea(shared: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted((shared / "synthea" / "dev").rglob("*.json.gz")):
        yield path.name, gzip.decompress(path.read_bytes())
