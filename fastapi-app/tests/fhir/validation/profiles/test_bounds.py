"""Profiles that are wrong, or that would cost too much: an issue, never a failure."""

from typing import Any

import pytest

from fhirserver.fhir.validation.validator import Validator

from .structures import R4, URL, Json, by, element, lookup, profile

PATIENT = {"resourceType": "Patient", "name": [{"family": "x"}], "birthDate": "2000-01-01"}


def raw(*elements: Any, **others: Any) -> Json:
    """A profile with this snapshot, whatever it is."""
    return {**profile("p", "Patient"), "snapshot": {"element": list(elements)}, **others}


ROOT = {"id": "Patient", "path": "Patient"}
MALFORMED: list[tuple[Json, list[str], str]] = [
    (raw(ROOT, {"id": 1, "path": "Patient.name"}), [], "an id that is a number"),
    (raw(ROOT, {"path": 1}), [], "a path that is a number"),
    (raw(ROOT, {"id": "Patient.name", "path": "Patient.name", "type": "HumanName", "min": "1"}), [], "types that are none"),
    (raw(ROOT, {"id": "Patient.name", "path": "Patient.name", "type": [{"code": {}}], "max": 1}), [], "a type as an object"),
    (raw(ROOT, {"id": "Patient.x", "path": "Patient.x", "min": 1}), ["warning"], "an element that R4 does not have"),
    (raw(ROOT, {"id": "Patient.name", "path": "Patient.name", "slicing": "x"}), [], "a slicing that is a text"),
    (raw(ROOT, {"id": "Patient.name", "path": "Patient.name", "slicing": by("value:((")},
         {"id": "Patient.name:a", "path": "Patient.name", "sliceName": "a"}), ["warning"], "a discriminator that is no path"),
    (raw(ROOT, {"id": "Patient.name", "path": "Patient.name", "slicing": by("odd:use")},
         {"id": "Patient.name:a", "path": "Patient.name", "sliceName": "a"}), ["warning"], "a kind of discriminator that is not R4's"),
    (raw({**ROOT, "constraint": [{"key": "x", "severity": "error", "human": "x", "expression": "(("}]}),
     ["warning"], "a constraint that is no FHIRPath"),
    (raw({**ROOT, "constraint": ["x", {"key": 1}]}), [], "constraints that are none"),
    (raw(ROOT, {"id": "Patient.gender", "path": "Patient.gender", "binding": "x"}), [], "a binding that is a text"),
    (raw(ROOT, {"id": "Patient.name", "path": "Patient.name", "contentReference": "#x"}), [], "a reference to nothing"),
    (raw(), ["error"], "no elements"),
    (raw(snapshot="x"), ["error"], "no snapshot"),
    (raw(ROOT, type="Nothing"), ["error"], "a type that R4 does not have"),
    (raw(ROOT, type=["Patient"]), ["error"], "a list of types"),
]  # fmt: skip


@pytest.mark.parametrize(("structure", "expected", "why"), MALFORMED)
def test_malformed(validator: Validator, structure: Json, expected: list[str], why: str) -> None:
    own = validator.with_structures({URL + "p": structure}.get)
    assert [issue.severity for issue in own.validate(PATIENT, profiles=[URL + "p"])] == expected, why
    own.validate(PATIENT, level="full", profiles=[URL + "p"])


def test_what_can_not_be_used_is_refused(validator: Validator) -> None:
    """A profile without a snapshot can't be kept to, so nothing is stored that claims it."""
    own = validator.with_structures({URL + "p": raw()}.get)
    (issue,) = own.validate(PATIENT, profiles=[URL + "p"])
    assert issue.is_error
    assert issue.diagnostics == f"{URL}p can't be used: it has no snapshot"


MALFORMED_RESOURCES = [
    {"resourceType": "Patient", "name": "x", "extension": "x", "meta": "x"},
    {
        "resourceType": "Patient",
        "name": [1, None, {"family": 1}],
        "extension": [1, {"url": 1}],
        "meta": {"profile": [1]},
    },
    {"resourceType": "Patient", "name": {"family": ["x"]}, "birthDate": {}, "_birthDate": ["x"], "contained": "x"},
    {"resourceType": "Patient", "managingOrganization": "x", "contained": [1, {"resourceType": 1}]},
]


@pytest.mark.parametrize("resource", MALFORMED_RESOURCES)
def test_malformed_resources(validator: Validator, resource: Json) -> None:
    rules = profile(
        "p",
        "Patient",
        element("Patient.name", min=1, max="1"),
        element("Patient.name.family", min=1, patternString="x"),
        element("Patient.birthDate", minValueDate="2000-01-01"),
        element("Patient.managingOrganization", type=[{"code": "Reference", "targetProfile": [R4 + "Organization"]}],
                constraint=[{"key": "x", "severity": "error", "human": "x", "expression": "reference.length() > 1"}]),
        element("Patient.identifier", slicing=by("value:system", "type:assigner.resolve()")),
        element("Patient.identifier:a.system", fixedUri="s:s"),
    )  # fmt: skip
    own = validator.with_structures(lookup(rules))
    without = validator.validate(resource)
    issues = own.validate(resource, profiles=[URL + "p"])
    assert without
    assert all(issue in issues for issue in without)


def test_a_profile_that_refers_to_itself(validator: Validator) -> None:
    own_type = [{"code": "Extension", "profile": [URL + "e"]}]
    itself = profile(
        "e",
        "Extension",
        element("Extension.extension", slicing=by("profile:$this")),
        element("Extension.extension:e", type=own_type),
        element("Extension.url", fixedUri=URL + "e"),
    )
    own = validator.with_structures(lookup(itself))
    value: Json = {"url": URL + "e", "valueString": "x"}
    for _ in range(30):
        value = {"url": URL + "e", "extension": [value]}
    assert own.validate({"resourceType": "Patient", "extension": [value]}) == []


def test_profiles_that_impose_each_other(validator: Validator) -> None:
    def imposing(name: str, other: str, *elements: Json) -> Json:
        imposed = {"url": R4 + "structuredefinition-imposeProfile", "valueCanonical": URL + other}
        return profile(name, "Patient", *elements, extension=[imposed])

    own = validator.with_structures(
        lookup(imposing("p", "q"), imposing("q", "p", element("Patient.name.given", min=1)))
    )
    (issue,) = own.validate(PATIENT, profiles=[URL + "p"])
    assert issue.expression == ("Patient.name[0]",)
    assert URL + "q" in issue.diagnostics


def test_many_slices_of_many_values(validator: Validator) -> None:
    """It is broken off with an error, and soon."""
    count = 500
    slices = [element(f"Patient.name:s{n}") for n in range(count)]
    told = [element(f"Patient.name:s{n}.text", patternString=str(n)) for n in range(count)]
    elements = [
        element("Patient.name", slicing=by("value:text")),
        *(item for pair in zip(slices, told, strict=True) for item in pair),
    ]
    own = validator.with_structures(lookup(profile("p", "Patient", *elements)))
    few = {"resourceType": "Patient", "name": [{"text": "x"}] * 50}
    assert own.validate(few, profiles=[URL + "p"]) == []
    many = {"resourceType": "Patient", "name": [{"text": "x"}] * 500}
    (issue,) = own.validate(many, profiles=[URL + "p"])
    assert (issue.severity, issue.code) == ("error", "too-costly")
