import json
from typing import Any

import pytest

from fhirserver.fhir.outcomes import Issue
from fhirserver.fhir.resource_json import parse
from fhirserver.fhir.validation.validator import Validator

OBSERVATION = '{"resourceType":"Observation","status":"final","code":{"text":"x"}'
PATIENT = '{"resourceType":"Patient"'


def found(issues: list[Issue]) -> list[tuple[str, str]]:
    return [(issue.code, *issue.expression) for issue in issues]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (PATIENT + "}", "nothing is required of a patient"),
        (PATIENT + ',"birthDate":"1980","_birthDate":{"extension":[{"url":"u","valueCode":"c"}]}}', "partner"),
        (PATIENT + ',"_birthDate":{"extension":[{"url":"u","valueCode":"c"}]}}', "a partner alone"),
        (PATIENT + ',"_birthDate":{"id":"a"}}', "an id alone: left to the invariant ele-1"),
        (PATIENT + ',"name":[{"given":["a",null],"_given":[null,{"id":"x"}]}]}', "nulls that fill up"),
        (PATIENT + ',"name":[{"given":["a","b"],"_given":[{"id":"x"},{"id":"y"}]}]}', "two arrays"),
        (PATIENT + ',"name":[{"_given":[{"id":"x"}]}]}', "an array of partners alone"),
        (PATIENT + ',"extension":[{"url":"u","extension":[{"url":"v","valueInteger":1}]}]}', "nested extensions"),
        (PATIENT + ',"extension":[{"url":"u","_valueString":{"id":"x"}}]}', "a value that is only a partner"),
        (PATIENT + ',"contained":[{"resourceType":"Organization","id":"o"}]}', "contained"),
        (PATIENT + ',"deceasedBoolean":false,"multipleBirthInteger":2}', "two choices, one of each"),
        ('{"resourceType":"Observation","_status":{"id":"x"},"code":{}' .replace("{}", '{"text":"y"}') + "}",
         "a required element may be only a partner"),
        (OBSERVATION + ',"valueQuantity":{"value":1.00},"component":[{"code":{"text":"c"},"valueInteger":1}]}', "all"),
        (OBSERVATION + ',"component":[{"code":{"text":"c"},"referenceRange":[{"text":"r"}]}]}', "content reference"),
        ('{"resourceType":"Bundle","type":"batch","entry":[{"resource":{"resourceType":"Basic","code":{"text":"a"}}}]}',
         "a resource in an entry"),
        ('{"resourceType":"Parameters","parameter":[{"name":"a","part":[{"name":"b","valueString":"c"}]}]}', "parts"),
    ],
)  # fmt: skip
def test_valid(validator: Validator, text: str, reason: str) -> None:
    assert validator.validate(parse(text.encode()), level="structure") == [], reason


