"""Selections on small resources."""

from typing import Any

import pytest

from fhirserver.fhir.definitions import Definitions
from fhirserver.fhir.fhirpath.errors import FhirPathError
from fhirserver.fhir.fhirpath.paths import compile_paths
from fhirserver.fhir.resource_json import Number

PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "p",
    "active": True,
    "extension": [
        {"url": "http://e/a", "valueString": "A"},
        {"url": "http://e/b", "valueCode": "B"},
        {"url": "http://e/a", "valueString": "A2"},
    ],
    "name": [{"family": "Berg", "given": ["Anna", None, "Bea"], "use": "official"}, {"given": ["Nan"]}],
    "telecom": [
        {"system": "phone", "value": "1", "use": "home"},
        {"system": "email", "value": "a@b"},
        {"system": "phone", "value": "2"},
    ],
    "birthDate": None,
    "deceasedDateTime": "2020",
    "multipleBirthInteger": 2,
    "generalPractitioner": [
        {"reference": "Practitioner/1"},
        {"reference": "http://else.where/fhir/Organization/2"},
        {"reference": "urn:uuid:3", "type": "PractitionerRole"},
        {"identifier": {"value": "4"}, "type": "Practitioner"},
        {"reference": "#contained"},
    ],
}
OBSERVATION: dict[str, Any] = {
    "resourceType": "Observation",
    "valueQuantity": {"value": Number("5.40"), "code": "mg"},
    "component": [{"valueString": "one"}, {"valueQuantity": {"value": 2}}],
}
BUNDLE: dict[str, Any] = {"resourceType": "Bundle", "entry": [{"resource": OBSERVATION}, {"resource": PATIENT}]}
RESOURCES = {"Patient": PATIENT, "Observation": OBSERVATION, "Bundle": BUNDLE}


def select(definitions: Definitions, expression: str, resource_type: str = "Patient") -> list[tuple[str, Any]]:
    """(type, value) of all that an expression selects."""
    resource = RESOURCES[resource_type]
    branches = compile_paths(expression, resource_type, definitions)
    return [(branch.type_name, value) for branch in branches for value in branch.select(resource)]


@pytest.mark.parametrize(
    ("expression", "type_name", "values"),
    [
        ("Patient.name.given", "string", ["Anna", "Bea", "Nan"]),  # null in the list is a gap
        ("name.given", "string", ["Anna", "Bea", "Nan"]),  # the type's name may be left out
        ("Resource.id", "id", ["p"]),  # or be the name of a base type
        ("DomainResource.id", "id", ["p"]),
        ("Patient.birthDate", "date", []),  # null has only extensions
        ("Patient.photo.title", "string", []),
        ("Patient.name[0].family", "string", ["Berg"]),
        ("Patient.name[1].given", "string", ["Nan"]),
        ("Patient.name[2].given", "string", []),
        ("Patient.name.given[1]", "string", ["Bea"]),  # an index counts in the whole collection
        ("Patient.name.given.first()", "string", ["Anna"]),
        ("Patient.name.where(use = 'official').given", "string", ["Anna", "Bea"]),
        ("Patient.name.where(use != 'official').given", "string", []),  # nothing compared with something is nothing
        ("Patient.name.where(use.exists()).family", "string", ["Berg"]),
        ("Patient.name.where(use.empty()).given", "string", ["Nan"]),
        ("Patient.name.where(use.exists().not()).given", "string", ["Nan"]),
        ("Patient.telecom.where(system = 'phone' and use = 'home').value", "string", ["1"]),
        ("Patient.telecom.where(system = 'email' or value = '2').value", "string", ["a@b", "2"]),
        ("Patient.telecom.where(system = 'phone').where(value = '2').value", "string", ["2"]),
        ("Patient.telecom.where($this.system = 'email').value", "string", ["a@b"]),
        ("Patient.where(active).id", "id", ["p"]),
        ("Patient.where(active = true).id", "id", ["p"]),
        ("Patient.where(multipleBirth = 2).id", "id", ["p"]),
        ("Patient.where(multipleBirth = 2.0).id", "id", ["p"]),
        ("Patient.where(multipleBirth != 2).id", "id", []),
        ("Patient.where(name.exists(use = 'official')).id", "id", ["p"]),
        ("Patient.where(name.exists(use = 'old')).id", "id", []),
        ("Patient.extension.where(url = 'http://e/b').value", "code", ["B"]),
        ("Patient.extension('http://e/b').value", "code", ["B"]),
        ("Patient.extension('http://e/a').value.as(string)", "string", ["A", "A2"]),
        ("Patient.where(hasExtension('http://e/b')).id", "id", ["p"]),
        ("Patient.deceased.as(dateTime)", "dateTime", ["2020"]),
        ("Patient.deceased as dateTime", "dateTime", ["2020"]),
        ("Patient.deceased.ofType(dateTime)", "dateTime", ["2020"]),
        ("Patient.deceased as boolean", "boolean", []),
        ("(Patient.deceased as dateTime) | Patient.birthDate", "dateTime", ["2020"]),
        ("Patient.deceased.exists() and Patient.deceased != false", "boolean", [True]),
        ("Patient.photo.exists()", "boolean", [False]),
        ("Patient.where(deceased is dateTime).id", "id", ["p"]),
        ("Patient.where(deceased is boolean).id", "id", []),
        (
            "Patient.generalPractitioner.where(resolve() is Practitioner)",
            "Reference",
            [{"reference": "Practitioner/1"}, {"identifier": {"value": "4"}, "type": "Practitioner"}],
        ),
        (
            "Patient.generalPractitioner.where(resolve() is Organization).reference",
            "string",
            ["http://else.where/fhir/Organization/2"],
        ),
        ("Patient.generalPractitioner.where(resolve() is PractitionerRole).reference", "string", ["urn:uuid:3"]),
    ],
)
def test_patient(definitions: Definitions, expression: str, type_name: str, values: list[Any]) -> None:
    found = select(definitions, expression)
    assert found == [(type_name, value) for value in values]


