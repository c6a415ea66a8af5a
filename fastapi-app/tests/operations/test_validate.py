"""https://hl7.org/fhir/R4/resource-operation-validate.html"""

import json
from dataclasses import replace
from typing import Any

import httpx
import pytest

from fhirserver.interactions.terminology import CodeAnswer
from fhirserver.web.app import build_app

LINE = "http://hl7.org/fhir/StructureDefinition/operationoutcome-issue-line"
MARITAL = "http://terminology.hl7.org/CodeSystem/v3-MaritalStatus"
DIV = {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">x</div>'}
GOOD = {"resourceType": "Patient", "text": DIV}


def told(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    assert answer.json()["resourceType"] == "OperationOutcome"
    return [f"{i['severity']} {i['code']} {i.get('expression', [''])[0]}" for i in answer.json()["issue"]]


def parameters(resource: Any, **more: str) -> dict[str, Any]:
    named = [{"name": name, ("valueUri" if name == "profile" else "valueCode"): value} for name, value in more.items()]
    return {"resourceType": "Parameters", "parameter": [*named, {"name": "resource", "resource": resource}]}


@pytest.mark.parametrize(
    ("resource", "expected", "why"),
    [
        (GOOD, ["information informational "], "all is well"),
        ({"resourceType": "Patient"}, ["warning invariant Patient"], "dom-6: no narrative"),
        (GOOD | {"gender": "man"}, ["error code-invalid Patient.gender"], "a required binding"),
        (GOOD | {"x": 1}, ["error structure Patient.x"], "structure"),
        (GOOD | {"contact": [{"gender": "male"}]}, ["error invariant Patient.contact[0]"], "an invariant: pat-1"),
        (GOOD | {"maritalStatus": {"coding": [{"system": "urn:x", "code": "y"}]}},
         ["warning code-invalid Patient.maritalStatus", "information not-found Patient.maritalStatus.coding[0]"],
         "an extensible binding, a code system that nobody knows"),
        (GOOD | {"maritalStatus": {"coding": [{"system": MARITAL, "code": "M", "display": "Wed"}]}},
         ["warning code-invalid Patient.maritalStatus.coding[0]"], "a display that is wrong"),
        (GOOD | {"maritalStatus": {"coding": [{"system": MARITAL, "code": "M", "display": "Married"}]}},
         ["information informational "], "a code of the value set with its display"),
        (GOOD | {"maritalStatus": {"coding": [{"system": "x", "code": "M"}]}},
         ["warning value Patient.maritalStatus.coding[0].system", "warning code-invalid Patient.maritalStatus",
          "information not-found Patient.maritalStatus.coding[0]"], "a code system that is no absolute URI"),
        (GOOD | {"meta": {"tag": [{"system": "http://hl7.org/fhir/administrative-gender", "code": "x"}]}},
         ["error code-invalid Patient.meta.tag[0]"], "R4's own code systems are complete"),
        (GOOD | {"language": "xx-yy-zz-nonsense"}, ["information code-invalid Patient.language"], "a preferred binding"),
        (GOOD | {"meta": {"profile": ["http://x/unknown"]}}, ["warning not-found Patient.meta.profile[0]"], "a claim"),
        (GOOD | {"meta": {"profile": ["http://hl7.org/fhir/StructureDefinition/Group"]}},
         ["error invalid Patient.meta.profile[0]"], "the profile of another type"),
        ({"resourceType": "Group"}, ["error invalid Patient.resourceType"], "another type"),
    ],
)  # fmt: skip
async def test_what_is_wrong_and_what_could_be_better(client, resource, expected, why):
    assert told(await client.post("Patient/$validate", json=resource)) == expected, why
    assert told(await client.post("Patient/$validate", json=parameters(resource))) == expected, why


@pytest.mark.parametrize(
    ("mode", "resource", "expected", "why"),
    [
        ("create", GOOD, ["information informational "], "fine"),
        ("create", GOOD | {"id": "x"}, ["information informational Patient.id"], "the id is not kept"),
        ("update", GOOD | {"id": "x"}, ["information informational "], "fine"),
        ("update", GOOD, ["error invalid Patient.id"], "an update has an id"),
    ],
)
async def test_modes(client, mode, resource, expected, why):
    assert told(await client.post(f"Patient/$validate?mode={mode}", json=resource)) == expected, why
    assert told(await client.post("Patient/$validate", json=parameters(resource, mode=mode))) == expected, why


async def test_what_is_stored(client):
    made = (await client.post("Patient", json={"resourceType": "Patient"})).json()["id"]
    for answer in (await client.get(f"Patient/{made}/$validate"), await client.post(f"Patient/{made}/$validate")):
        assert told(answer) == ["warning invariant Patient"]
    assert told(await client.post(f"Patient/{made}/$validate?mode=update", json=GOOD | {"id": "other"})) == [
        "error invalid Patient.id"
    ]
    assert told(await client.get(f"Patient/{made}/$validate?mode=delete")) == ["information informational "]
    assert (await client.get(f"Patient/{made}")).status_code == 200


@pytest.mark.parametrize(
    ("profile", "expected"),
    [
        ("http://hl7.org/fhir/StructureDefinition/Patient", ["information informational "]),
        ("http://hl7.org/fhir/StructureDefinition/DomainResource|4.0.1", ["information informational "]),
        ("http://hl7.org/fhir/StructureDefinition/Group", ["error invalid Patient"]),
        ("http://x/unknown", ["error not-found Patient"]),
    ],
)
async def test_profiles(client, profile, expected):
    assert told(await client.post("Patient/$validate", params={"profile": profile}, json=GOOD)) == expected


@pytest.mark.parametrize(
    ("method", "url", "body", "status", "says"),
    [
        ("POST", "Patient/$validate", None, 400, "needs a resource"),
        ("GET", "Patient/$validate", None, 400, "needs a resource"),
        ("GET", "Patient/no-such/$validate", None, 404, "no-such"),
        ("GET", "Patient/no-such/$validate?mode=delete", None, 404, "no-such"),
        ("POST", "Patient/$validate?mode=delete", GOOD, 400, "stored"),
        ("POST", "Patient/$validate?mode=x", GOOD, 400, "mode"),
        ("POST", "Patient/$validate", {"resourceType": "Parameters", "x": 1}, 422, "x"),
        ("POST", "Patient/$validate", parameters(5), 400, "resource"),
        ("POST", "$validate", GOOD, 404, "$validate"),
    ],
)
async def test_what_can_not_be_asked(client, method, url, body, status, says):
    answer = await client.request(method, url, json=body)
    assert answer.status_code == status, answer.text
    assert says in answer.text


async def test_places_in_the_text(client):
    text = json.dumps(parameters(GOOD | {"gender": "man"}), indent=1)
    issue = (await client.post("Patient/$validate", content=text)).json()["issue"][0]
    assert issue["extension"][0] == {
        "url": LINE, "valueInteger": 1 + text[: text.index('"gender"')].count("\n")
    }  # fmt: skip


async def test_codes_are_asked_of_terminology(server):
    class Told:
        """What a terminology server might say."""

        async def check(self, questions):
            answers = {"known": True, "wrong": False, "odd": None}
            return [CodeAnswer(answers[question.code], None, None) for question in questions]

    coded = GOOD | {
        "identifier": [{"type": {"coding": [{"system": "urn:x", "code": code}]}} for code in ("known", "wrong", "odd")]
    }
    app = build_app(replace(server, terminology=Told()), health_checks=None, software_version="test")
    headers = {"Content-Type": "application/fhir+json"}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://test/fhir", headers=headers
    ) as asking:
        found = told(await asking.post("Patient/$validate", json=coded))
    assert found == [
        *(f"warning code-invalid Patient.identifier[{n}].type" for n in range(3)),  # identifier-type is extensible
        "warning code-invalid Patient.identifier[1].type.coding[0]",
        "information not-found Patient.identifier[2].type.coding[0]",
    ]
