"""create, read, vread, update, delete, history of one resource over HTTP.

https://hl7.org/fhir/R4/http.html
"""

import json
import random
from typing import Any

import httpx
import pytest

from fhirserver.fhir.datatypes.ids import embedded_bucket, home_bucket

PATIENT: dict[str, Any] = {"resourceType": "Patient", "gender": "male"}


def unique() -> str:
    return f"t-{random.getrandbits(60)}"


async def created(client: httpx.AsyncClient, resource: dict[str, Any] = PATIENT, **headers: str) -> httpx.Response:
    answer = await client.post(resource["resourceType"], json=resource, headers=headers)
    assert answer.status_code == 201, answer.text
    return answer


async def test_create_tells_where_the_resource_is(client):
    answer = await created(client)
    body = answer.json()
    assert answer.headers["location"] == f"http://test/fhir/Patient/{body['id']}/_history/1"
    assert answer.headers["etag"] == 'W/"1"'
    assert answer.headers["content-type"].startswith("application/fhir+json")
    assert "last-modified" in answer.headers
    assert body["meta"]["versionId"] == "1"
    assert body["gender"] == "male"
    assert embedded_bucket(body["id"]) is not None


async def test_an_id_in_the_body_of_a_create_is_ignored(client):
    answer = await created(client, PATIENT | {"id": "mine"})
    assert answer.json()["id"] != "mine"


async def test_what_belongs_to_a_patient_gets_an_id_in_its_bucket(client):
    patient = (await created(client)).json()["id"]
    condition = {"resourceType": "Condition", "subject": {"reference": f"Patient/{patient}"}}
    assert home_bucket((await created(client, condition)).json()["id"]) == home_bucket(patient)


async def test_a_read_is_the_stored_bytes_and_one_statement(client, statements):
    text = '{"resourceType":"Patient","extension":[{"url":"http://x/é","valueDecimal":1.00},{"url":"y","valueDecimal":1e2}]}'
    answer = await client.post("Patient", content=text.encode())
    statements.names.clear()
    read = await client.get(f"Patient/{answer.json()['id']}")
    assert statements.names == ["read"]
    assert read.content == answer.content
    assert '"valueDecimal":1.00}' in read.text
    assert '"valueDecimal":1e2}' in read.text
    assert "http://x/é" in read.text


async def test_head_is_a_read_without_body(client):
    id = (await created(client)).json()["id"]
    head, get = await client.head(f"Patient/{id}"), await client.get(f"Patient/{id}")
    assert head.status_code == 200
    assert head.headers["etag"] == get.headers["etag"]
    assert head.headers["content-length"] == get.headers["content-length"]


async def test_an_update_makes_a_version_and_the_old_one_stays(client):
    first = (await created(client)).json()
    address = f"Patient/{first['id']}"
    answer = await client.put(address, json=first | {"gender": "female"})
    assert (answer.status_code, answer.headers["etag"]) == (200, 'W/"2"')
    assert (await client.get(address)).json()["gender"] == "female"
    assert (await client.get(f"{address}/_history/1")).json() == first
    assert (await client.get(f"{address}/_history/3")).status_code == 404


async def test_an_update_creates_under_the_clients_id(client):
    id = unique()
    answer = await client.put(f"Patient/{id}", json=PATIENT | {"id": id})
    assert answer.status_code == 201
    assert answer.headers["location"].endswith(f"/Patient/{id}/_history/1")
    assert (await client.put(f"Patient/{id}", json=PATIENT | {"id": id})).status_code == 200


async def test_delete_then_410_then_an_update_revives(client):
    body = (await created(client)).json()
    address = f"Patient/{body['id']}"
    answer = await client.delete(address)
    assert (answer.status_code, answer.headers["etag"]) == (204, 'W/"2"')
    assert (await client.get(address)).status_code == 410
    assert (await client.get(f"{address}/_history/2")).status_code == 410
    assert (await client.delete(address)).status_code == 204
    assert (await client.delete(f"Patient/{unique()}")).status_code == 204
    revived = await client.put(address, json=body)
    assert (revived.status_code, revived.headers["etag"]) == (201, 'W/"3"')
    history = (await client.get(f"{address}/_history")).json()
    assert [entry["request"]["method"] for entry in history["entry"]] == ["PUT", "DELETE", "POST"]
    assert [entry["response"]["etag"] for entry in history["entry"]] == ['W/"3"', 'W/"2"', 'W/"1"']


async def test_a_new_subject_moves_the_resource_and_its_history(client):
    one, two = (
        ((await created(client)).json()["id"] for _ in range(2))
        if False
        else (
            (await created(client)).json()["id"],
            (await created(client)).json()["id"],
        )
    )
    observation = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}
    body = (await created(client, observation | {"subject": {"reference": f"Patient/{one}"}})).json()
    address = f"Observation/{body['id']}"
    moved = await client.put(address, json=body | {"subject": {"reference": f"Patient/{two}"}})
    assert moved.status_code == 200
    assert (await client.get(address)).headers["etag"] == 'W/"2"'
    assert (await client.get(f"{address}/_history/1")).json() == body
    assert len((await client.get(f"{address}/_history")).json()["entry"]) == 2
    assert (await client.get(f"Observation?patient={one}")).json()["total"] == 0
    assert (await client.get(f"Observation?patient={two}")).json()["total"] == 1