def test_a_choice_is_one_branch_per_type(definitions: Definitions) -> None:
    branches = compile_paths("Observation.value", "Observation", definitions)
    assert [branch.type_name for branch in branches] == [
        "Quantity", "CodeableConcept", "string", "boolean", "integer", "Range", "Ratio", "SampledData", "time",
        "dateTime", "Period",
    ]  # fmt: skip
    assert {branch.element_path for branch in branches} == {"Observation.value[x]"}
    assert [branch.json_path for branch in branches][:2] == ["$.valueQuantity", "$.valueCodeableConcept"]
    assert select(definitions, "Observation.value | Observation.component.value", "Observation") == [
        ("Quantity", {"value": Number("5.40"), "code": "mg"}),
        ("Quantity", {"value": 2}),
        ("string", "one"),
    ]


def test_numbers_compare_by_value(definitions: Definitions) -> None:
    assert select(definitions, "Observation.where((value as Quantity).value = 5.4).exists()", "Observation") == [
        ("boolean", True)
    ]


def test_a_resource_inside_keeps_its_kind(definitions: Definitions) -> None:
    assert select(definitions, "Bundle.entry[0].resource", "Bundle") == [("Resource", OBSERVATION)]
    assert select(definitions, "Bundle.entry.resource.id", "Bundle") == [("id", "p")]


def test_a_subtype_is_of_its_base_type(definitions: Definitions) -> None:
    assert select(definitions, "Patient.contact.relationship.coding.code.as(string)") == []
    branches = compile_paths("Patient.name.use.as(string)", "Patient", definitions)
    assert [branch.type_name for branch in branches] == ["code"]


@pytest.mark.parametrize(
    ("expression", "resource_type", "path"),
    [
        ("Patient.name.family", "Patient", "$.name.family"),
        ("Patient.telecom.where(system = 'email')", "Patient", '$.telecom ? (@.system == "email")'),
        ("Patient.telecom.where(system = 'a\"b\\\\c')", "Patient", '$.telecom ? (@.system == "a\\"b\\\\c")'),
        ("Patient.extension('a\"b')", "Patient", '$.extension ? (@.url == "a\\"b")'),
        ("Bundle.entry[0].resource", "Bundle", "$.entry[0].resource"),
        (
            "Observation.subject.where(resolve() is Patient)",
            "Observation",
            '$.subject ? (@.type == "Patient" || @.reference like_regex "(^|/)Patient/[^/]+(/_history/[^/]+)?$")',
        ),
        ("Patient.name.where(use.exists())", "Patient", None),
        ("Patient.name.where(use.exists()).family", "Patient", None),
        ("Patient.active.exists()", "Patient", None),
    ],
)
def test_json_path(definitions: Definitions, expression: str, resource_type: str, path: str | None) -> None:
    assert [branch.json_path for branch in compile_paths(expression, resource_type, definitions)] == [path]


@pytest.mark.parametrize(
    ("expression", "selected"),
    [
        ("Patient.name.family + 'x'", [("string", "Bergx")]),
        ("-Patient.multipleBirth", [("integer", -2)]),  # the type comes from the value
        ("Patient.name.select(given)", [("string", "Anna"), ("string", "Bea"), ("string", "Nan")]),
        ("Patient.name.where(given.count() > 1).family", [("string", "Berg")]),
        ("Patient.name.where(use = {}).family", []),
        ("Patient.name[1 - 1].family", [("string", "Berg")]),
        ("%resource.id", [("id", "p")]),
        ("'constant'", [("string", "constant")]),
        ("Patient.generalPractitioner.resolve().ofType(Organization).id", [("id", "2")]),  # what the text tells
        ("Patient.descendants().ofType(ContactPoint).value.where($this.length() > 1)", [("string", "a@b")]),
        ("(Patient.deceased | Patient.active).where($this is boolean)", [("boolean", True)]),
        ("Patient.birthDate + 1 year", []),
        ("5.4 'mg'", [("Quantity", {"value": Number("5.4"), "system": "http://unitsofmeasure.org", "code": "mg"})]),
    ],
)
def test_what_is_computed(definitions: Definitions, expression: str, selected: list[tuple[str, Any]]) -> None:
    assert select(definitions, expression) == selected
    assert {branch.json_path for branch in compile_paths(expression, "Patient", definitions)} == {None}


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("Patient.nmae", "Patient has no element 'nmae'"),
        ("Patient.name.foo()", "there is no function foo"),
        ("Patient.name.where(", "unexpected: the end"),
    ],
)
def test_what_is_wrong_is_refused(definitions: Definitions, expression: str, message: str) -> None:
    with pytest.raises(FhirPathError, match=message):
        compile_paths(expression, "Patient", definitions)
