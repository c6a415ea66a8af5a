"""Which buckets hold all matches (decisions/0002)."""

import pytest

from fhirserver.fhir.datatypes.ids import home_bucket

from ..evaluate import BASE_URL, Searcher


@pytest.mark.parametrize(
    ("resource_type", "query", "homes", "reason"),
    [
        # the parameter that places the type names patients
        ("Observation", "patient=1", {"1"}, "an id of a patient"),
        ("Observation", "patient=Patient/1", {"1"}, "type and id"),
        ("Observation", "patient=Patient/1/_history/2", {"1"}, "the version doesn't matter"),
        ("Observation", f"patient={BASE_URL}/Patient/1", {"1"}, "of this server"),
        ("Observation", "patient=1,Patient/2", {"1", "2"}, "either"),
        ("Observation", "patient:Patient=1", {"1"}, "a patient"),
        ("Observation", "subject=Patient/1", {"1"}, "the subject is the placing element"),
        ("Observation", "subject:Patient=1", {"1"}, "an id of a patient"),
        ("Observation", "subject=Patient/1&code=x", {"1"}, "other clauses take nothing away"),
        ("Observation", "subject=Patient/1,Patient/2&patient=2,3", {"2"}, "both"),
        ("Observation", "patient=1&patient=2", set(), "one subject can't be two patients"),
        # it may be something else
        ("Observation", "subject=1", None, "an id of any type"),
        ("Observation", "subject=Group/1", None, "not placed by a group"),
        ("Observation", "subject=Patient/1,Group/1", None, "one of them is no patient"),
        ("Observation", "subject=http://else.where/fhir/Patient/1", None, "not of this server"),
        ("Observation", "subject:Group=1", None, "no patient"),
        ("Observation", "subject:identifier=1", None, "not the id"),
        ("Observation", "subject:missing=true", None, "no patient"),
        ("Observation", "patient:missing=false", None, "any patient"),
        ("Observation", "performer=Patient/1", None, "not the placing element"),
        ("Observation", "code=x", None, "anywhere"),
        ("Observation", "", None, "anywhere"),
        # _id
        ("Patient", "_id=a", {"a"}, "a patient is at home"),
        ("Patient", "_id=a,b", {"a", "b"}, "either"),
        ("Patient", "_id=a&_id=b", set(), "no patient has two ids"),
        ("Practitioner", "_id=a", {"a"}, "not placed by a patient"),
        ("Practitioner", "_id=a&family=x", {"a"}, "other clauses take nothing away"),
        ("Observation", "_id=a", None, "where its patient is"),
        ("Observation", "_id=a&patient=1", {"1"}, "the patient tells"),
        ("Patient", "_id:not=a", None, "anywhere"),
        ("Patient", "family=x", None, "anywhere"),
        ("Patient", "link=Patient/1", None, "patients are not placed by patients"),
        # other types
        ("Condition", "patient=1", {"1"}, "subject"),
        ("AllergyIntolerance", "patient=1", {"1"}, "patient"),
        ("Encounter", "subject=Patient/1", {"1"}, "subject"),
        ("Group", "member=Patient/1", None, "has many patients"),
        ("Appointment", "patient=1", None, "has many patients"),
    ],
)
def test_buckets(searcher: Searcher, resource_type: str, query: str, homes: set[str] | None, reason: str) -> None:
    params = [(name, value) for name, _, value in (part.partition("=") for part in query.split("&") if part)]
    buckets = searcher.parse(resource_type, *params).buckets
    assert buckets == (None if homes is None else {home_bucket(id) for id in homes}), reason
