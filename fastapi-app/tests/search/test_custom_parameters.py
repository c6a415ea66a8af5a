"""What can be posted as a SearchParameter, what is refused and why, and what becomes of what is accepted."""

from typing import Any

import pytest

from fhirserver.fhir.definitions import Definitions
from fhirserver.search.custom_parameters import (
    alternatives,
    definitions_with,
    is_indexed_alike,
    problems,
    read_parameters,
    registration,
)

BASE: dict[str, Any] = {
    "resourceType": "SearchParameter",
    "url": "urn:test:x",
    "name": "x",
    "status": "active",
    "description": "x",
    "code": "x",
    "base": ["Patient"],
    "type": "token",
    "expression": "Patient.maritalStatus",
}
COMPOSITE: dict[str, Any] = {
    "type": "composite",
    "base": ["Observation"],
    "expression": "Observation",
    "component": [
        {"definition": "http://hl7.org/fhir/SearchParameter/clinical-code", "expression": "code"},
        {"definition": "http://hl7.org/fhir/SearchParameter/clinical-date", "expression": "effective"},
    ],
}
R4S_NAME = "http://hl7.org/fhir/SearchParameter/individual-given"


def made(**elements: Any) -> dict[str, Any]:
    return {name: value for name, value in (BASE | elements).items() if value is not None}


@pytest.mark.parametrize(
    "elements",
    [
        {},
        {"type": "string", "expression": "Patient.name.select(given.first() & ' ' & family)"},  # any FHIRPath
        {"type": "string", "expression": "iif(Patient.active, Patient.name.text, 'inactive')"},
        {"type": "number", "expression": "Patient.name.given.count()"},
        {"type": "date", "expression": "Patient.extension('urn:e').value as dateTime"},
        {"type": "quantity", "base": ["Observation"], "expression": "Observation.value.ofType(Quantity)"},
        {"type": "uri", "expression": "Patient.identifier.system"},
        {"expression": "Patient.extension('urn:e')"},  # of an extension its value
        {"expression": "Patient.descendants().ofType(Coding)"},  # the type is only known from the values
        {"type": "reference", "expression": "Patient.managingOrganization", "target": ["Organization"]},
        {"type": "reference", "expression": "Patient.link.other"},  # without target: to any type
        {"type": "reference", "expression": "Patient.managingOrganization", "chain": ["name", "partof.name"]},
        {"base": ["Patient", "Person"], "expression": "Patient.gender | Person.gender"},  # each its own alternative
        {"base": ["DomainResource"], "expression": "DomainResource.extension('urn:e').value.ofType(code)"},
        {"base": ["Resource"], "expression": "Resource.meta.source", "type": "uri"},
        {"type": "string", "expression": "Patient.name.family", "modifier": ["exact", "missing"]},
        {"type": "reference", "expression": "Patient.link.other", "modifier": ["type", "identifier"]},
        {"type": "date", "expression": "Patient.birthDate", "comparator": ["gt", "eq"]},
        COMPOSITE,
        {"status": "draft", "expression": "this is no FHIRPath"},  # a draft is not searched by
        {"status": "retired", "type": "special"},
        {"code": "given", "type": "string", "expression": "Patient.name.given"},  # R4's own, told again
        {"code": "given", "type": "string", "expression": "Patient.name.first().given", "derivedFrom": R4S_NAME},
        {"code": "_id", "expression": "Patient.id", "derivedFrom": "http://hl7.org/fhir/SearchParameter/Resource-id"},
    ],
)
def test_accepted(definitions: Definitions, elements: dict[str, Any]) -> None:
    assert problems(made(**elements), definitions) == []


@pytest.mark.parametrize(
    ("elements", "place", "reason"),
    [
        ({"expression": "Patient.maritalStatuss"}, "expression", "has no element 'maritalStatuss'"),
        ({"expression": "Patient.name.where("}, "expression", "unexpected: the end"),
        ({"expression": "Patient.name.frobnicate()"}, "expression", "there is no function frobnicate"),
        ({"expression": "%unknown"}, "expression", "unknown"),  # found by trying
        ({"expression": "today()", "type": "date"}, "expression", "Patient"),  # what an index can't hold
        ({"expression": "Practitioner.name", "type": "string"}, "expression", "selects nothing of Patient"),
        ({"expression": "{}"}, "expression", "selects nothing of Patient"),
        ({"expression": None}, "expression", "without an expression"),
        ({"expression": "Patient.name"}, "expression", "selects HumanName, which can't be searched for as token"),
        ({"type": "number"}, "expression", "selects CodeableConcept, which can't be searched for as number"),
        ({"type": "special"}, "type", "special"),
        ({"base": ["Unicorn"]}, "base[0]", "no resource type 'Unicorn'"),
        ({"base": ["Patient", "HumanName"]}, "base[1]", "no resource type 'HumanName'"),
        ({"base": ["Resource"]}, "expression", "selects nothing of Account"),
        ({"base": ["Resource"], "expression": "Resource.text"}, "expression", "of Account the expression selects Narrative"),
        ({"code": "name"}, "code", "R4 has a parameter 'name' of Patient itself"),
        ({"code": "gender", "expression": "Patient.contact.gender"}, "code", "R4 has a parameter 'gender'"),
        ({"code": "gender", "type": "string", "expression": "Patient.gender"}, "code", "R4 has a parameter 'gender'"),
        ({"code": "_mine"}, "code", "can't be the name of a parameter"),  # begins as those of FHIR itself
        ({"code": "a.b"}, "code", "can't be the name of a parameter"),  # would be a chain
        ({"code": "a:b"}, "code", "can't be the name of a parameter"),  # would be a modifier
        ({"modifier": ["exact"]}, "modifier[0]", "a token parameter has no modifier 'exact'"),
        ({"comparator": ["gt"]}, "comparator[0]", "a token parameter has no prefix 'gt'"),
        ({"target": ["Patient"]}, "target[0]", "a token parameter does not lead to 'Patient'"),
        ({"type": "reference", "expression": "Patient.link.other", "target": ["Unicorn"]}, "target[0]", "Unicorn"),
        (
            {"type": "reference", "expression": "Patient.link.other", "target": ["Patient"], "chain": ["nothing"]},
            "chain[0]", "no target has a parameter 'nothing'",
        ),
        (COMPOSITE | {"component": COMPOSITE["component"][:1]}, "component", "at least two components"),
        (
            COMPOSITE | {"component": [{"definition": "urn:nowhere", "expression": "code"}] * 2},
            "component", "no search parameter with the URL urn:nowhere",
        ),
        (
            COMPOSITE | {"component": [COMPOSITE["component"][0], COMPOSITE["component"][1] | {"expression": "x"}]},
            "component", "no element 'x'",
        ),
    ],
)  # fmt: skip
def test_refused(definitions: Definitions, elements: dict[str, Any], place: str, reason: str) -> None:
    found = problems(made(**elements), definitions)
    assert found
    assert found[0].expression == (f"SearchParameter.{place}",)
    assert reason in found[0].diagnostics