@pytest.mark.parametrize(
    ("text", "expected", "reason"),
    [
        ("{}", [("required", "Resource")], "no resourceType"),
        ('{"resourceType":"Nothing"}', [("structure", "Nothing")], "no such type"),
        ('{"resourceType":"DomainResource"}', [("structure", "DomainResource")], "an abstract type"),
        ('{"resourceType":"HumanName"}', [("structure", "HumanName")], "a data type"),
        ('{"resourceType":1}', [("structure", "Resource")], "a number for the type"),
        (PATIENT + ',"nothing":1}', [("structure", "Patient.nothing")], "unknown element"),
        (PATIENT + ',"name":[{"first":"a"}]}', [("structure", "Patient.name[0].first")], "unknown, deeper"),
        (PATIENT + ',"text":{"resourceType":"Narrative","status":"empty","div":"<div xmlns=\\"http://www.w3.org/1999/xhtml\\">a</div>"}}',
         [("structure", "Patient.text.resourceType")], "only resources have a resourceType"),
        ('{"resourceType":"Observation"}', [("required", "Observation")] * 2, "status and code are required"),
        (PATIENT + ',"name":{"family":"a"}}', [("structure", "Patient.name")], "one for many"),
        (PATIENT + ',"name":["a"]}', [("structure", "Patient.name[0]")], "a string for an object"),
        (PATIENT + ',"name":[null]}', [("structure", "Patient.name[0]")], "null for an object"),
        (PATIENT + ',"name":[]}', [("structure", "Patient.name")], "an empty array"),
        (PATIENT + ',"name":null}', [("structure", "Patient.name")], "null for an array"),
        (PATIENT + ',"name":[{}]}', [("structure", "Patient.name[0]")], "an empty object"),
        (PATIENT + ',"name":[{"given":"a"}]}', [("structure", "Patient.name[0].given")], "a string for many"),
        (PATIENT + ',"name":[{"given":[]}]}', [("structure", "Patient.name[0].given")], "an empty array"),
        (PATIENT + ',"name":[{"given":["a",""]}]}', [("value", "Patient.name[0].given[1]")], "an empty string"),
        (PATIENT + ',"name":[{"given":[null]}]}', [("structure", "Patient.name[0].given[0]")], "null alone"),
        (PATIENT + ',"maritalStatus":[{"text":"a"}]}', [("structure", "Patient.maritalStatus")], "many for one"),
        (PATIENT + ',"gender":["male"]}', [("structure", "Patient.gender")], "many for one, primitive"),
        (PATIENT + ',"gender":""}', [("value", "Patient.gender")], "an empty string"),
        (PATIENT + ',"gender":null}', [("structure", "Patient.gender")], "null"),
        (PATIENT + ',"gender":1}', [("structure", "Patient.gender")], "a number for a string"),
        (PATIENT + ',"gender":{"a":1}}', [("structure", "Patient.gender")], "an object for a string"),
        (PATIENT + ',"active":"true"}', [("structure", "Patient.active")], "a string for a boolean"),
        (PATIENT + ',"active":1}', [("structure", "Patient.active")], "a number for a boolean"),
        (PATIENT + ',"birthDate":"2023-02-29"}', [("value", "Patient.birthDate")], "no such day"),
        (PATIENT + ',"id":"a_b"}', [("value", "Patient.id")], "no id"),
        (PATIENT + ',"_id":{"id":"a"}}', [("structure", "Patient._id")], "ids have no extensions"),
        (PATIENT + ',"_name":[{"id":"a"}]}', [("structure", "Patient._name")], "objects have no partner"),
        (PATIENT + ',"_resourceType":{"id":"a"}}', [("structure", "Patient._resourceType")], "no partner"),
        (PATIENT + ',"__birthDate":{"id":"a"}}', [("structure", "Patient.__birthDate")], "two underscores"),
        (PATIENT + ',"text":{"status":"empty","div":"<div xmlns=\\"http://www.w3.org/1999/xhtml\\">a</div>","_div":{"id":"a"}}}',
         [("structure", "Patient.text._div")], "XHTML has no extensions"),
        (PATIENT + ',"_birthDate":null}', [("structure", "Patient.birthDate")], "null for a partner"),
        (PATIENT + ',"_birthDate":{}}', [("structure", "Patient.birthDate")], "an empty partner"),
        (PATIENT + ',"_birthDate":{"value":"a"}}', [("structure", "Patient.birthDate.value")], "no value in it"),
        (PATIENT + ',"_birthDate":{"extension":[{"url":""}]}}',
         [("value", "Patient.birthDate.extension[0].url"), ("invariant", "Patient.birthDate.extension[0]")],
         "extensions of a primitive"),
        (PATIENT + ',"name":[{"given":["a"],"_given":[{"id":"x"},{"id":"y"}]}]}',
         [("structure", "Patient.name[0].given")], "arrays of different lengths"),
        (PATIENT + ',"name":[{"given":["a",null],"_given":[null,null]}]}',
         [("structure", "Patient.name[0].given[1]")] * 2, "null in both"),
        (PATIENT + ',"name":[{"_given":{"id":"x"}}]}', [("structure", "Patient.name[0]._given")], "one for many"),
        (PATIENT + ',"deceasedBoolean":true,"deceasedDateTime":"2020"}',
         [("structure", "Patient.deceasedBoolean")], "two types at once"),
        (PATIENT + ',"deceasedBoolean":true,"_deceasedDateTime":{"id":"a"}}',
         [("structure", "Patient.deceasedBoolean")], "two types at once, one as a partner"),
        (PATIENT + ',"deceased":true}', [("structure", "Patient.deceased")], "no type in the name"),
        (PATIENT + ',"deceasedString":"a"}', [("structure", "Patient.deceasedString")], "not one of its types"),
        (OBSERVATION + ',"component":[{"valueInteger":1},{"code":{"text":"a"},"valueInteger":1.5}]}',
         [("required", "Observation.component[0]"), ("value", "Observation.component[1].valueInteger")], "two"),
        (OBSERVATION + ',"valueInteger":"1"}', [("structure", "Observation.valueInteger")], "a string"),
        (OBSERVATION + ',"valueInteger":true}', [("structure", "Observation.valueInteger")], "true is no number"),
        (OBSERVATION + ',"valueInteger":12345678901234567890}', [("value", "Observation.valueInteger")], "too large"),
        (OBSERVATION + ',"valueQuantity":{"value":"1.0"}}', [("structure", "Observation.valueQuantity.value")],
         "a string for a decimal"),
        (OBSERVATION + ',"valueQuantity":{"value":false}}', [("structure", "Observation.valueQuantity.value")],
         "false is no number"),
        (OBSERVATION + ',"component":[{"code":{"text":"a"},"referenceRange":[{"lows":1}]}]}',
         [("structure", "Observation.component[0].referenceRange[0].lows")], "content of another element"),
        ('{"resourceType":"MedicationRequest","status":"draft","intent":"plan","subject":{"display":"a"}}',
         [("required", "MedicationRequest")], "medication[x] is required"),
        (PATIENT + ',"extension":[{"valueString":"a"}]}', [("required", "Patient.extension[0]")], "no url"),
        (PATIENT + ',"extension":[{"url":"u"}]}', [("invariant", "Patient.extension[0]")], "no value"),
        (PATIENT + ',"extension":[{"url":"u","valueString":"a","extension":[{"url":"v","valueCode":"c"}]}]}',
         [("invariant", "Patient.extension[0]")], "value and extensions"),
        (PATIENT + ',"extension":[{"url":"u","valueString":"a","valueCode":"c"}]}',
         [("structure", "Patient.extension[0].valueCode")], "two values"),
        (PATIENT + ',"extension":[{"url":"u","valueNarrative":{}}]}',
         [("structure", "Patient.extension[0].valueNarrative"), ("invariant", "Patient.extension[0]")],
         "not a type for extensions"),
        (PATIENT + ',"contained":[{"id":"a"}]}', [("required", "Patient.contained[0]")], "no type"),
        (PATIENT + ',"contained":[{"resourceType":"Organization"}]}',
         [("required", "Patient.contained[0]")], "no id"),
        (PATIENT + ',"contained":["a"]}', [("structure", "Patient.contained[0]")], "not a resource"),
        (PATIENT + ',"contained":[{"resourceType":"Nothing","id":"a"}]}',
         [("structure", "Patient.contained[0]")], "no such type"),
        (PATIENT + ',"contained":[{"resourceType":"Patient","id":"a","contained":[{"resourceType":"Basic","id":"b",'
         '"code":{"text":"c"}}]}]}', [("invariant", "Patient.contained[0]")], "contained in contained"),
        ('{"resourceType":"Bundle","type":"batch","entry":[{"resource":{"resourceType":"Patient","a":1}}]}',
         [("structure", "Bundle.entry[0].resource.a")], "a resource in an entry"),
        ('{"resourceType":"Bundle","type":"batch","contained":[]}', [("structure", "Bundle.contained")],
         "a Bundle contains nothing"),
        ('{"resourceType":"Parameters","parameter":[{"part":[{"name":"a","valueInteger":1.0}]}]}',
         [("value", "Parameters.parameter[0].part[0].valueInteger"), ("required", "Parameters.parameter[0]")],
         "parts have the content of parameters"),
    ],
)  # fmt: skip
def test_invalid(validator: Validator, text: str, expected: list[tuple[str, str]], reason: str) -> None:
    issues = validator.validate(parse(text.encode()), level="structure")
    assert found(issues) == expected, reason
    assert {issue.severity for issue in issues} == {"error"}