async def test_if_match_prevents_lost_updates(client):
    body = (await created(client)).json()
    address = f"Patient/{body['id']}"
    assert (await client.put(address, json=body, headers={"If-Match": 'W/"1"'})).status_code == 200
    assert (await client.put(address, json=body, headers={"If-Match": 'W/"1"'})).status_code == 412
    assert (await client.delete(address, headers={"If-Match": 'W/"1"'})).status_code == 412
    assert (await client.delete(address, headers={"If-Match": 'W/"2"'})).status_code == 204


async def test_if_none_match_star_only_creates(client):
    id = unique()
    headers = {"If-None-Match": "*"}
    assert (await client.put(f"Patient/{id}", json=PATIENT | {"id": id}, headers=headers)).status_code == 201
    assert (await client.put(f"Patient/{id}", json=PATIENT | {"id": id}, headers=headers)).status_code == 412


async def test_conditional_read(client):
    answer = await created(client)
    address = f"Patient/{answer.json()['id']}"
    same = await client.get(address, headers={"If-None-Match": 'W/"1"'})
    assert (same.status_code, same.content) == (304, b"")
    assert (await client.get(address, headers={"If-None-Match": 'W/"9"'})).status_code == 200
    since = {"If-Modified-Since": answer.headers["last-modified"]}
    assert (await client.get(address, headers=since)).status_code == 304
    since = {"If-Modified-Since": "Mon, 01 Jan 2001 00:00:00 GMT"}
    assert (await client.get(address, headers=since)).status_code == 200


@pytest.mark.parametrize(
    ("prefer", "expected"),
    [
        ("return=representation", "Patient"),
        ("return=OperationOutcome", "OperationOutcome"),
        ("return=minimal", None),
        ("", "Patient"),
    ],
)
async def test_prefer_tells_what_a_write_answers(client, prefer, expected):
    answer = await created(client, Prefer=prefer)
    assert (answer.json()["resourceType"] if answer.content else None) == expected
    body = {**PATIENT, "id": answer.headers["location"].split("/")[-3]}
    again = await client.put(f"Patient/{body['id']}", json=body, headers={"Prefer": prefer})
    assert (again.json()["resourceType"] if again.content else None) == expected


async def test_if_none_exist(client):
    named = PATIENT | {"identifier": [{"system": "urn:t", "value": unique()}]}
    criteria = {"If-None-Exist": f"identifier=urn:t|{named['identifier'][0]['value']}"}
    first = await created(client, named, **criteria)
    again = await client.post("Patient", json=named, headers=criteria)
    assert (again.status_code, again.json()) == (200, first.json())
    await created(client, named)
    several = await client.post("Patient", json=named, headers=criteria)
    assert (several.status_code, several.json()["issue"][0]["code"]) == (412, "multiple-matches")


async def test_conditional_update_and_delete(client):
    value = unique()
    named = PATIENT | {"identifier": [{"system": "urn:t", "value": value}]}
    address = f"Patient?identifier=urn:t|{value}"
    first = await client.put(address, json=named)
    assert first.status_code == 201
    second = await client.put(address, json=named | {"gender": "other"})
    assert (second.status_code, second.json()["id"]) == (200, first.json()["id"])
    other = await client.put(address, json=named | {"id": "another"})
    assert other.status_code == 400
    assert (await client.delete(address)).status_code == 204
    assert (await client.get(f"Patient/{first.json()['id']}")).status_code == 410
    assert (await client.delete(address)).status_code == 204


async def test_negotiation(client):
    id = (await created(client)).json()["id"]
    for accept in ("application/fhir+json", "application/json", "*/*", "text/html, application/json;q=0.5"):
        assert (await client.get(f"Patient/{id}", headers={"Accept": accept})).status_code == 200, accept
    answer = await client.get(f"Patient/{id}?_format=json&_pretty=true", headers={"Accept": "application/fhir+xml"})
    assert answer.status_code == 200
    assert "\n  " in answer.text
    answer = await client.post("Patient", content=json.dumps(PATIENT), headers={"Content-Type": "application/json"})
    assert answer.status_code == 201


async def test_large_answers_are_compressed_if_wanted(client):
    body = await created(client, PATIENT | {"extension": [{"url": "http://x", "valueString": "abc" * 2000}]})
    answer = await client.get(f"Patient/{body.json()['id']}", headers={"Accept-Encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.json() == body.json()
    plain = await client.get(f"Patient/{body.json()['id']}", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers


async def test_the_capability_statement_is_valid_and_names_every_type(client, definitions):
    from fhirserver.fhir.validation.structure import Validator

    statement = (await client.get("metadata")).json()
    assert Validator(definitions).validate(statement, "CapabilityStatement") == []
    assert [item["type"] for item in statement["rest"][0]["resource"]] == list(definitions.resource_types)
    terminology = (await client.get("metadata?mode=terminology")).json()
    assert Validator(definitions).validate(terminology, "TerminologyCapabilities") == []
