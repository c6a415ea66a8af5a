"""R4's constraints in FHIRPath. https://hl7.org/fhir/R4/conformance-rules.html#constraints"""

from typing import Any

import pytest

from fhirserver.fhir.definitions import Constraint, Definitions
from fhirserver.fhir.fhirpath import FhirPathError, compile_expression
from fhirserver.fhir.validation.invariants import invariant_checks
from fhirserver.fhir.validation.report import Context, Report
from fhirserver.fhir.validation.validator import Validator

CONDITION = "http://terminology.hl7.org/CodeSystem/condition-clinical"


def observation(**elements: Any) -> dict[str, Any]:
    return {"resourceType": "Observation", "status": "final", "code": coded("x"), **elements}


def coded(code: str) -> dict[str, Any]:
    return {"coding": [{"system": "http://x", "code": code}]}


def questionnaire(*items: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Questionnaire", "status": "draft", "item": list(items)}


def care_team(member: dict[str, Any]) -> dict[str, Any]:
    return {
        "resourceType": "CareTeam",
        "participant": [{"member": member, "onBehalfOf": {"reference": "Organization/1"}}],
    }


FACTS: list[tuple[dict[str, Any], list[str], str]] = [
    (observation(valueString="x"), [], "a value"),
    (observation(valueString="x", dataAbsentReason={"text": "y"}), ["obs-6 Observation"], "a value, and why there is none"),
    (observation(valueString="x", component=[{"code": coded("x"), "valueString": "y"}]), ["obs-7 Observation"],
     "a component with the same code"),
    (observation(valueString="x", component=[{"code": coded("y"), "valueString": "y"}]), [], "with another code"),
    (observation(referenceRange=[{"age": {"low": {"value": 1}}}]), ["obs-3 Observation.referenceRange[0]"], "no range"),
    (observation(component=[{"code": coded("y"), "referenceRange": [{"appliesTo": [{"text": "x"}]}]}]),
     ["obs-3 Observation.component[0].referenceRange[0]"], "content that is defined elsewhere"),
    (observation(valueQuantity={"value": 1, "code": "mg"}), ["qty-3 Observation.valueQuantity"], "a unit of no system"),
    (observation(referenceRange=[{"low": {"value": 1, "comparator": "<"}}]),
     ["sqty-1 Observation.referenceRange[0].low"], "a SimpleQuantity has no comparator"),
    (observation(valueQuantity={"value": 1, "comparator": "<"}), [], "a Quantity may"),
    (observation(valueRange={"low": {"value": 2}, "high": {"value": 1}}), ["rng-2 Observation.valueRange"], "upside down"),
    (observation(valueRatio={"numerator": {"value": 2}}), ["rat-1 Observation.valueRatio"], "half a ratio"),
    (observation(effectivePeriod={"start": "2024-05", "end": "2024-04-30"}), ["per-1 Observation.effectivePeriod"],
     "it ends before it starts"),
    (observation(effectivePeriod={"start": "2024-05-01", "end": "2024-05"}), [], "that can't be told"),
    (observation(effectivePeriod={"start": "2024-05-01", "end": "2024-05-01T10:00:00Z"}), [], "that can't be told"),
    (observation(effectiveTiming={"repeat": {"duration": 1, "when": ["C"], "offset": 5}}),
     ["tim-1 Observation.effectiveTiming.repeat", "tim-9 Observation.effectiveTiming.repeat"], "two at once"),
    (observation(identifier=[{"id": "x"}]), ["ele-1 Observation.identifier[0]"], "nothing but an id"),
    (observation(issued=None, _issued={"id": "x"}) | {"issued": "2024-01-01T00:00:00Z"}, [], "an id beside a value"),
    ({"resourceType": "Patient", "_birthDate": {"id": "x"}}, ["ele-1 Patient.birthDate"], "an id without a value"),
    ({"resourceType": "Patient", "name": [{"given": [None, "x"], "_given": [{"id": "y"}, None]}]},
     ["ele-1 Patient.name[0].given[0]"], "an id without a value, in a list"),
    ({"resourceType": "Patient", "contact": [{"gender": "male"}]}, ["pat-1 Patient.contact[0]"], "nobody in particular"),
    ({"resourceType": "Patient", "telecom": [{"value": "5"}]}, ["cpt-2 Patient.telecom[0]"], "a telecom of no system"),
    ({"resourceType": "Patient", "photo": [{"data": "YQ=="}]}, ["att-1 Patient.photo[0]"], "data of no type"),
    ({"resourceType": "Organization", "active": True}, ["org-1 Organization"], "neither name nor identifier"),
    ({"resourceType": "Organization", "name": "x", "telecom": [{"system": "phone", "value": "1"},
                                                             {"system": "phone", "value": "2", "use": "home"}]},
     ["org-3 Organization.telecom[1]"], "on an element, of each value"),
    ({"resourceType": "Condition", "subject": {"display": "x"}, "abatementString": "gone",
      "clinicalStatus": {"coding": [{"system": CONDITION, "code": "active"}]}}, ["con-4 Condition"], "active, and gone"),
    ({"resourceType": "RiskAssessment", "status": "final", "subject": {"display": "x"},
      "prediction": [{"probabilityDecimal": 101}]}, ["ras-2 RiskAssessment.prediction[0]"], "a type of a choice"),
    ({"resourceType": "RiskAssessment", "status": "final", "subject": {"display": "x"},
      "prediction": [{"probabilityRange": {"low": {"value": 1, "system": "http://x", "code": "%"}}}]},
     ["ras-1 RiskAssessment.prediction[0].probabilityRange"], "the other type of it"),
    (questionnaire({"linkId": "1", "type": "group"}), ["que-1 Questionnaire.item[0]"], "an empty group"),
    (questionnaire({"linkId": "1", "type": "group", "item": [{"linkId": "1", "type": "string"}]}),
     ["que-2 Questionnaire"], "one linkId twice, at any depth"),
    (questionnaire({"linkId": "1", "type": "string", "enableWhen": [
        {"question": "2", "operator": "exists", "answerBoolean": True}]}), [], "que-7 means the type boolean"),
    (questionnaire({"linkId": "1", "type": "string", "enableWhen": [
        {"question": "2", "operator": "exists", "answerString": "x"}]}),
     ["que-7 Questionnaire.item[0].enableWhen[0]"], "whether something exists is true or false"),
    (care_team({"reference": "Practitioner/1"}), [], "ctm-1: told by the reference"),
    (care_team({"reference": "Patient/1"}), ["ctm-1 CareTeam.participant[0]"], "a patient acts for no organization"),
    (care_team({"reference": "urn:uuid:00000000-0000-4000-8000-000000000001"}), [], "that can't be told"),
    ({"resourceType": "Bundle", "type": "collection", "total": 1}, ["bdl-1 Bundle"], "a total of no search"),
    ({"resourceType": "Bundle", "type": "collection", "entry": [
        {"fullUrl": "http://x/Organization/1", "resource": {"resourceType": "Organization", "id": "1"}}]},
     ["org-1 Bundle.entry[0].resource"], "a resource in a Bundle"),
    ({"resourceType": "Patient", "managingOrganization": {"reference": "#o"},
      "contained": [{"resourceType": "Organization", "id": "o"}]}, ["org-1 Patient.contained[0]"], "a contained one"),
    ({"resourceType": "Patient", "contact": [{"name": "x", "gender": "male"}]}, [" Patient.contact[0].name"],
     "where JSON types are wrong, what is above is not looked at"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("resource", "expected", "why"), [pytest.param(*fact, id=f"{n}: {fact[2]}") for n, fact in enumerate(FACTS)]
)
def test_constraint(validator: Validator, resource: dict[str, Any], expected: list[str], why: str) -> None:
    told = [
        (issue.diagnostics.rpartition("(")[2].rstrip(")") if issue.code == "invariant" else "", issue.expression[0])
        for issue in validator.validate(resource)
    ]
    assert [f"{key} {place}" for key, place in told] == expected, why


def test_warnings_are_for_those_who_ask(validator: Validator) -> None:
    patient = {"resourceType": "Patient"}
    assert validator.validate(patient) == []
    (issue,) = validator.validate(patient, level="full")
    assert (issue.severity, issue.code, issue.diagnostics) == (
        "warning",
        "invariant",
        "A resource should have narrative for robust management (dom-6)",
    )


def test_what_can_not_be_evaluated_is_told_and_no_error(definitions: Definitions) -> None:
    constraint = Constraint("x-1", "error", "there is one name", "name.single().exists()")
    (check,) = invariant_checks([constraint], "Patient", frozenset({"error"}), definitions)
    report = Report(Context())
    check({"resourceType": "Patient", "name": [{"text": "x"}, {"text": "y"}]}, (None, "Patient", None), report)
    (issue,) = report.issues
    assert (issue.severity, issue.code) == ("warning", "processing")
    assert "x-1 could not be evaluated" in issue.diagnostics


NEVER_RIGHT = {
    ("ras-1", "decimal"),  # it is about the other type of probability[x]
    ("cid-0", "ChargeItemDefinition"),  # a warning about its name, which R4 does not give it
}


def test_every_constraint_can_be_evaluated(definitions: Definitions) -> None:
    failed, compiled = set(), 0
    for root in (*definitions.resource_types, *definitions.data_types):
        types = [root, *definitions.type(root).nested]
        constraints = {(c, name) for name in types for c in definitions.type(name).constraints}
        for name in types:
            for element in definitions.type(name).elements.values():
                codes = [type_.code for type_ in element.types] if element.path not in types else [element.path]
                constraints |= {(c, code) for c in element.constraints for code in codes}
        for constraint, type_code in constraints:
            try:
                compile_expression(constraint.expression or "", type_code, definitions)
                compiled += 1
            except FhirPathError:
                failed.add((constraint.key, type_code))
    assert failed == NEVER_RIGHT
    assert compiled > 4000
