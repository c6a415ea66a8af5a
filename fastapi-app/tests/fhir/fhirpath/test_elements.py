"""Elements: members, choices, primitives with extensions, types, inside resources of all kinds.

https://hl7.org/fhir/R4/fhirpath.html
"""

from decimal import Decimal
from typing import Any

import pytest

from fhirserver.fhir.definitions import Definitions
from fhirserver.fhir.fhirpath import FhirPathError, Node, compile_expression

ABSENT = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "p",
    "active": False,
    "name": [
        {
            "use": "official",
            "given": ["Anna", None, "Bea"],
            "_given": [None, {"extension": [{"url": ABSENT, "valueCode": "masked"}]}, {"id": "b"}],
        },
        {"text": "Nan", "given": ["Nan"]},
    ],
    "_birthDate": {"extension": [{"url": ABSENT, "valueCode": "unknown"}]},
    "deceasedDateTime": "2020-05",
    "multipleBirthInteger": 2,
    "gender": "female",
    "_gender": {"extension": [{"url": "http://e/note", "valueString": "said"}]},
    "contact": [{"gender": "male"}, {"name": {"family": "Berg"}}],
    "contained": [
        {"resourceType": "Organization", "id": "o", "name": "Ward"},
        {"resourceType": "Practitioner", "id": "d", "name": [{"family": "Dorn"}]},
    ],
    "generalPractitioner": [{"reference": "#d"}, {"reference": "Practitioner/9"}],
}
OBSERVATION: dict[str, Any] = {
    "resourceType": "Observation",
    "status": "final",
    "valueQuantity": {"value": Decimal("5.40"), "system": "http://unitsofmeasure.org", "code": "mg"},
    "component": [
        {"valueString": "one"},
        {"valueQuantity": {"value": 2, "unit": "pills"}},
        {"valueInteger": 3, "_valueInteger": {"id": "x"}},
        {"_valueDateTime": {"extension": [{"url": ABSENT, "valueCode": "unknown"}]}},
    ],
    "referenceRange": [{"low": {"value": 1}, "high": {"value": 2}}],
}
BUNDLE: dict[str, Any] = {
    "resourceType": "Bundle",
    "type": "collection",
    "entry": [
        {"fullUrl": "http://e/Patient/p", "resource": PATIENT},
        {"fullUrl": "http://e/Observation/1", "resource": OBSERVATION},
    ],
}
RESOURCES = {"Patient": PATIENT, "Observation": OBSERVATION, "Bundle": BUNDLE}


