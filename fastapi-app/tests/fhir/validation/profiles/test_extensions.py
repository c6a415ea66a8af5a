"""Extensions against their definitions, wherever they are: facts, each with the reason at its end."""

import pytest

from fhirserver.fhir.validation.validator import Validator

from .structures import R4, URL, Json, by, element, extension, lookup, profile

SIMPLE = extension("simple", element("Extension.value[x]", min=1, type=[{"code": "string"}, {"code": "code"}]))
PLACED = extension("placed", context=("Patient.name", "HumanName.family", "Observation.value[x]", "ContactPoint"))
MANY = extension(
    "many",
    element("Extension.extension", slicing=by("value:url")),
    element("Extension.extension:a", min=1, max="1"),
    element("Extension.extension:a.url", fixedUri="a"),
    element("Extension.extension:a.value[x]", min=1, type=[{"code": "string"}]),
    element("Extension.value[x]", max="0"),
)
VALUE = {"valueString": "x"}


def patient(*extensions: Json, **elements: object) -> Json:
    return {"resourceType": "Patient", **({"extension": list(extensions)} if extensions else {}), **elements}


def the(name: str, **content: object) -> Json:
    return {"url": URL + name, **content}


def many(*parts: Json) -> Json:
    return the("many", extension=list(parts))


CASES: list[tuple[Json, list[tuple[str, str]], str]] = [
    (patient(the("simple", **VALUE)), [], "as it is defined"),
    (patient(the("simple", valueInteger=1)), [("structure", "Patient.extension[0].valueInteger")], "of another type"),
    (patient(the("simple", extension=[the("simple", **VALUE)])), [("required", "Patient.extension[0]")],
     "without its value"),
    (patient(the("unknown", valueInteger=1)), [], "nothing is known of it"),
    (patient(_birthDate={"extension": [the("simple", valueInteger=1)]}),
     [("structure", "Patient.birthDate.extension[0].valueInteger")], "of a primitive"),
    (patient(name=[{"extension": [the("simple", valueInteger=1)], "text": "x"}]),
     [("structure", "Patient.name[0].extension[0].valueInteger")], "of a data type"),
    (patient(the("other", extension=[the("simple", valueInteger=1)])),
     [("structure", "Patient.extension[0].extension[0].valueInteger")], "in another extension"),
    (patient(many({"url": "a", "valueString": "x"})), [], "an extension of several parts"),
    (patient(many({"url": "b", "valueString": "x"})), [("required", "Patient.extension[0].extension")],
     "a part is missing"),
    (patient(many({"url": "a", "valueInteger": 1})), [("structure", "Patient.extension[0].extension[0].valueInteger")],
     "a part of another type"),
    (patient(many({"url": "a", "valueString": "x"}, {"url": "a", "valueString": "y"})),
     [("structure", "Patient.extension[0].extension[1]")], "a part too often"),
    (patient(the("placed", **VALUE)), [("extension", "Patient.extension[0]")], "not where it may be"),
    (patient(name=[{"extension": [the("placed", **VALUE)], "text": "x"}]), [], "in the element that is named"),
    (patient(contact=[{"name": {"extension": [the("placed", **VALUE)], "text": "x"}, "gender": "male"}]),
     [("extension", "Patient.contact[0].name.extension[0]")], "in another of the same type"),
    (patient(contact=[{"name": {"_family": {"extension": [the("placed", **VALUE)]}}}]), [], "in an element of a type"),
    (patient(telecom=[{"extension": [the("placed", **VALUE)], "system": "phone", "value": "x"}]), [], "in any element of a type"),
    ({"resourceType": "Observation", "status": "final", "code": {"text": "x"},
      "valueQuantity": {"value": 1, "extension": [the("placed", **VALUE)]}}, [], "in a choice"),
    ({"resourceType": "Bundle", "type": "collection", "entry": [{"resource": patient(the("placed", **VALUE))}]},
     [("extension", "Bundle.entry[0].resource.extension[0]")], "in a resource within"),
    (patient({"url": URL + "p", "valueString": "x"}), [("extension", "Patient.extension[0].url")],
     "a profile that is none of extensions"),
    (patient({"url": R4 + "patient-birthTime", "valueDateTime": "2000-01-01"}), [("extension", "Patient.extension[0]")],
     "R4's own: it is for the date of birth"),
    (patient(birthDate="2000-01-01",
             _birthDate={"extension": [{"url": R4 + "patient-birthTime", "valueDateTime": "2000-01-01"}]}),
     [], "where it belongs"),
    (patient({"url": R4 + "patient-religion", "valueString": "x"}),
     [("structure", "Patient.extension[0].valueString")], "R4's own: another type"),
]  # fmt: skip


@pytest.mark.parametrize(("resource", "expected", "why"), CASES)
def test_extension(validator: Validator, resource: Json, expected: list[tuple[str, str]], why: str) -> None:
    own = validator.with_structures(lookup(SIMPLE, PLACED, MANY, profile("p", "Patient")))
    assert validator.validate(resource) == [], "R4 itself allows it"
    assert [(issue.code, issue.expression[0]) for issue in own.validate(resource)] == expected, why
    assert own.validate(resource, level="structure") == []


def test_definitions_may_have_extensions_in_more_places(validator: Validator) -> None:
    """R4's own value sets have what is for StructureDefinitions by its own definition."""
    own = validator.with_structures(lookup())
    since = {"url": R4 + "structuredefinition-normative-version", "valueCode": "4.0.0"}
    value_set = {"resourceType": "ValueSet", "url": "http://a", "status": "active", "extension": [since]}
    assert own.validate(value_set) == []
    issues = own.validate(value_set, level="full")
    assert [issue.severity for issue in issues if issue.code == "extension"] == ["warning"]
    assert [issue.severity for issue in own.validate(patient(since))] == ["error"]


def test_unknown_definitions_that_a_profile_names(validator: Validator) -> None:
    slice_ = element("Patient.extension:x", type=[{"code": "Extension", "profile": [URL + "unknown"]}])
    own = validator.with_structures(lookup(profile("p", "Patient", slice_)))
    report = own.inspect(patient(the("unknown", **VALUE)), profiles=[URL + "p"])
    assert report.issues == []
    assert [url for url, _ in report.unknown_profiles] == [URL + "unknown"]
