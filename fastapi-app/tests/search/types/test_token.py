"""Facts about tokens. https://hl7.org/fhir/R4/search.html#token"""

from typing import Any

import pytest

from fhirserver.fhir.outcomes import InvalidRequest

from ..evaluate import Searcher

LOINC = "http://loinc.org"
GENDER = "http://hl7.org/fhir/administrative-gender"

PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "active": True,
    "gender": "male",
    "identifier": [{"system": "urn:oid:1.2", "value": "Ab-1"}, {"value": "bare"}, {"system": "http://only"}],
    "telecom": [{"system": "phone", "value": "+34 1", "use": "home"}, {"system": "email", "value": "A@b.c"}],
    "meta": {"tag": [{"system": "http://t", "code": "x"}], "security": [{"code": "R"}]},
}
OBSERVATION: dict[str, Any] = {
    "resourceType": "Observation",
    "status": "final",
    "code": {
        "coding": [
            {"system": LOINC, "code": "8480-6"},
            {"code": "own"},
            {"system": "http://own", "display": "no code"},
        ],
        "text": "systolic",
    },
    "category": [{"text": "only text"}],
}
ODD: dict[str, Any] = {
    "resourceType": "Observation",
    "identifier": [{"value": "a|b"}, {"system": "c|d", "value": "e"}, {"value": "x,y$z\\"}],
}


