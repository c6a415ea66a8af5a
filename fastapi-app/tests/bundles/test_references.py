"""References between entries. https://hl7.org/fhir/R4/bundle.html#references"""

from typing import Any

import pytest

from fhirserver.bundles.references import Identities, conditional_references, rewrite
from fhirserver.fhir.outcomes import InvalidRequest
from fhirserver.fhir.resource_json import parse

URN = "urn:uuid:00000000-0000-4000-8000-000000000001"
OID = "urn:oid:1.2.3"
NAMES = {URN: "Patient/new", OID: "Organization/new", "http://a/b/Patient/1": "Patient/one", "Patient/1": "Patient/one"}


def test_a_urn_is_known_everywhere(entry_of):
    identities = Identities()
    identities.add(entry_of("POST", "Patient", {}, URN), "Patient/new")
    for full_url in (None, URN, "http://a/b/Observation/1", "urn:oid:1.2"):
        assert identities.seen_from(full_url) == {URN: "Patient/new"}


def test_type_and_id_are_known_below_the_same_root_only(entry_of):
    identities = Identities()
    identities.add(entry_of("POST", "Patient", {}, "http://a/b/Patient/1"), "Patient/one")
    identities.add(entry_of("POST", "Patient", {}, "http://c/Patient/1"), "Patient/two")
    absolute = {"http://a/b/Patient/1": "Patient/one", "http://c/Patient/1": "Patient/two"}
    assert identities.seen_from("http://a/b/Observation/2") == {**absolute, "Patient/1": "Patient/one"}
    assert identities.seen_from("http://c/Observation/2/_history/3") == {**absolute, "Patient/1": "Patient/two"}
    assert identities.seen_from("http://elsewhere/Observation/2") == absolute
    assert identities.seen_from("urn:uuid:x") == absolute
    assert identities.seen_from(None) == absolute


def test_entries_without_full_url_have_no_name(entry_of):
    identities = Identities()
    identities.add(entry_of("POST", "Patient", {}), "Patient/new")
    assert identities.seen_from(None) == {}


def test_a_full_url_is_one_resource(entry_of):
    identities = Identities()
    identities.add(entry_of("POST", "Patient", {}, URN), "Patient/1")
    identities.add(entry_of("POST", "Patient", {}, URN), "Patient/1")
    with pytest.raises(InvalidRequest) as raised:
        identities.add(entry_of("POST", "Patient", {}, URN), "Patient/2")
    assert raised.value.issues[0].expression == ("Bundle.entry[0].fullUrl",)


CASES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"subject": {"reference": URN}}, {"subject": {"reference": "Patient/new"}}),
    ({"subject": {"reference": "Patient/1"}}, {"subject": {"reference": "Patient/one"}}),
    ({"subject": {"reference": "http://a/b/Patient/1"}}, {"subject": {"reference": "Patient/one"}}),
    ({"subject": {"reference": f"{URN}#part"}}, {"subject": {"reference": "Patient/new#part"}}),
    ({"subject": {"reference": "#inside"}}, {"subject": {"reference": "#inside"}}),
    ({"subject": {"reference": "Patient/11"}}, {"subject": {"reference": "Patient/11"}}),
    ({"subject": {"reference": "urn:uuid:other"}}, {"subject": {"reference": "urn:uuid:other"}}),
    ({"subject": {"display": URN}}, {"subject": {"display": URN}}),
    ({"performer": [{"reference": OID}, {"reference": URN}]}, {"performer": [{"reference": "Organization/new"}, {"reference": "Patient/new"}]}),
    ({"identifier": [{"system": "urn:ietf:rfc:3986", "value": URN}]}, {"identifier": [{"system": "urn:ietf:rfc:3986", "value": URN}]}),
    ({"subject": {"identifier": {"value": URN}}}, {"subject": {"identifier": {"value": URN}}}),
    ({"identifier": [{"system": URN, "value": URN}]}, {"identifier": [{"system": "Patient/new", "value": URN}]}),
    ({"meta": {"profile": [f"{URN}|1"]}}, {"meta": {"profile": ["Patient/new|1"]}}),
    ({"noSuchElement": URN}, {"noSuchElement": URN}),
    ({"note": [{"text": f"see {URN}"}]}, {"note": [{"text": f"see {URN}"}]}),
    ({"valueString": URN}, {"valueString": URN}),
    ({"instantiatesUri": [URN, "http://x"]}, {"instantiatesUri": ["Patient/new", "http://x"]}),
    ({"instantiatesCanonical": [f"{URN}|1.0", f"{OID}#x"]}, {"instantiatesCanonical": ["Patient/new|1.0", "Organization/new#x"]}),
    ({"extension": [{"url": "http://x", "valueUri": URN}]}, {"extension": [{"url": "http://x", "valueUri": "Patient/new"}]}),
    ({"extension": [{"url": "http://x", "valueOid": OID}]}, {"extension": [{"url": "http://x", "valueOid": "Organization/new"}]}),
    ({"extension": [{"url": "http://x", "valueReference": {"reference": URN}}]}, {"extension": [{"url": "http://x", "valueReference": {"reference": "Patient/new"}}]}),
    ({"extension": [{"url": "http://x", "extension": [{"url": "y", "valueUrl": URN}]}]}, {"extension": [{"url": "http://x", "extension": [{"url": "y", "valueUrl": "Patient/new"}]}]}),
    ({"_instantiatesUri": [{"extension": [{"url": "http://x", "valueUri": URN}]}]}, {"_instantiatesUri": [{"extension": [{"url": "http://x", "valueUri": "Patient/new"}]}]}),
    ({"contained": [{"resourceType": "Group", "id": "g", "managingEntity": {"reference": OID}}]}, {"contained": [{"resourceType": "Group", "id": "g", "managingEntity": {"reference": "Organization/new"}}]}),
    ({"subject": {"reference": "Patient?identifier=a|b"}}, {"subject": {"reference": "Patient/found"}}),
    ({"subject": {"reference": "Patient?identifier=a|c"}}, {"subject": {"reference": "Patient?identifier=a|c"}}),
]  # fmt: skip


