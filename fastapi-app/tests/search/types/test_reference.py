"""Facts about references. https://hl7.org/fhir/R4/search.html#reference"""

from typing import Any

import pytest

from fhirserver.fhir.outcomes import InvalidRequest
from fhirserver.search.keys import ParameterKeys, self_key

from ..evaluate import BASE_URL, Searcher


def about(**subject: Any) -> dict[str, Any]:
    return {"resourceType": "Observation", "subject": subject}


def measured(canonical: str) -> dict[str, Any]:
    return {"resourceType": "MeasureReport", "measure": canonical}


LOCAL = about(reference="Patient/1")
FOREIGN = about(reference="http://else.where/fhir/Patient/1")
UUID = "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"


@pytest.mark.parametrize(
    ("resource", "query", "found", "reason"),
    [
        # [type]/[id]
        (LOCAL, "subject=Patient/1", True, "type and id"),
        (LOCAL, "subject=Patient/2", False, "another id"),
        (LOCAL, "subject=Group/1", False, "another type"),
        (LOCAL, "subject=patient/1", None, "types have case: this is neither an id nor a reference"),
        (LOCAL, "subject=Patient/3,Patient/1", True, "one of them"),
        # [id]: "a resource of any of the types"
        (LOCAL, "subject=1", True, "any type"),
        (LOCAL, "subject=2", False, "another id"),
        (about(reference="Group/1"), "subject=1", True, "any type"),
        (about(reference="Group/1"), "patient=1", False, "the expression wants a Patient"),
        (LOCAL, "patient=1", True, "the expression wants a Patient"),
        (LOCAL, "patient=Patient/1", True, "the expression wants a Patient"),
        # [url]
        (LOCAL, f"subject={BASE_URL}/Patient/1", True, "R4: relative references match the absolute URL of this server"),
        (about(reference=f"{BASE_URL}/Patient/1"), "subject=Patient/1", True, "and the other way round"),
        (about(reference=f"{BASE_URL}/Patient/1"), "subject=1", True, "and the other way round"),
        (FOREIGN, "subject=http://else.where/fhir/Patient/1", True, "a resource of another server"),
        (FOREIGN, "subject=Patient/1", False, "is none of this"),
        (FOREIGN, "patient=http://else.where/fhir/Patient/1", True, "the URL tells its type"),
        (about(reference=UUID), f"subject={UUID}", True, "a URN"),
        # versions: "R4: the search doesn't consider the version"
        (about(reference="Patient/1/_history/5"), "subject=Patient/1", True, "of the resource"),
        (about(reference="Patient/1/_history/5"), "subject=1", True, "of the resource"),
        (about(reference=f"{FOREIGN['subject']['reference']}/_history/5"),
         "subject=http://else.where/fhir/Patient/1", True, "of another server"),
        (FOREIGN, "subject=http://else.where/fhir/Patient/1/_history/5", True, "of the query"),
        # :[type]
        (LOCAL, "subject:Patient=1", True, "an id of that type"),
        (LOCAL, "subject:Group=1", False, "of another type"),
        (LOCAL, "subject:Patient=Patient/1", True, "said twice"),
        (FOREIGN, "subject:Patient=http://else.where/fhir/Patient/1", True, "a URL"),
        # :identifier
        (about(identifier={"system": "http://s", "value": "V"}), "subject:identifier=http://s|V", True, "both"),
        (about(identifier={"system": "http://s", "value": "V"}), "subject:identifier=V", True, "value alone"),
        (about(identifier={"system": "http://s", "value": "V"}), "subject:identifier=http://t|V", False, "another"),
        (about(identifier={"value": "V"}), "subject:identifier=|V", True, "no system"),
        (LOCAL, "subject:identifier=1", False, "not the identifiers of the target"),
        (about(identifier={"value": "V"}), "subject=V", False, "not the id"),
        # :missing
        (about(display="someone"), "subject:missing=false", True, "a value, if it leads nowhere"),
        ({"resourceType": "Observation"}, "subject:missing=true", True, "no value"),
        # contained resources are not found by their place
        (about(reference="#p"), "subject=p", False, "inside"),
        # canonical, with and without version
        (measured("http://m/Measure/1"), "measure=http://m/Measure/1", True, "the URL"),
        (measured("http://m/Measure/1|2.0"), "measure=http://m/Measure/1", True, "any version"),
        (measured("http://m/Measure/1|2.0"), "measure=http://m/Measure/1|2.0", True, "that version"),
        (measured("http://m/Measure/1|2.0"), "measure=http://m/Measure/1|2.1", False, "another version"),
        (measured("http://m/Measure/1"), "measure=http://m/Measure/1|2.0", False, "no version is not that version"),
        (measured("http://m/Measure/1"), "measure=http://m/Measure/2", False, "another"),
        (measured("Measure/1"), "measure=Measure/1", True, "of this server"),
        (measured("Measure/1"), "measure=1", True, "of this server"),
        (measured(f"{BASE_URL}/Measure/1"), "measure=Measure/1", True, "of this server"),
        (measured(f"{BASE_URL}/Measure/1|2"), "measure=Measure/1", True, "of this server, any version"),
        (measured(f"{BASE_URL}/Measure/1|2"), f"measure={BASE_URL}/Measure/1|2", True, "of this server, that version"),
        # the first resource of a document
        (
            {"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "Composition", "id": "c"}}]},
            "composition=Composition/c",
            True,
            "a resource is its own target",
        ),
    ],
)  # fmt: skip
def test_facts(searcher: Searcher, resource: dict[str, Any], query: str, found: bool | None, reason: str) -> None:
    if found is None:
        with pytest.raises(InvalidRequest):
            searcher.matches(resource, query)
    else:
        assert searcher.matches(resource, query) is found, reason


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("subject", "Patient/", "subject: 'Patient/' is not an id, Type/id or a URL"),
        ("subject", "a b", "subject: 'a b' is not an id, Type/id or a URL"),
        ("subject", "#p", "subject: '#p' is not an id, Type/id or a URL"),
        ("subject", "x" * 65, f"subject: '{'x' * 65}' is not an id, Type/id or a URL"),
        ("subject", "Patient?name=x", "subject: 'Patient?name=x' is not an id, Type/id or a URL"),
        ("subject:Patient", "Group/1", "subject:Patient: 'Group/1' is not a reference to a Patient"),
        ("subject:Medication", "1", "subject leads to Group, Device, Patient, Location, not to Medication"),
        ("patient:Group", "1", "patient leads to Patient, not to Group"),
        ("subject:identifier", "|", "subject:identifier: '|' is not code, system|code, |code or system|"),
    ],
)
def test_bad_values(searcher: Searcher, name: str, value: str, message: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        searcher.parse("Observation", (name, value))
    (issue,) = caught.value.issues
    assert (issue.diagnostics, issue.expression) == (message, (name.partition(":")[0],))


def test_entry_has_the_targets(searcher: Searcher) -> None:
    resource = about(reference="Patient/1") | {"performer": [{"reference": "Practitioner/2"}]}
    entry = searcher.extract(resource)
    assert set(zip(entry.ref_key, entry.ref_target, strict=True)) == {
        (ParameterKeys("Observation", "subject").reference, self_key("Patient", "1")),
        (ParameterKeys("Observation", "patient").reference, self_key("Patient", "1")),
        (ParameterKeys("Observation", "performer").reference, self_key("Practitioner", "2")),
    }