@pytest.mark.parametrize(
    ("resource", "diagnostics"),
    [
        ({"birthDate": "x"}, "birthDate must be an existing date (YYYY, YYYY-MM or YYYY-MM-DD), not x"),
        ({"gender": 1}, "gender must be a string, not a number"),
        ({"deceased": True}, "deceased must have its type in its name, for example deceasedBoolean"),
        ({"first": "a"}, "first is not an element of Patient"),
        ({"name": {}}, "name must be an array, not an object"),
        ({"a\nb" * 50: 1}, ascii("a\nb" * 50)[:60] + "… is not an element of Patient"),
    ],
)  # fmt: skip
def test_words(validator: Validator, resource: dict[str, Any], diagnostics: str) -> None:
    (issue,) = validator.validate({"resourceType": "Patient", **resource}, level="structure")
    assert issue.diagnostics == diagnostics


def test_the_type_that_is_expected(validator: Validator) -> None:
    assert validator.validate({"resourceType": "Patient"}, "Patient") == []
    assert found(validator.validate({"resourceType": "Patient"}, "Group")) == [("invalid", "Group.resourceType")]
    assert found(validator.validate({"id": "a"}, "Group")) == [("required", "Group")]


def test_all_issues_but_no_more_than_100(validator: Validator) -> None:
    many = {"resourceType": "Patient", "name": [{"family": ""} for _ in range(99)]}
    assert len(validator.validate(many)) == 99
    many["name"] = [{"family": ""} for _ in range(5000)]
    assert len(validator.validate(many)) == 100


def test_each_resource_is_checked_by_itself(validator: Validator) -> None:
    wrong = json.loads(PATIENT + ',"gender":1}')
    assert len(validator.validate(wrong)) == len(validator.validate(wrong)) == 1
    assert validator.validate({"resourceType": "Patient"}) == []