@pytest.mark.parametrize("type_name", ["Patient", None])  # the type known beforehand, or looked up on the way
@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("id", ["p"]),
        ("Patient.id", ["p"]),
        ("Resource.id", ["p"]),
        ("Observation.status", []),  # not the type that is there
        ("name.given", ["Anna", PATIENT["name"][0]["_given"][1], "Bea", "Nan"]),
        ("name.given.count()", [4]),  # an element without a value is one
        ("name.given.where(hasValue()).count()", [3]),
        ("name.given.select($this & '.')", ["Anna.", ".", "Bea.", "Nan."]),
        ("name.given[1].extension.value", ["masked"]),
        ("name.given.extension(%`ext-data-absent-reason`).value", ["masked"]),
        ("name.given.id", ["b"]),
        ("name.given.distinct().count()", [4]),
        ("name.given = name.given", [True]),
        ("'Bea' in name.given", [True]),
        ("name.first().given.last()", ["Bea"]),
        ("name.where(use = 'official').given.first()", ["Anna"]),
        ("name.where(use.exists().not()).text", ["Nan"]),
        ("name.exists(given = 'Nan')", [True]),
        ("name.all(given.exists())", [True]),
        ("name.select(iif(use = 'official', given.first(), text))", ["Anna", "Nan"]),
        ("birthDate.exists()", [True]),
        ("birthDate.empty()", [False]),
        ("birthDate.hasValue()", [False]),
        ("birthDate.getValue()", []),
        ("birthDate", [PATIENT["_birthDate"]]),
        ("birthDate = @2020", []),
        ("birthDate.extension.value", ["unknown"]),
        ("gender", ["female"]),
        ("gender = 'female'", [True]),
        ("gender.extension('http://e/note').value & '!'", ["said!"]),
        ("gender.value", ["female"]),
        ("gender.length()", [6]),
        ("gender.matches('^fe')", [True]),
        ("contact.gender", ["male"]),
        ("contact.name.family", ["Berg"]),
        ("contact.name.exists()", [True]),
        ("active", [False]),
        ("active.not()", [True]),
        ("active = false", [True]),
        ("active is boolean", [True]),
        ("active is System.Boolean", [False]),
        ("deceased", ["2020-05"]),
        ("deceased is dateTime", [True]),
        ("deceased is boolean", [False]),
        ("deceased as dateTime", ["2020-05"]),
        ("deceased as boolean", []),
        ("deceasedDateTime", ["2020-05"]),  # as published profiles have it
        ("repeat(contact | contained).count()", [4]),
        ("deceased.ofType(dateTime) > @2020-04", [True]),
        ("(deceased as dateTime) > @2020-05-01", []),  # the precision leaves it open
        ("multipleBirth + 1", [3]),
        ("multipleBirth is integer", [True]),
        ("photo.exists()", [False]),
        ("photo.title.exists()", [False]),
        ("contained.id", ["o", "d"]),
        ("contained.name", ["Ward", {"family": "Dorn"}]),
        ("contained.ofType(Practitioner).name.family", ["Dorn"]),
        ("contained.where($this is Organization).name", ["Ward"]),
        ("contained.name.ofType(HumanName).family", ["Dorn"]),
        ("contained[1].is(Practitioner)", [True]),
        ("generalPractitioner.resolve().name.family", ["Dorn"]),
        ("generalPractitioner.where(resolve() is Practitioner).reference", ["#d"]),
        ("name.given.type().name.distinct()", ["string"]),
        ("type().name", ["Patient"]),
        ("type().namespace", ["FHIR"]),
        ("children().ofType(HumanName).text", ["Nan"]),
        ("children().count()", [14]),
        ("descendants().ofType(Reference).reference", ["#d", "Practitioner/9"]),
        ("descendants().where($this is code).count()", [5]),  # gender, use, the code of two extensions …
        ("descendants().as(id)", ["p", "o", "d"]),
        ("repeat(contact | name).count()", [5]),  # also the name of a contact,
        ("name.given.select($index)", [0, 1, 2, 3]),
        ("name.select(given.select($index) | $index)", [0, 1, 2, 0, 1]),  # each has its own
        ("name.given.aggregate($total + 1, 0)", [4]),
        ("name.aggregate(%resource.name.where($total.exists()).count() | $total)", [2, 0]),  # asked anew each time
        ("name.given.aggregate(iif($total.empty(), $this, $total & $this))", ["AnnaBeaNan"]),
        ("(gender | name.use).count()", [2]),
        ("name.given.combine(contact.gender).count()", [5]),
        ("name.checkModifiers().count()", [2]),
        ("name.trace('n', given).count()", [2]),
    ],
)
def test_patient(definitions: Definitions, type_name: str | None, expression: str, result: list[Any]) -> None:
    assert compile_expression(expression, type_name, definitions).evaluate(PATIENT) == result


