"""What is checked beyond structure: bindings, references, contained resources, Bundles, extensions, attachments."""

import json
from typing import Any

import pytest

from fhirserver.fhir.validation.report import Context
from fhirserver.fhir.validation.validator import Validator

ABSENT = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
ALLERGY = "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical"


def patient(**elements: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", **elements}


def observation(**elements: Any) -> dict[str, Any]:
    return {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, **elements}


def allergy(**elements: Any) -> dict[str, Any]:
    return {
        "resourceType": "AllergyIntolerance",
        "clinicalStatus": {"coding": [{"system": ALLERGY, "code": "active"}]},
        "patient": {"reference": "Patient/1"},
        **elements,
    }


def refers(reference: str, **more: Any) -> dict[str, Any]:
    return observation(subject={"reference": reference, **more})


def organization(**elements: Any) -> dict[str, Any]:
    return {"resourceType": "Organization", "id": "o", "name": "x", **elements}


def with_contained(*contained: Any, reference: str = "#o") -> dict[str, Any]:
    return patient(contained=list(contained), managingOrganization={"reference": reference})


def bundle(kind: str, *entries: Any, **more: Any) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": kind, **more, "entry": list(entries)}


def post(resource: Any = None, full_url: str | None = None) -> dict[str, Any]:
    entry: dict[str, Any] = {"request": {"method": "POST", "url": "Patient"}}
    if full_url:
        entry["fullUrl"] = full_url
    return entry if resource is None else entry | {"resource": resource}


FACTS: list[tuple[dict[str, Any], list[str], str]] = [
    # bindings
    (patient(gender="male"), [], "a code of the value set"),
    (patient(gender="Male"), ["code-invalid Patient.gender"], "case matters"),
    (patient(gender="man"), ["code-invalid Patient.gender"], "not one of its codes"),
    (patient(gender=1), ["structure Patient.gender"], "told once what is wrong"),
    (patient(gender=""), ["value Patient.gender"], "told once what is wrong"),
    (patient(_gender={"extension": [{"url": ABSENT, "valueCode": "unknown"}]}), ["code-invalid Patient.gender"],
     "what is required can't be absent"),
    (patient(_gender={"extension": [{"url": "http://x", "valueCode": "y"}]}), [], "the code of a later version, maybe"),
    (patient(gender="male", _gender={"id": "x"}), [], "beside a code it may stand"),
    (allergy(category=["food", "wrong"]), ["code-invalid AllergyIntolerance.category[1]"], "one of several"),
    (allergy(category=["food", None], _category=[None, {"id": "x"}]), ["code-invalid AllergyIntolerance.category[1]"],
     "no code at one of several"),
    (allergy(_category=[{"id": "x"}]), ["code-invalid AllergyIntolerance.category[0]"], "no code at all"),
    (allergy(clinicalStatus={"coding": [{"system": "http://x", "code": "y"}, {"system": ALLERGY, "code": "active"}]}),
     [], "one of the codings is enough"),
    (allergy(clinicalStatus={"coding": [{"system": ALLERGY, "code": "wrong"}]}),
     ["code-invalid AllergyIntolerance.clinicalStatus"], "not one of its codes"),
    (allergy(clinicalStatus={"coding": [{"system": "http://x", "code": "active"}]}),
     ["code-invalid AllergyIntolerance.clinicalStatus"], "the code of another system"),
    (allergy(clinicalStatus={"coding": [{"code": "active"}]}),
     ["code-invalid AllergyIntolerance.clinicalStatus"], "a code without a system"),
    (allergy(clinicalStatus={"text": "active"}), ["code-invalid AllergyIntolerance.clinicalStatus"], "text is no code"),
    (allergy(clinicalStatus={"coding": 5}),
     ["structure AllergyIntolerance.clinicalStatus.coding", "code-invalid AllergyIntolerance.clinicalStatus"], "garbage"),
    (patient(maritalStatus={"text": "x"}), [], "extensible bindings are no matter of errors"),
    (patient(photo=[{"contentType": "image/png"}]), [], "a code of a set that has no end"),
    (patient(photo=[{"contentType": "a/b; x=y/z"}]), [], "parameters are not looked at"),
    (patient(photo=[{"contentType": "json"}]), [], "FHIR's own words for its formats"),
    (patient(photo=[{"contentType": "png"}]), ["code-invalid Patient.photo[0].contentType"], "not of its form"),
    # references
    (refers("Patient/1"), [], "relative"),
    (refers("Patient/1/_history/2"), [], "to a version"),
    (refers("http://x/fhir/Patient/1"), [], "absolute"),
    (refers("https://x/fhir/Patient/1/_history/2"), [], "absolute, to a version"),
    (refers("http://x/some/document.pdf"), [], "a URL that is no address of a FHIR server"),
    (refers("http://x/Report/1"), [], "a URL that only looks like one: R4 has no such type"),
    (refers("urn:uuid:00000000-0000-4000-8000-000000000001"), [], "a UUID"),
    (observation(subject={"display": "x"}), [], "no reference at all"),
    (observation(subject={"identifier": {"value": "x"}, "type": "Patient"}), [], "by an identifier"),
    (refers("Practitioner/1"), ["value Observation.subject.reference"], "not a type that is allowed there"),
    (refers("http://x/Practitioner/1"), ["value Observation.subject.reference"], "not allowed, absolute"),
    (refers("Practitioner/1/_history/2"), ["value Observation.subject.reference"], "not allowed, a version"),
    (refers("Dog/1"), ["value Observation.subject.reference"], "R4 has no such type"),
    (refers("patient/1"), ["value Observation.subject.reference"], "not a type"),
    (refers("1"), ["value Observation.subject.reference"], "an id alone"),
    (refers("Patient/1/name"), ["value Observation.subject.reference"], "no reference"),
    (refers("Patient/a_b"), ["value Observation.subject.reference"], "no id"),
    (refers("Patient/" + "a" * 65), ["value Observation.subject.reference"], "too long an id"),
    (refers("Patient?identifier=x"), ["value Observation.subject.reference"], "criteria, outside of a transaction"),
    (refers("Patient/1", type="Patient"), [], "a type that agrees"),
    (refers("Patient/1", type="http://hl7.org/fhir/StructureDefinition/Patient"), [], "the same, as a URL"),
    (refers("Patient/1", type="Group"), ["value Observation.subject.reference"], "a type that disagrees"),
    (refers("Patient/1", type="Dog"), ["value Observation.subject.type"], "no type of R4"),
    (observation(subject={"identifier": {"value": "x"}, "type": "Practitioner"}), ["value Observation.subject.type"],
     "a type that is not allowed there"),
    (refers("http://x/y", type="Practitioner"), ["value Observation.subject.type"], "the same, with a reference"),
    (observation(subject={"reference": 5}), ["structure Observation.subject.reference"], "garbage"),
    (observation(focus=[{"reference": "Dog/1"}, {"reference": "Schedule/1"}]), ["value Observation.focus[0].reference"],
     "any type of R4"),
    # contained resources
    (with_contained(organization()), [], "a reference to it"),
    (with_contained(organization(), reference="#p"),
     ["not-found Patient.managingOrganization.reference", "invariant Patient.contained[0]"], "ref-1, dom-3"),
    (patient(managingOrganization={"reference": "#o"}), ["not-found Patient.managingOrganization.reference"], "ref-1"),
    (with_contained({"resourceType": "Practitioner", "id": "o"}), ["value Patient.managingOrganization.reference"],
     "not a type that is allowed there"),
    (with_contained(organization(), organization()), ["duplicate Patient.contained[1].id"], "one id twice"),
    (with_contained(organization(id="a_b"), reference="#a_b"), ["value Patient.contained[0].id"], "no id"),
    (with_contained(organization(), {"resourceType": "Provenance", "id": "p", "recorded": "2024-01-01T00:00:00Z",
                                     "agent": [{"who": {"display": "x"}}], "target": [{"reference": "#"}]}),
     [], "it refers to the container"),
    (with_contained(organization(partOf={"reference": "#q"}), organization(id="q")), [], "from one to another"),
    (with_contained(organization(), organization(id="q")), ["invariant Patient.contained[1]"], "dom-3"),
    (with_contained(organization(meta={"versionId": "1", "lastUpdated": "2024-01-01T00:00:00Z"})),
     ["invariant Patient.contained[0].meta.versionId", "invariant Patient.contained[0].meta.lastUpdated"], "dom-4"),
    (with_contained(organization(meta={"security": [{"code": "R"}]})),
     ["invariant Patient.contained[0].meta.security"], "dom-5"),
    (with_contained(organization(contained=[organization(id="q")])), ["invariant Patient.contained[0]"], "dom-2"),
    (patient(contained=[organization()], extension=[{"url": "http://x", "valueUri": "#o"}]), [], "by a URI"),
    ({"resourceType": "Questionnaire", "status": "draft", "contained": [
        {"resourceType": "ValueSet", "id": "v", "status": "draft"}],
      "item": [{"linkId": "1", "type": "choice", "answerValueSet": "#v"}]}, [], "by a canonical"),
    ({"resourceType": "Questionnaire", "status": "draft",
      "item": [{"linkId": "1", "type": "choice", "answerValueSet": "#v"}]},
     ["not-found Questionnaire.item[0].answerValueSet"], "by a canonical, to nothing"),
    (bundle("collection", {"fullUrl": "http://x/Patient/p", "resource": with_contained(organization()) | {"id": "p"}},
            {"fullUrl": "http://x/Patient/q", "resource": with_contained(reference="#o") | {"id": "q", "contained": [
                organization(id="q")]}}),
     ["not-found Bundle.entry[1].resource.managingOrganization.reference",
      "invariant Bundle.entry[1].resource.contained[0]"], "each resource of a Bundle by itself"),
    # Bundles
    (bundle("transaction", post(patient(), "urn:uuid:1"), post(patient(), "urn:uuid:2")), [], "different addresses"),
    (bundle("transaction", post(patient(), "urn:uuid:1"), post(patient(), "urn:uuid:1")),
     ["duplicate Bundle.entry[1].fullUrl"], "bdl-7"),
    (bundle("collection", *[{"fullUrl": "http://x/Patient/p", "resource": patient(id="p", meta={"versionId": version})}
                            for version in ("1", "2", "2")]),
     ["duplicate Bundle.entry[2].fullUrl"], "bdl-7: the same version"),
    (bundle("history", *[{"fullUrl": "http://x/Patient/p", "request": {"method": "DELETE", "url": "Patient/p"},
                          "response": {"status": "204"}}] * 2), [], "bdl-7: a history is allowed to"),
    (bundle("collection", {"fullUrl": "Patient/p", "resource": patient(id="p")}), ["value Bundle.entry[0].fullUrl"],
     "not absolute"),
    (bundle("collection", {"fullUrl": "http://x/Patient/q", "resource": patient(id="p")}),
     ["value Bundle.entry[0].fullUrl"], "another id"),
    (bundle("collection", {"fullUrl": "http://x/Basic/q", "resource": patient(id="p")}), [], "no address of the type"),
    (bundle("batch", post()), ["required Bundle.entry[0]"], "nothing to be created"),
    (bundle("batch", {"request": {"method": "POST", "url": "Patient/$match"}}), [], "an operation"),
    (bundle("searchset", {"resource": patient(), "search": {"mode": "outcome"}}), ["value Bundle.entry[0].resource"],
     "an outcome is an OperationOutcome"),
    (bundle("searchset", {"resource": patient()}, link=[
        {"relation": "self", "url": "http://x"}, {"relation": "self", "url": "http://y"},
        {"relation": "related", "url": "http://x"}, {"relation": "related", "url": "http://y"}]),
     ["duplicate Bundle.link[1]"], "one self link"),
    # extensions
    (patient(extension=[{"url": "http://x", "extension": [{"url": "y", "valueCode": "z"}]}]), [], "relative within"),
    (patient(extension=[{"url": "y", "valueCode": "z"}]), ["value Patient.extension[0].url"], "absolute elsewhere"),
    (patient(modifierExtension=[{"url": "y", "valueCode": "z"}]), ["value Patient.modifierExtension[0].url"], "same"),
    (patient(_birthDate={"extension": [{"url": "y", "valueCode": "z"}]}), ["value Patient.birthDate.extension[0].url"],
     "of a primitive"),
    # URIs and attachments
    (patient(identifier=[{"system": "urn:oid:1.2.840.3"}, {"system": "urn:oid:1.02"}]),
     ["value Patient.identifier[1].system"], "no OID"),
    (patient(identifier=[{"system": "urn:uuid:1"}]), ["value Patient.identifier[0].system"], "no UUID"),
    (patient(photo=[{"contentType": "a/b", "data": "YWJj", "size": 3}]), [], "three bytes"),
    (patient(photo=[{"contentType": "a/b", "data": "YWJj", "size": 4}]), ["value Patient.photo[0].size"], "three bytes"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("resource", "expected", "why"), [pytest.param(*fact, id=f"{n}: {fact[2]}") for n, fact in enumerate(FACTS)]
)
def test_rule(validator: Validator, resource: dict[str, Any], expected: list[str], why: str) -> None:
    issues = validator.validate(json.loads(json.dumps(resource)))
    assert [f"{issue.code} {issue.expression[0]}" for issue in issues] == expected, (why, issues)
    if "structure" not in str(expected):
        lenient = validator.validate(resource, level="structure")
        assert [issue for issue in lenient if issue.code not in ("value", "duplicate", "invariant")] == []


def test_references_by_criteria_in_a_transaction(validator: Validator) -> None:
    in_transaction = Context(conditional=True)
    assert validator.validate(refers("Patient?identifier=x"), context=in_transaction) == []
    (issue,) = validator.validate(refers("Practitioner?identifier=x"), context=in_transaction)
    assert issue.expression == ("Observation.subject.reference",)


def test_the_resources_within_can_be_left_out(validator: Validator) -> None:
    outer = Context(outer_only=True)
    wrong = bundle("batch", post({"resourceType": "Nothing"}), {**post(patient()), "x": 1})
    assert [issue.expression for issue in validator.validate(wrong, context=outer)] == [("Bundle.entry[1].x",)]
    parameters = {"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": patient(x=1)}]}
    assert validator.validate(parameters, context=outer) == []
    assert len(validator.validate(parameters)) == 1


@pytest.mark.parametrize(
    ("resource", "words"),
    [
        (patient(gender="man"), "gender must be a code of http://hl7.org/fhir/ValueSet/administrative-gender, not man"),
        (refers("Basic/1"), "reference must lead to Device, Group, Location or Patient, not to Basic"),
        (allergy(clinicalStatus={"coding": [{"code": "x"}]}), "clinicalStatus must have a code of "
         "http://hl7.org/fhir/ValueSet/allergyintolerance-clinical, not |x"),
    ],
)  # fmt: skip
def test_words(validator: Validator, resource: dict[str, Any], words: str) -> None:
    (issue,) = validator.validate(resource)
    assert issue.diagnostics == words