@pytest.mark.parametrize(("given", "expected"), CASES)
def test_what_is_rewritten(definitions, given, expected):
    start = {"resourceType": "ServiceRequest"}
    result = rewrite({**start, **given}, NAMES, {"Patient?identifier=a|b": "Patient/found"}, definitions)
    assert result == {**start, **expected}
    assert list(result) == [*start, *given]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (f'<a href="{URN}">', '<a href="Patient/new">'),
        (f"<a href='{URN}'>", "<a href='Patient/new'>"),
        (f'<img alt="x" src = "{URN}"/>', '<img alt="x" src = "Patient/new"/>'),
        (f'<a href="{URN}#part">', '<a href="Patient/new#part">'),
        ('<a href="#part">', '<a href="#part">'),
        ('<a href="http://example.org/?a=b">', '<a href="http://example.org/?a=b">'),
        (f"<p>{URN}</p>", f"<p>{URN}</p>"),
        (f'<p title="{URN}">', f'<p title="{URN}">'),
    ],
)
def test_links_of_the_narrative(definitions, given, expected):
    def with_text(div: str) -> dict[str, Any]:
        return {"resourceType": "Patient", "text": {"status": "generated", "div": f"<div>{div}</div>"}}

    assert rewrite(with_text(given), NAMES, {}, definitions) == with_text(expected)


def test_the_rest_is_the_same_object_of_the_same_order(definitions):
    resource = {"resourceType": "Patient", "active": True, "birthDate": "1970", "name": [{"given": ["a", None]}]}
    assert rewrite(resource, {}, {}, definitions) is resource
    assert rewrite(resource, NAMES, {}, definitions) == resource


def test_resources_without_such_references_stay_as_they_are(definitions, example_files):
    for path in sorted(example_files.glob("*.json"))[::25]:
        resource = parse(path.read_bytes())
        if "resourceType" in resource:
            assert rewrite(resource, {URN: "Patient/1"}, {}, definitions) == resource, path.name


def test_references_by_criteria_and_where_they_are(entry_of):
    resource = {
        "resourceType": "Observation",
        "subject": {"reference": "Patient?identifier=a|b"},
        "performer": [{"reference": "Practitioner/1"}, {"reference": "Practitioner?identifier=x?y"}],
        "focus": [{"reference": "Patient?identifier=a|b"}, {"reference": "http://x/Patient?identifier=c"}],
        "note": [{"text": "Patient?identifier=no"}],
        "contained": [{"resourceType": "Basic", "subject": {"reference": "Patient?name=x"}}],
    }
    found = conditional_references([entry_of("POST", "Observation", resource)])
    assert found == {
        "Patient?identifier=a|b": "Bundle.entry[0].resource.subject.reference",
        "Practitioner?identifier=x?y": "Bundle.entry[0].resource.performer[1].reference",
        "Patient?name=x": "Bundle.entry[0].resource.contained[0].subject.reference",
    }