@pytest.mark.parametrize(
    ("resource_type", "expression", "types", "result"),
    [
        ("Patient", "name.given", ("string",), [("string", "Anna"), ("string", "Bea"), ("string", "Nan")]),
        ("Patient", "gender", ("code",), [("code", "female")]),
        ("Patient", "deceased", ("boolean", "dateTime"), [("dateTime", "2020-05")]),
        ("Patient", "deceased.exists()", ("boolean",), [("boolean", True)]),
        ("Patient", "name.given.count()", ("integer",), [("integer", 4)]),
        ("Patient", "multipleBirth / 4", None, [("decimal", Decimal("0.5"))]),
        ("Patient", "@2020-05", ("date",), [("date", "2020-05")]),
        ("Patient", "1 week", ("Quantity",), [("Quantity", {"value": 1, "system": "http://unitsofmeasure.org", "code": "wk"})]),
        ("Patient", "birthDate | gender", ("code", "date"), [("code", "female")]),
        ("Patient", "descendants().ofType(Reference).first()", ("Reference",), [("Reference", {"reference": "#d"})]),
        ("Patient", "contained.id", None, [("id", "o"), ("id", "d")]),
        ("Patient", "contained.first()", None, [("Organization", PATIENT["contained"][0])]),
        ("Observation", "value.code", ("code",), [("code", "mg")]),  # of the one type that has it
        ("Observation", "component.value.ofType(integer)", ("integer",), [("integer", 3)]),
        ("Observation", "component.value", None, [("string", "one"), ("Quantity", {"value": 2, "unit": "pills"}), ("integer", 3)]),
        ("Observation", "component.value.count()", ("integer",), [("integer", 4)]),
        ("Observation", "component.value.hasValue()", ("boolean",), [("boolean", False)]),  # more than one
        ("Observation", "component.where(value is string).value", None, [("string", "one")]),
        ("Observation", "component.value.is(string)", ("boolean",), FhirPathError),
        ("Observation", "value > 5 'mg'", ("boolean",), [("boolean", True)]),
        ("Observation", "value = 0.0054 'g'", ("boolean",), [("boolean", True)]),
        ("Observation", "value.value * 2", None, [("decimal", Decimal("10.80"))]),
        ("Observation", "component[1].value > 1", ("boolean",), []),  # pills are no number
        ("Observation", "referenceRange.low < referenceRange.high", ("boolean",), [("boolean", True)]),
        ("Observation", "component[2].value.id", ("string",), [("string", "x")]),
        ("Bundle", "entry.resource.ofType(Patient).gender", ("code",), [("code", "female")]),
        ("Bundle", "entry.resource.status", None, [("code", "final")]),
        ("Bundle", "entry.where(resource is Observation).fullUrl", ("uri",), [("uri", "http://e/Observation/1")]),
        ("Bundle", "entry.first().resource.is(Patient)", ("boolean",), [("boolean", True)]),
        ("Bundle", "entry.resource.descendants().ofType(Quantity).unit", ("string",), [("string", "pills")]),
    ],
)  # fmt: skip
def test_types(
    definitions: Definitions, resource_type: str, expression: str, types: tuple[str, ...] | None, result: Any
) -> None:
    compiled = compile_expression(expression, resource_type, definitions)
    if types is not None:
        assert compiled.types == types
    if result is FhirPathError:
        with pytest.raises(FhirPathError):
            compiled.typed(RESOURCES[resource_type])
        return
    assert compiled.typed(RESOURCES[resource_type]) == result


def test_a_choice_may_have_any_of_its_types(definitions: Definitions) -> None:
    assert compile_expression("component.value", "Observation", definitions).types == (
        "CodeableConcept", "Period", "Quantity", "Range", "Ratio", "SampledData", "boolean", "dateTime", "integer",
        "string", "time",
    )  # fmt: skip
    assert compile_expression("entry.resource", "Bundle", definitions).types is None


