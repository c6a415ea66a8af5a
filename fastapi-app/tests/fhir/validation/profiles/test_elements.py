"""What profiles say of single elements: facts, each with the reason at its end."""

from typing import Any

import pytest

from fhirserver.fhir.validation.validator import Validator

from .structures import R4, URL, Json, element, lookup, profile

CODES = {"a": True, "b": False}
LOINC = {"system": "http://loinc.org", "code": "1-8"}
OTHER = {"system": "http://loinc.org", "code": "2-6"}
ABSENT = {"url": R4 + "data-absent-reason", "valueCode": "unknown"}


def observation(**elements: Any) -> Json:
    return {"resourceType": "Observation", "status": "final", "code": {"coding": [LOINC]}, **elements}


def patient(**elements: Any) -> Json:
    return {"resourceType": "Patient", **elements}


def rule(id: str, **rules: Any) -> list[Json]:
    return [element(id, **rules)]


def invariant(key: str, expression: str, severity: str = "error") -> list[Json]:
    return [{"key": key, "severity": severity, "human": "it is so", "expression": expression}]


def bound(strength: str, value_set: str = "http://example.org/ValueSet/a") -> Json:
    return {"strength": strength, "valueSet": value_set}


MAX_SET = {
    "strength": "example",
    "valueSet": "http://example.org/ValueSet/any",
    "extension": [{"url": R4 + "elementdefinition-maxValueSet", "valueCanonical": "http://example.org/ValueSet/a"}],
}
NAME = [element("Patient.name", min=1), element("Patient.name.family", min=1), element("Patient.name.given", max="1")]
CASES: list[tuple[list[Json], Json, list[tuple[str, str]], str]] = [
    # cardinality
    (rule("Patient.birthDate", min=1), patient(birthDate="2000"), [], "it is there"),
    (rule("Patient.birthDate", min=1), patient(), [("required", "Patient")], "it is missing"),
    (rule("Patient.birthDate", min=1), patient(_birthDate={"extension": [ABSENT]}), [], "extensions stand for a value"),
    (rule("Patient.name", min=2), patient(name=[{"text": "a"}]), [("required", "Patient.name")], "one of two is there"),
    (rule("Patient.name", max="1"), patient(name=[{"text": "a"}]), [], "one is allowed"),
    (rule("Patient.name", max="1"), patient(name=[{"text": "a"}, {"text": "b"}]), [("structure", "Patient.name[1]")],
     "the second is too many"),
    (rule("Patient.photo", max="0"), patient(photo=[{"url": "http://a"}]), [("structure", "Patient.photo[0]")],
     "it is forbidden"),
    (NAME, patient(name=[{"family": "A", "given": ["B"]}]), [], "elements of a data type"),
    (NAME, patient(name=[{"text": "x"}, {"family": "A", "given": ["B", "C"]}]),
     [("required", "Patient.name[0]"), ("structure", "Patient.name[1].given[1]")], "each name by itself"),
    (NAME, patient(), [("required", "Patient")], "what is below counts only where there is one"),
    (rule("Patient.contact.name", min=1), patient(contact=[{"address": {"text": "a"}}]), [("required", "Patient.contact[0]")],
     "in a backbone"),
    (rule("Observation.value[x]", min=1), observation(valueString="a"), [], "any type of a choice"),
    (rule("Observation.value[x]", min=1), observation(), [("required", "Observation")], "none of a choice"),
    # types
    (rule("Observation.value[x]", type=[{"code": "Quantity"}, {"code": "string"}]), observation(valueString="a"), [],
     "one of two types"),
    (rule("Observation.value[x]", type=[{"code": "Quantity"}]), observation(valueString="a"),
     [("structure", "Observation.valueString")], "another type"),
    (rule("Bundle.entry.resource", type=[{"code": "Patient"}]),
     {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": patient()}]}, [], "the type of a resource"),
    (rule("Bundle.entry.resource", type=[{"code": "Patient"}]),
     {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": observation()}]},
     [("structure", "Bundle.entry[0].resource")], "a resource of another type"),
    # fixed and pattern
    (rule("Observation.status", fixedCode="final"), observation(), [], "the code that is fixed"),
    (rule("Observation.status", fixedCode="final"), observation(status="amended"), [("value", "Observation.status")],
     "another code"),
    (rule("Observation.code", fixedCodeableConcept={"coding": [LOINC]}), observation(), [], "all of it is the same"),
    (rule("Observation.code", fixedCodeableConcept={"coding": [LOINC]}),
     observation(code={"coding": [LOINC], "text": "x"}), [("value", "Observation.code")], "fixed: nothing more"),
    (rule("Observation.code", patternCodeableConcept={"coding": [LOINC]}),
     observation(code={"coding": [OTHER, LOINC | {"display": "x"}], "text": "x"}), [], "a pattern: more is allowed"),
    (rule("Observation.code", patternCodeableConcept={"coding": [LOINC]}), observation(code={"coding": [OTHER]}),
     [("value", "Observation.code")], "no coding has it"),
    (rule("Observation.code", patternCodeableConcept={"coding": [LOINC, OTHER]}), observation(),
     [("value", "Observation.code")], "one of two is missing"),
    (rule("Observation.code", patternCodeableConcept={"coding": [LOINC]}),
     observation(code={"coding": [{"system": "http://loinc.org"}, {"code": "1-8"}]}), [("value", "Observation.code")],
     "in one item, not in several"),
    (rule("Patient.active", patternBoolean=True), patient(active=False), [("value", "Patient.active")], "a boolean"),
    (rule("Patient.multipleBirth[x]", type=[{"code": "integer"}], fixedInteger=1), patient(multipleBirthInteger=1), [],
     "a number"),
    (rule("Patient.multipleBirth[x]", type=[{"code": "integer"}], fixedInteger=1), patient(multipleBirthInteger=2),
     [("value", "Patient.multipleBirthInteger")], "another number"),
    # limits
    (rule("Patient.birthDate", minValueDate="1900-01-01"), patient(birthDate="1899-12-31"),
     [("value", "Patient.birthDate")], "before the first"),
    (rule("Patient.birthDate", minValueDate="1900-01-01"), patient(birthDate="1900"), [], "may be after it"),
    (rule("Patient.birthDate", maxValueDate="2000-01-01"), patient(birthDate="2001"),
     [("value", "Patient.birthDate")], "after the last, whatever the day"),
    (rule("Observation.value[x]", type=[{"code": "integer"}], minValueInteger=0, maxValueInteger=9),
     observation(valueInteger=10), [("value", "Observation.valueInteger")], "more than the most"),
    (rule("Observation.value[x]", type=[{"code": "Quantity"}],
          maxValueQuantity={"value": 1, "system": "http://unitsofmeasure.org", "code": "kg"}),
     observation(valueQuantity={"value": 1001, "system": "http://unitsofmeasure.org", "code": "g"}),
     [("value", "Observation.valueQuantity")], "in other units"),
    (rule("Observation.value[x]", type=[{"code": "Quantity"}],
          maxValueQuantity={"value": 1, "system": "http://unitsofmeasure.org", "code": "kg"}),
     observation(valueQuantity={"value": 1001, "system": "http://unitsofmeasure.org", "code": "m"}), [],
     "what can't be compared is not more"),
    (rule("Patient.name.text", maxLength=3), patient(name=[{"text": "abc"}, {"text": "abcd"}]),
     [("too-long", "Patient.name[1].text")], "four characters of three"),
    # bindings
    (rule("Observation.code", binding=bound("required")), observation(code={"coding": [{"system": "s:s", "code": "a"}]}),
     [], "a code of the value set"),
    (rule("Observation.code", binding=bound("required")), observation(code={"coding": [{"system": "s:s", "code": "b"}]}),
     [("code-invalid", "Observation.code")], "a code that it does not have"),
    (rule("Observation.code", binding=bound("required")), observation(code={"text": "a"}),
     [("code-invalid", "Observation.code")], "required: a text is no code"),
    (rule("Observation.code", binding=bound("extensible")),
     observation(code={"coding": [{"system": "s:s", "code": "b"}]}), [], "extensible: no error"),
    (rule("Observation.code", binding=MAX_SET), observation(code={"coding": [{"system": "s:s", "code": "b"}]}),
     [("code-invalid", "Observation.code")], "beyond the largest value set"),
    (rule("Observation.value[x]", type=[{"code": "Quantity"}], binding=bound("required")),
     observation(valueQuantity={"value": 1, "unit": "x"}), [], "a number without a code"),
    (rule("Observation.value[x]", type=[{"code": "Quantity"}], binding=bound("required")),
     observation(valueQuantity={"value": 1, "system": "s:s", "code": "b"}),
     [("code-invalid", "Observation.valueQuantity")], "a number with another code"),
    (rule("Patient.language", binding=bound("required")), patient(language="b"), [("code-invalid", "Patient.language")],
     "a code without a system"),
    (rule("Patient.gender", binding=bound("required")), patient(gender="male"), [], "what can't be told is no error"),
    # constraints
    (rule("Patient", constraint=invariant("x-1", "name.exists()")), patient(name=[{"text": "a"}]), [], "it is met"),
    (rule("Patient", constraint=invariant("x-1", "name.exists()")), patient(), [("invariant", "Patient")], "it is not"),
    (rule("Patient", constraint=invariant("x-1", "birthDate > @2000-01-01")), patient(), [], "empty: not broken"),
    (rule("Patient", constraint=invariant("x-1", "name.exists()", "warning")), patient(), [], "no error"),
    (rule("Patient.name", constraint=invariant("x-1", "family.exists() or text.exists()")),
     patient(name=[{"text": "a"}, {"given": ["a"]}]), [("invariant", "Patient.name[1]")], "of an element"),
    (rule("Observation.value[x]", constraint=invariant("x-1", "$this is Quantity implies value > 0")),
     observation(valueQuantity={"value": 0}), [("invariant", "Observation.valueQuantity")], "of one of its types"),
    (rule("Patient.birthDate", constraint=invariant("x-1", "extension.exists()")), patient(birthDate="2000"),
     [("invariant", "Patient.birthDate")], "of a primitive"),
    (rule("Patient.birthDate", constraint=invariant("x-1", "extension.exists()")),
     patient(birthDate="2000", _birthDate={"extension": [ABSENT]}), [], "of a primitive with extensions"),
    (rule("Patient", constraint=invariant("x-1", "nothing.of.this")), patient(), [], "what R4 does not have is empty"),
]  # fmt: skip


def contains(value_set: str, system: str | None, code: str) -> bool | None:
    return CODES.get(code) if value_set == "http://example.org/ValueSet/a" else None


@pytest.mark.parametrize(("elements", "resource", "expected", "why"), CASES)
def test_element(
    validator: Validator, elements: list[Json], resource: Json, expected: list[tuple[str, str]], why: str
) -> None:
    own = validator.with_structures(lookup(profile("p", resource["resourceType"], *elements)), contains)
    assert validator.validate(resource) == [], "R4 itself allows it"
    issues = own.validate(resource, profiles=[URL + "p"])
    assert [(issue.code, issue.expression[0]) for issue in issues if issue.is_error] == expected, why
    assert all(URL + "p" in issue.diagnostics for issue in issues), "each names the profile"


def test_claimed_in_meta(validator: Validator) -> None:
    own = validator.with_structures(lookup(profile("p", "Patient", element("Patient.name", min=1))))
    resource = patient(meta={"profile": [URL + "p"]})
    assert [issue.expression for issue in own.validate(resource)] == [("Patient",)]
    assert [issue.expression for issue in own.validate(resource, profiles=[URL + "p"])] == [("Patient",)], "once"
    assert own.validate(patient()) == [], "a profile that nobody names"
    assert own.validate(resource, level="structure") == [], "profiles are not of the structure"


def test_claimed_within(validator: Validator) -> None:
    own = validator.with_structures(lookup(profile("p", "Patient", element("Patient.name", min=1))))
    inside = patient(meta={"profile": [URL + "p"]})
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": patient()}, {"resource": inside}]}
    assert [issue.expression for issue in own.validate(bundle)] == [("Bundle.entry[1].resource",)]
    contained = observation(contained=[inside | {"id": "a"}], subject={"reference": "#a"})
    assert [issue.expression for issue in own.validate(contained)] == [("Observation.contained[0]",)]


def test_unknown_profiles_are_told(validator: Validator) -> None:
    own = validator.with_structures(lookup())
    report = own.inspect(patient(meta={"profile": [URL + "x"]}), profiles=[URL + "y"])
    assert report.issues == []
    assert [(url, place[1:]) for url, place in report.unknown_profiles] == [
        (URL + "x", ("profile", 0)),
        (URL + "y", ("Patient", None)),
    ]


def test_a_profile_of_another_type(validator: Validator) -> None:
    own = validator.with_structures(lookup(profile("p", "Group")))
    (issue,) = own.validate(patient(meta={"profile": [URL + "p"]}))
    assert issue.expression == ("Patient.meta.profile[0]",)
    assert own.validate(patient(meta={"profile": [R4 + "Patient"]})) == []
    assert len(own.validate(patient(meta={"profile": [R4 + "Group"]}))) == 1


def test_recommendations_are_for_those_who_ask(validator: Validator) -> None:
    elements = (
        element("Observation.code", binding=bound("extensible")),
        element("Observation.category", binding=bound("preferred")),
        element("Observation", constraint=invariant("x-1", "method.exists()", "warning")),
    )
    own = validator.with_structures(lookup(profile("p", "Observation", *elements)), contains)
    concept = {"coding": [{"system": "s:s", "code": "b"}]}
    resource = observation(code=concept, category=[concept])
    assert own.validate(resource, profiles=[URL + "p"]) == []
    issues = own.validate(resource, level="full", profiles=[URL + "p"])
    assert {(issue.severity, issue.code, *issue.expression) for issue in issues if URL in issue.diagnostics} == {
        ("warning", "code-invalid", "Observation.code"),
        ("information", "code-invalid", "Observation.category[0]"),
        ("warning", "invariant", "Observation"),
    }


def test_questions(validator: Validator) -> None:
    """What value sets that are not known have is asked."""
    own = validator.with_structures(
        lookup(
            profile("p", "Observation", element("Observation.code", binding=bound("required", "http://example.org/z")))
        )
    )
    report = own.inspect(observation(), profiles=[URL + "p"])
    assert report.issues == []
    (question,) = report.questions
    assert question.binding is not None
    assert question.binding.value_set == "http://example.org/z"
    assert question.codes == (("http://loinc.org", "1-8"),)
