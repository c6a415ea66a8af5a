"""What the References of a profile lead to: facts, each with the reason at its end."""

from typing import Any

import pytest

from fhirserver.fhir.validation.validator import Validator

from .structures import R4, URL, Json, element, lookup, profile

NAMED = profile("named", "Patient", element("Patient.name", min=1))
PERSON = profile("person", "Practitioner", element("Practitioner.name", min=1))
SUBJECT = "Observation.subject"


def to(*profiles: str, **others: Any) -> list[Json]:
    return [element(SUBJECT, type=[{"code": "Reference", "targetProfile": list(profiles), **others}])]


def observation(reference: Any, *contained: Json) -> Json:
    found = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "subject": reference}
    return found | ({"contained": list(contained)} if contained else {})


def patient(id: str, **elements: Any) -> Json:
    return {"resourceType": "Patient", "id": id, **elements}


def bundle(*resources: Json) -> Json:
    entries = [
        {"fullUrl": f"http://a/{item['resourceType']}/{item.get('id', 'o')}", "resource": item} for item in resources
    ]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


def claiming(resource: Json) -> Json:
    return {**resource, "id": "o", "meta": {"profile": [URL + "p"]}}


NAME = [{"text": "x"}]
PATIENTS = to(URL + "named")
AT = f"{SUBJECT}.reference"
IN_ENTRY = "Bundle.entry[0].resource.subject.reference"
CASES: list[tuple[list[Json], Json, list[str], str]] = [
    (PATIENTS, observation({"reference": "Patient/1"}), [], "it is elsewhere, and of the right type"),
    (PATIENTS, observation({"reference": "http://b/Patient/1"}), [], "on another server"),
    (PATIENTS, observation({"reference": "Group/1"}), [AT], "R4 allows a Group, the profile does not"),
    (PATIENTS, observation({"reference": "urn:uuid:c757873d-ec9a-4326-a141-556f43239520", "type": "Group"}), [AT],
     "the reference says its type"),
    (PATIENTS, observation({"identifier": {"value": "1"}}), [], "it does not say where it leads"),
    (PATIENTS, observation({"reference": "#a"}, patient("a", name=NAME)), [], "contained, and it conforms"),
    (PATIENTS, observation({"reference": "#a"}, patient("a")), [AT], "contained, and it does not"),
    (to(R4 + "Patient"), observation({"reference": "#a"}, patient("a")), [], "a type has no more to conform to"),
    (to(URL + "named", R4 + "Group"), observation({"reference": "Group/1"}), [], "one of several"),
    (to(URL + "unknown"), observation({"reference": "Group/1"}), [], "nothing is known of it"),
    (PATIENTS, bundle(claiming(observation({"reference": "Patient/a"})), patient("a", name=NAME)), [],
     "another entry, which conforms"),
    (PATIENTS, bundle(claiming(observation({"reference": "Patient/a"})), patient("a")), [IN_ENTRY],
     "another entry, which does not"),
    (PATIENTS, bundle(claiming(observation({"reference": "http://a/Patient/a"})), patient("a")), [IN_ENTRY],
     "by its full address"),
    (to(R4 + "Patient", aggregation=["contained"]), observation({"reference": "Patient/1"}), [AT],
     "it had to be contained"),
    (to(R4 + "Patient", aggregation=["contained"]), observation({"reference": "#a"}, patient("a")), [], "it is"),
    (to(R4 + "Patient", aggregation=["referenced"]), observation({"reference": "#a"}, patient("a")), [AT],
     "it must not be contained"),
    (to(R4 + "Patient", aggregation=["bundled"]), bundle(claiming(observation({"reference": "Patient/a"})), patient("a")),
     [], "in the same Bundle"),
    (to(R4 + "Patient", aggregation=["bundled"]), bundle(claiming(observation({"reference": "Patient/b"})), patient("a")),
     [IN_ENTRY], "not in the Bundle"),
]  # fmt: skip


@pytest.mark.parametrize(("elements", "resource", "expected", "why"), CASES)
def test_target(validator: Validator, elements: list[Json], resource: Json, expected: list[str], why: str) -> None:
    own = validator.with_structures(lookup(profile("p", "Observation", *elements), NAMED, PERSON))
    assert validator.validate(resource) == [], "R4 itself allows it"
    asked = [URL + "p"] if resource["resourceType"] == "Observation" else []
    assert [issue.expression[0] for issue in own.validate(resource, profiles=asked)] == expected, why


def test_the_reason_is_told(validator: Validator) -> None:
    own = validator.with_structures(lookup(profile("p", "Observation", *PATIENTS), NAMED))
    (issue,) = own.validate(observation({"reference": "#a"}, patient("a")), profiles=[URL + "p"])
    assert "does not conform to named: name is missing" in issue.diagnostics


def test_references_in_a_circle(validator: Validator) -> None:
    """Each of two resources has to refer to one that conforms to the same profile."""
    member = element("Observation.hasMember", min=1, type=[{"code": "Reference", "targetProfile": [URL + "p"]}])
    own = validator.with_structures(lookup(profile("p", "Observation", member)))

    def entry(id: str, to: str) -> Json:
        return {
            "resourceType": "Observation", "id": id, "meta": {"profile": [URL + "p"]}, "status": "final",
            "code": {"text": "x"}, "hasMember": [{"reference": f"Observation/{to}"}],
        }  # fmt: skip

    assert own.validate(bundle(entry("a", "b"), entry("b", "a"))) == []
    lonely = entry("b", "a")
    del lonely["hasMember"]
    places = {issue.expression[0] for issue in own.validate(bundle(entry("a", "b"), lonely))}
    assert places == {"Bundle.entry[0].resource.hasMember[0].reference", "Bundle.entry[1].resource"}


def test_conforms_to(validator: Validator) -> None:
    """The function of FHIRPath knows the profiles too."""
    said = {"key": "x-1", "severity": "error", "human": "x", "expression": f"contained.all(conformsTo('{URL}named'))"}
    own = validator.with_structures(
        lookup(profile("p", "Observation", element("Observation", constraint=[said])), NAMED)
    )
    for contained, expected in ((patient("a", name=NAME), []), (patient("a"), ["Observation"])):
        resource = observation({"reference": "#a"}, contained)
        assert [issue.expression[0] for issue in own.validate(resource, profiles=[URL + "p"])] == expected