@pytest.mark.parametrize(
    ("node", "type_name", "expression", "result"),
    [
        ({"start": "2020", "end": "2021"}, "Period", "start <= end", True),
        ({"start": "2022", "end": "2021"}, "Period", "start <= end", False),
        ({"start": "2022"}, "Period", "start <= end", None),
        ({"low": {"value": 1, "unit": "x"}, "high": {"value": 2, "unit": "x"}}, "Range", "low <= high", True),
        ({"low": {"value": 1, "unit": "x"}, "high": {"value": 2, "unit": "y"}}, "Range", "low <= high", None),
        ({"low": {"unit": "x"}, "high": {"value": 2}}, "Range", "low <= high", None),  # no number
        ({"low": {"value": 1, "comparator": "<"}, "high": {"value": 2}}, "Range", "low <= high", None),
        ("abc", "string", "length() = 3", True),
        (Node("abc", "string", {"id": "a"}), "string", "length() = 3 and id = 'a'", True),
        (Node(None, "date", {"extension": []}), "date", "hasValue()", False),
        ("2020-01-01", "date", "$this > @2019", True),
        (5, "integer", "$this > 4", True),
        ({"value": 5}, "Quantity", "value", True),  # a single item that is no boolean counts as true
        ({"value": 0}, "Quantity", "value", True),
        ({"valueBoolean": False}, "Observation.component", "value", False),
        ({"item": [{"linkId": "a", "item": [{"linkId": "b"}]}]}, "Questionnaire.item", "repeat(item).linkId.count() = 2", True),
        (Node("a", "code"), None, "$this is string", True),
    ],
)  # fmt: skip
def test_conditions_on_elements(
    definitions: Definitions, node: Any, type_name: str | None, expression: str, result: bool | None
) -> None:
    assert compile_expression(expression, type_name, definitions).test(node) is result


@pytest.mark.parametrize(
    ("type_name", "expression", "message"),
    [
        ("Patient", "name.givne", "HumanName has no element 'givne' (position 5 of 'name.givne')"),
        ("Patient", "nam", "Patient has no element 'nam' (position 0"),
        ("Observation", "value.family", "has no element 'family'"),
        ("Observation", "(value as Period).unit", "Period has no element 'unit'"),
        ("Patient", "name.startsWith('a')", "startsWith(): String was expected, not HumanName"),
        ("Patient", "name.where(given.contains(1))", "contains(): String was expected, not System.Integer"),
        ("Foo", "id", "there is no type Foo"),
    ],
)
def test_wrong_for_the_type(definitions: Definitions, type_name: str, expression: str, message: str) -> None:
    with pytest.raises(FhirPathError) as caught:
        compile_expression(expression, type_name, definitions)
    assert message in str(caught.value)


@pytest.mark.parametrize("expression", ["deceasedDateTime", "Observation.id", "children().first()"])
def test_wrong_by_the_letter_of_the_specification(definitions: Definitions, expression: str) -> None:
    compile_expression(expression, "Patient", definitions)
    with pytest.raises(FhirPathError):
        compile_expression(expression, "Patient", definitions, is_strict=True)


@pytest.mark.parametrize(
    "node",
    [
        {"resourceType": "Patient", "name": "text", "gender": 5, "contained": 7, "contact": [1, None, {"name": []}]},
        {"resourceType": "Patient", "name": [None, [[]]], "_gender": "x", "deceasedDateTime": {}, "extension": {}},
        {"resourceType": ["Patient"], "name": {"given": {"a": 1}, "_given": [1]}, "contained": [{"resourceType": 3}]},
        {},
        [],
        "Patient",
        None,
        5,
    ],
)
@pytest.mark.parametrize("type_name", ["Patient", None])
@pytest.mark.parametrize(
    "expression",
    [
        "name.given.first() & 'a'", "gender = 'male'", "gender.length()", "descendants().count()", "deceased > @2020",
        "contained.name.exists()", "contact.name.family.where($this = 'a')", "extension('a').value",
        "children().distinct()", "name.given.hasValue()", "contained.resolve()", "name ~ name", "repeat(contact)",
    ],
)  # fmt: skip
def test_json_of_the_wrong_shape(definitions: Definitions, node: Any, type_name: str | None, expression: str) -> None:
    compiled = compile_expression(expression, type_name, definitions)
    try:
        assert isinstance(compiled.evaluate(node), list)
        assert isinstance(compiled.typed(node), list)
    except FhirPathError:
        pass