def test_a_code_that_another_one_has(definitions: Definitions) -> None:
    for is_ready in (True, False):
        known = definitions_with(definitions, [("first", made(), is_ready)]).definitions
        [issue] = problems(made(url="urn:test:other"), known)
        assert "SearchParameter/first is the parameter 'x' of Patient already" in issue.diagnostics
        assert problems(made(id="first"), known) == []  # it is itself
        assert problems(made(url="urn:test:other", base=["Person"], expression="Person.gender"), known) == []


def test_of_two_with_the_same_code_the_older_one_counts(definitions: Definitions) -> None:
    later = made(url="urn:test:later", expression="Patient.gender")
    known = definitions_with(definitions, [("first", made(), False), ("second", later, True)])
    assert known.types == {"first": ("Patient",)}
    assert "x" not in known.definitions.search_parameters("Patient")
    assert known.definitions.pending_search_parameters("Patient")["x"].source == "first"


@pytest.mark.parametrize(
    "change",
    [{"base": "Patient"}, {"base": None}, {"code": None}, {"component": ["x"]}, {"target": 1}, {"expression": 1}],
)
def test_what_was_written_unchecked_does_no_harm(definitions: Definitions, change: dict[str, Any]) -> None:
    registered = [("broken", made(**change), True), ("whole", made(code="y"), True)]
    assert "y" in definitions_with(definitions, registered).definitions.search_parameters("Patient")


def test_each_type_gets_its_own_part(definitions: Definitions) -> None:
    shared = made(base=["Patient", "Person"], expression="Patient.gender | (Person.gender) | Resource.language")
    assert [(found.base, found.expression) for found in read_parameters(shared, "1", definitions)] == [
        ("Patient", "Patient.gender | Resource.language"),
        ("Person", "(Person.gender) | Resource.language"),
    ]


def test_r4s_own_is_not_registered(definitions: Definitions) -> None:
    both = made(code="gender", base=["Patient", "Claim"], expression="Patient.gender | Claim.status")
    derived = both | {"derivedFrom": "http://hl7.org/fhir/SearchParameter/individual-gender"}
    assert [found.base for found in read_parameters(derived, "1", definitions)] == ["Claim"]


def test_definitions_with_more_leave_those_of_r4_as_they_are(definitions: Definitions) -> None:
    patient = made(code="patient", type="reference", base=["Observation"], expression="Observation.performer")
    known = definitions_with(definitions, [("1", patient, True)]).definitions
    assert known.search_parameters("Observation")["patient"].source is None
    assert known.search_parameters("Patient") is definitions.search_parameters("Patient")
    placed = made(code="whose", type="reference", base=["Observation"], expression="Observation.subject")
    known = definitions_with(definitions, [("1", placed, True)]).definitions
    assert "whose" in known.search_parameters("Observation")
    assert known.placing_parameters("Observation") == definitions.placing_parameters("Observation")
    assert "whose" not in definitions.search_parameters("Observation")


@pytest.mark.parametrize(
    ("expression", "parts"),
    [
        ("a | b", ["a", "b"]),
        ("(a | b).c | d", ["(a | b).c", "d"]),
        ("a.where(x = '|') | b", ["a.where(x = '|')", "b"]),
        ("a.`|`", ["a.`|`"]),
        ("a.where(x = '`') | b", ["a.where(x = '`')", "b"]),
    ],
)
def test_alternatives(expression: str, parts: list[str]) -> None:
    assert alternatives(expression) == parts


@pytest.mark.parametrize(
    ("change", "alike"),
    [
        ({"description": "other"}, True),
        ({"modifier": ["not"]}, True),  # how it is asked for
        ({"target": ["Patient"]}, True),
        ({"expression": "Patient.gender"}, False),
        ({"code": "y"}, False),
        ({"type": "string"}, False),
        ({"base": ["Person"]}, False),
    ],
)
def test_what_has_to_be_indexed_anew(change: dict[str, Any], alike: bool) -> None:
    one, other = registration(made()), registration(made(**change))
    assert one is not None
    assert other is not None
    assert is_indexed_alike(one, other) == alike


def test_only_what_is_active_is_registered() -> None:
    assert registration(made(status="draft")) is None
    assert registration(made(status="retired")) is None
