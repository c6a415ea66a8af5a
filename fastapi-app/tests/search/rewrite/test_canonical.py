"""Which criteria take the same lock."""

import pytest

from fhirserver.search.rewrite.canonical import canonical

from ..evaluate import Searcher


def text(searcher: Searcher, resource_type: str, query: str) -> str:
    return canonical(searcher.parse(resource_type, *(tuple(part.split("=", 1)) for part in query.split("&"))))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("resource_type", "one", "other", "same", "reason"),
    [
        ("Patient", "identifier=s|abc", "identifier=s|ABC", True, "tokens have no case"),
        ("Patient", "identifier=s|abc", "identifier=S|abc", False, "systems have"),
        ("Patient", "identifier=abc", "identifier=s|abc", False, "one is narrower"),
        ("Patient", "active=true&identifier=s|a", "identifier=s|a&active=true", True, "AND has no order"),
        ("Patient", "identifier=a,b", "identifier=b,a", True, "OR has no order"),
        ("Patient", "identifier=a&identifier=b", "identifier=a,b", False, "AND is not OR"),
        ("Patient", "identifier=a&identifier=a", "identifier=a", True, "repetition says nothing"),
        ("Patient", "family=Berg", "family=BERG", True, "strings have no case"),
        ("Patient", "family=a,b", "family=b,a", True, "OR of strings"),
        ("Patient", "family=a", "family:contains=a", False, "another comparison"),
        ("Patient", "family=a", "given=a", False, "another parameter"),
        ("Patient", "family:exact=Berg", "family:exact=berg", False, "exact is exact"),
        ("Patient", "_id=a,b", "_id=b,a", True, "ids"),
        ("Patient", "_id=a", "_id:not=a", False, "negated"),
        ("Patient", "_lastUpdated=gt2024&_id=a", "_id=a&_lastUpdated=gt2024", True, "times"),
        ("Patient", "_lastUpdated=gt2024", "_lastUpdated=gt2023", False, "another time"),
        ("Patient", "birthdate=lt1980", "birthdate=gt1980", False, "another prefix"),
        ("RiskAssessment", "probability=gt5", "probability=gt5.0", True, "the number counts"),
        ("Observation", "subject=Patient/1", "subject:Patient=1", True, "the same reference"),
        ("Observation", "subject=Patient/1", "patient=1", False, "another parameter"),
        ("Observation", "subject:Patient.family=A", "subject:Patient.family=a", True, "within a chain"),
        ("Observation", "subject:Patient.family=A", "subject:Group.code=a", False, "another chain"),
        ("Patient", "_has:Observation:patient:code=A", "_has:Observation:patient:code=a", True, "within a _has"),
        ("Patient", "_has:Observation:patient:code=a", "_has:Condition:patient:code=a", False, "another type"),
    ],
)  # fmt: skip
def test_facts(searcher: Searcher, resource_type: str, one: str, other: str, same: bool, reason: str) -> None:
    assert (text(searcher, resource_type, one) == text(searcher, resource_type, other)) is same, reason
