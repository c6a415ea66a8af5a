"""What an expression asks its surroundings for.

https://hl7.org/fhir/R4/fhirpath.html#variables and https://hl7.org/fhir/R4/fhirpath.html#functions
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from fhirserver.fhir.definitions import Definitions
from fhirserver.fhir.fhirpath import Environment, FhirPathError, Node, compile_expression, stub

SNOMED = "http://snomed.info/sct"
PATIENT: dict[str, Any] = {"resourceType": "Patient", "id": "p", "gender": "male"}
CONDITION: dict[str, Any] = {
    "resourceType": "Condition",
    "id": "c",
    "code": {"coding": [{"system": SNOMED, "code": "1"}, {"system": "http://e", "code": "x"}], "text": "one"},
    "subject": {"reference": "Patient/p"},
    "recorder": {"identifier": {"value": "7"}, "type": "Practitioner"},
    "asserter": {"reference": "#in"},
    "stage": [{"summary": {"text": "a"}}, {"summary": {"text": "b"}}],
    "text": {"status": "empty", "div": "<div xmlns='http://www.w3.org/1999/xhtml'>x</div>"},
    "contained": [{"resourceType": "Practitioner", "id": "in", "name": [{"family": "Ito"}]}],
    "modifierExtension": [{"url": "http://e/mod", "valueBoolean": True}],
}
BUNDLE: dict[str, Any] = {
    "resourceType": "Bundle",
    "entry": [
        {"fullUrl": "http://e/fhir/Patient/p", "resource": PATIENT},
        {"fullUrl": "urn:uuid:1", "resource": CONDITION | {"subject": {"reference": "http://e/fhir/Patient/p"}}},
    ],
}


class Terminology:
    def member_of(self, codings: Sequence[Mapping[str, Any]], value_set: str) -> bool | None:
        if value_set != "http://e/vs":
            return None
        return any(coding["code"] == "1" for coding in codings)

    def subsumes(self, general: Mapping[str, Any], special: Mapping[str, Any]) -> bool | None:
        if general.get("system") != special.get("system"):
            return None
        return bool(special["code"].startswith(general["code"]))


def environment(**more: Any) -> Environment:
    return Environment(
        variables={
            "patient": PATIENT,
            "number": 3,
            "names": ["a", "b"],
            "nothing": None,
            "coding": Node({"system": SNOMED, "code": "12"}, "Coding"),
        },
        terminology=Terminology(),
        conforms_to=lambda value, url: None if url == "http://e/unknown" else value.get("id") == "c",
        html_checks=lambda text: "<script" not in text,
        in_slice=lambda value, profile, name: value["summary"]["text"] == name,
        **more,
    )


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("%resource.id", ["c"]),
        ("stage.select(%resource.id)", ["c", "c"]),
        ("stage.summary.select(%context.id)", ["c", "c"]),
        ("%rootResource.id", ["c"]),
        ("%sct", [SNOMED]),
        ("%`vs-condition-code`", ["http://hl7.org/fhir/ValueSet/condition-code"]),
        ("%'ext-birthPlace'", ["http://hl7.org/fhir/StructureDefinition/birthPlace"]),
        ("%patient.gender", ["male"]),
        ("%patient is Patient", [True]),
        ("%number + 1", [4]),
        ("%names.count()", [2]),
        ("'b' in %names", [True]),
        ("%nothing.exists()", [False]),
        ("%coding.code", ["12"]),
        ("code.memberOf('http://e/vs')", [True]),  # one of its codings is enough
        ("code.coding[0].memberOf('http://e/vs')", [True]),
        ("code.coding[1].memberOf('http://e/vs')", [False]),
        ("code.coding[1].code.memberOf('http://e/vs')", [False]),
        ("code.memberOf('http://e/other')", []),
        ("bodySite.memberOf('http://e/vs')", []),
        ("code.coding[0].subsumes(%coding)", [True]),
        ("code.coding[0].subsumedBy(%coding)", [False]),
        ("code.subsumes(%coding)", [True]),
        ("code.coding[1].subsumes(%coding)", []),
        ("conformsTo('http://e/profile')", [True]),
        ("text.div.htmlChecks()", [True]),
        ("stage.slice('http://e/profile', 'b').summary.text", ["b"]),
        ("checkModifiers('http://e/mod').id", ["c"]),
        ("asserter.resolve().name.family", ["Ito"]),  # contained
        ("subject.resolve().id", ["p"]),
        ("recorder.resolve().exists()", [False]),
        ("subject.where(resolve() is Patient).reference", ["Patient/p"]),
    ],
)
def test_condition(definitions: Definitions, expression: str, result: list[Any]) -> None:
    def resolve(reference: Any) -> dict[str, Any] | None:
        return PATIENT if reference == {"reference": "Patient/p"} else None

    compiled = compile_expression(expression, "Condition", definitions)
    assert compiled.evaluate(CONDITION, environment(resolve=resolve)) == result


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("%other", "there is no variable %other (position 0"),
        ("conformsTo('http://e/unknown')", "the profile http://e/unknown is not known"),
        ("checkModifiers('http://e/another')", "there is a modifier extension http://e/mod"),
    ],
)
def test_errors(definitions: Definitions, expression: str, message: str) -> None:
    with pytest.raises(FhirPathError) as caught:
        compile_expression(expression, "Condition", definitions).evaluate(CONDITION, environment())
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("code.memberOf('http://e/vs')", "there is no terminology"),
        ("code.subsumes(code)", "there is no terminology"),
        ("text.div.htmlChecks()", "there is nothing that checks XHTML"),
        ("slice('a', 'b')", "there are no profiles"),
        ("conformsTo('http://e/profile')", "the profile http://e/profile is not known"),
    ],
)
def test_what_is_not_there_is_an_error(definitions: Definitions, expression: str, message: str) -> None:
    with pytest.raises(FhirPathError, match=message):
        compile_expression(expression, "Condition", definitions).evaluate(CONDITION)


def test_references_inside_a_bundle(definitions: Definitions) -> None:
    expression = "entry.resource.ofType(Condition).subject.resolve().gender"
    assert compile_expression(expression, "Bundle", definitions).evaluate(BUNDLE) == ["male"]
    relative = {"resourceType": "Bundle", "entry": [BUNDLE["entry"][0], {"fullUrl": "u", "resource": CONDITION}]}
    assert compile_expression(expression, "Bundle", definitions).evaluate(relative) == ["male"]


def test_an_element_of_a_resource(definitions: Definitions) -> None:
    compiled = compile_expression(
        "text & %resource.id & %rootResource.id & %context.text", "CodeableConcept", definitions
    )
    env = Environment(resource=CONDITION, root_resource=BUNDLE | {"id": "b"})
    assert compiled.evaluate(CONDITION["code"], env) == ["onecbone"]


def test_an_environment_serves_one_evaluation_after_the_other(definitions: Definitions) -> None:
    env = Environment()
    compiled = compile_expression("%resource.id", "Patient", definitions)
    assert [compiled.evaluate({"resourceType": "Patient", "id": id}, env) for id in "ab"] == [["a"], ["b"]]


@pytest.mark.parametrize(
    ("reference", "resource"),
    [
        ({"reference": "Patient/1"}, {"resourceType": "Patient", "id": "1"}),
        ({"reference": "http://e/fhir/Patient/1/_history/2"}, {"resourceType": "Patient", "id": "1"}),
        ("Patient/1", {"resourceType": "Patient", "id": "1"}),
        ({"reference": "Patient?identifier=x"}, {"resourceType": "Patient"}),
        ({"reference": "urn:uuid:1", "type": "Patient"}, {"resourceType": "Patient"}),
        ({"identifier": {"value": "1"}, "type": "Patient"}, {"resourceType": "Patient"}),
        ({"display": "somebody"}, None),
        ({"reference": 5, "type": 6}, None),
        (7, None),
    ],
)
def test_a_reference_tells_its_type(reference: Any, resource: dict[str, Any] | None) -> None:
    assert stub(reference) == resource