@pytest.mark.parametrize(
    ("resource", "query", "found", "reason"),
    [
        # "[parameter]=[code]: whatever the system"
        (OBSERVATION, "code=8480-6", True, "one of the codings"),
        (OBSERVATION, "code=own", True, "a coding without a system"),
        (OBSERVATION, "code=8480", False, "codes don't match in part"),
        (OBSERVATION, "code=systolic", False, "the text is no code"),
        (OBSERVATION, "code=no code", False, "nor is the display"),
        # "[parameter]=[system]|[code]"
        (OBSERVATION, f"code={LOINC}|8480-6", True, "system and code of one coding"),
        (OBSERVATION, f"code={LOINC}|own", False, "of two codings"),
        (OBSERVATION, "code=http://LOINC.org|8480-6", False, "systems are URIs: exact"),
        (OBSERVATION, "code=loinc|8480-6", False, "not the name of the system"),
        # "[parameter]=|[code]: has no system"
        (OBSERVATION, "code=|own", True, "no system"),
        (OBSERVATION, "code=|8480-6", False, "has a system"),
        # "[parameter]=[system]|: any code of the system"
        (OBSERVATION, f"code={LOINC}|", True, "any code"),
        (OBSERVATION, "code=http://own|", True, "a system without a code"),
        (OBSERVATION, "code=http://snomed.info/sct|", False, "another system"),
        # several
        (OBSERVATION, "code=x,own", True, "one of them"),
        (OBSERVATION, "code=own&code=8480-6", True, "each of them"),
        (OBSERVATION, "code=own&code=x", False, "not each of them"),
        # case: R4 leaves it open (decisions/0005)
        (PATIENT, "identifier=AB-1", True, "whatever the case"),
        (PATIENT, "gender=MALE", True, "whatever the case"),
        # Identifier: its system and its value
        (PATIENT, "identifier=Ab-1", True, "the value"),
        (PATIENT, "identifier=urn:oid:1.2|Ab-1", True, "system and value"),
        (PATIENT, "identifier=urn:oid:1.3|Ab-1", False, "another system"),
        (PATIENT, "identifier=|bare", True, "no system"),
        (PATIENT, "identifier=|Ab-1", False, "has a system"),
        (PATIENT, "identifier=http://only|", True, "a system without a value"),
        # code: "the system is implied" by the binding
        (PATIENT, "gender=male", True, "the code"),
        (PATIENT, f"gender={GENDER}|male", True, "with the system of its value set"),
        (PATIENT, f"gender={GENDER}|", True, "any code of it"),
        (PATIENT, "gender=http://else|male", False, "another system"),
        (PATIENT, "gender=|male", False, "it has a system, if implied"),
        (OBSERVATION, "status=http://hl7.org/fhir/observation-status|final", True, "status has one too"),
        # boolean
        (PATIENT, "active=true", True, "the value"),
        (PATIENT, "active=false", False, "the other"),
        (PATIENT, "active=|true", True, "no system"),
        ({"resourceType": "Patient", "active": False}, "active=false", True, "false is a value"),
        ({"resourceType": "Patient"}, "active=false", False, "no value is neither"),
        # computed: Patient.deceased.exists() and Patient.deceased != false
        ({"resourceType": "Patient", "deceasedBoolean": True}, "deceased=true", True, "said so"),
        ({"resourceType": "Patient", "deceasedDateTime": "2020"}, "deceased=true", True, "by the date"),
        ({"resourceType": "Patient", "deceasedBoolean": False}, "deceased=true", False, "said not so"),
        ({"resourceType": "Patient", "deceasedBoolean": False}, "deceased=false", True, "said not so"),
        ({"resourceType": "Patient"}, "deceased=false", True, "exists() is false"),
        # ContactPoint: its value
        (PATIENT, "telecom=+34 1", True, "any contact point"),
        (PATIENT, "phone=+34 1", True, "of the kind the parameter is about"),
        (PATIENT, "email=+34 1", False, "another kind"),
        (PATIENT, "email=a@B.C", True, "whatever the case"),
        (PATIENT, "phone=|+34 1", True, "no system"),
        # Coding of meta, and id
        (PATIENT, "_tag=http://t|x", True, "meta.tag"),
        (PATIENT, "_tag=y", False, "another"),
        (PATIENT, "_security=|R", True, "meta.security"),
        # :not is "the coding/code is not in the set", with resources that have none
        (PATIENT, "gender:not=female", True, "another"),
        (PATIENT, "gender:not=male", False, "in the set"),
        (PATIENT, "gender:not=female,male", False, "in the set"),
        (PATIENT, "gender:not=female,other", True, "not in the set"),
        (PATIENT, f"gender:not={GENDER}|male", False, "with its system"),
        ({"resourceType": "Patient"}, "gender:not=male", True, "without the element"),
        (OBSERVATION, "code:not=own", False, "one of the codings is in the set"),
        (OBSERVATION, "category:not=x", True, "only text is no code"),
        # :missing
        (PATIENT, "gender:missing=false", True, "has one"),
        (PATIENT, "gender:missing=true", False, "has one"),
        ({"resourceType": "Patient"}, "gender:missing=true", True, "has none"),
        ({"resourceType": "Patient"}, "gender:missing=false", False, "has none"),
        (OBSERVATION, "category:missing=false", True, "a value, if only a text"),
        ({"resourceType": "Patient", "gender": None, "_gender": {"id": "x"}}, "gender:missing=true", True, "null"),
        # separators inside values
        (ODD, "identifier=a\\|b", True, "an escaped bar"),
        (ODD, "identifier=a|b", False, "system a and value b"),
        (ODD, "identifier=a|", False, "system a"),
        (ODD, "identifier=|a\\|b", True, "no system"),
        (ODD, "identifier=c\\|d|e", True, "a bar in the system"),
        (ODD, "identifier=c|d\\|e", False, "a bar in the value"),
        (ODD, "identifier=x\\,y\\$z\\\\", True, "comma, dollar and backslash"),
        (ODD, "identifier=x\\,y$z\\\\", True, "a dollar separates nothing here"),
        (ODD, "identifier=x,y", False, "or"),
    ],
)  # fmt: skip
def test_facts(searcher: Searcher, resource: dict[str, Any], query: str, found: bool, reason: str) -> None:
    assert searcher.matches(resource, query) is found, reason


@pytest.mark.parametrize(
    ("value", "reason"), [("|", "neither system nor code"), ("a|b|c", "three parts"), ("x,|", "one of several")]
)
def test_bad_values(searcher: Searcher, value: str, reason: str) -> None:
    with pytest.raises(InvalidRequest, match=r"^code: .* is not code, system\|code, \|code or system\|") as caught:
        searcher.parse("Observation", ("code", value))
    assert caught.value.issues[0].expression == ("code",), reason
