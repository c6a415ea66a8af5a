"""Which strings of a resource are references to other entries, and what they become."""

import pytest

from fhirserver.bundles.entries import EntryRequest
from fhirserver.bundles.references import Identities, conditional_references, rewrite
from fhirserver.fhir.outcomes import InvalidRequest

URN = "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"


@pytest.fixture
def identities() -> Identities:
    found = Identities()
    found.add(named(URN), "Patient/new")
    found.add(named("http://a/fhir/Patient/1"), "Patient/one")
    found.add(named("http://b/fhir/Patient/1"), "Patient/other")
    found.add(named(None), "Patient/unnamed")
    return found


def named(full_url: str | None) -> EntryRequest:
    return EntryRequest(0, "POST", ("Patient",), None, full_url, {"resourceType": "Patient"})


def test_a_full_url_is_given_once(identities):
    with pytest.raises(InvalidRequest, match="two entries have the fullUrl"):
        identities.add(named(URN), "Patient/another")


@pytest.mark.parametrize(
    ("full_url", "reference", "expected"),
    [
        ("urn:uuid:x", URN, "Patient/new"),
        ("urn:uuid:x", "http://a/fhir/Patient/1", "Patient/one"),
        ("urn:uuid:x", "Patient/1", "Patient/1"),  # this entry has no root that Patient/1 could be below
        ("http://a/fhir/Observation/2", "Patient/1", "Patient/one"),
        ("http://b/fhir/Observation/2", "Patient/1", "Patient/other"),
        ("http://c/fhir/Observation/2", "Patient/1", "Patient/1"),
        (None, URN, "Patient/new"),
        (None, "urn:uuid:nobody", "urn:uuid:nobody"),
        (None, f"{URN}#part", "Patient/new#part"),
        (None, "#contained", "#contained"),
        (None, "Patient?identifier=a|b", "Patient/found"),
    ],
)
def test_a_reference(definitions, identities, full_url, reference, expected):
    resource = {"resourceType": "Observation", "subject": {"reference": reference}}
    conditional = {"Patient?identifier=a|b": "Patient/found"}
    rewritten = rewrite(resource, identities.seen_from(full_url), conditional, definitions)
    assert rewritten == {"resourceType": "Observation", "subject": {"reference": expected}}


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        ({"identifier": [{"system": URN, "value": URN}]}, {"identifier": [{"system": "Patient/new", "value": URN}]}),
        ({"extension": [{"url": "x", "valueUri": URN}]}, {"extension": [{"url": "x", "valueUri": "Patient/new"}]}),
        ({"extension": [{"url": "x", "valueString": URN}]}, {"extension": [{"url": "x", "valueString": URN}]}),
        ({"instantiatesUri": URN}, {"instantiatesUri": URN}),  # no such element of Observation
        ({"meta": {"profile": [f"{URN}|1"]}}, {"meta": {"profile": ["Patient/new|1"]}}),
        (
            {"contained": [{"resourceType": "Group", "member": [{"entity": {"reference": URN}}]}]},
            {"contained": [{"resourceType": "Group", "member": [{"entity": {"reference": "Patient/new"}}]}]},
        ),
        (
            {"text": {"div": f"<div><a href=\"{URN}\">{URN}</a><img src='{URN}'/></div>"}},
            {"text": {"div": f"<div><a href=\"Patient/new\">{URN}</a><img src='Patient/new'/></div>"}},
        ),
        ({"note": [{"text": URN}]}, {"note": [{"text": URN}]}),
    ],
)
def test_what_counts_as_a_reference_is_told_by_the_definitions(definitions, identities, element, expected):
    head = {"resourceType": "Observation"}
    assert rewrite(head | element, identities.seen_from(None), {}, definitions) == head | expected


def test_references_by_criteria_are_found_with_their_place():
    resource = {
        "resourceType": "Encounter",
        "participant": [{"individual": {"reference": "Practitioner?identifier=a|b"}}],
        "subject": {"reference": "Patient/1"},
        "contained": [{"resourceType": "Basic", "subject": {"reference": "Patient?name=x"}}],
    }
    entries = [
        EntryRequest(7, "POST", ("Encounter",), None, None, resource),
        EntryRequest(8, "GET", ("Patient",), None, None, None),
    ]
    assert conditional_references(entries) == {
        "Practitioner?identifier=a|b": "Bundle.entry[7].resource.participant[0].individual.reference",
        "Patient?name=x": "Bundle.entry[7].resource.contained[0].subject.reference",
    }
