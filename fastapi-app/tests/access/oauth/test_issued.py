"""What a token is good for, told to those who may ask; and its end."""

import base64
from typing import Any

import httpx
import pytest

from ..conftest import FORM, Process
from .browsing import allowed, app
from .conftest import ask_as_system, key


async def introspect(process: Process, token: str, **headers: str) -> httpx.Response:
    async with process.client() as client:
        return await client.post("/auth/introspect", data={"token": token}, headers={**FORM, **headers})


def basic(id: str, secret: str | None) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{id}:{secret}".encode()).decode()}


async def test_introspection(process: Process, admin: dict[str, str]):
    name = await process.user("patient", fhir_user="Patient/introspected")
    async with process.client(**await process.bearer(await process.user("practitioner"))) as client:
        await client.put("/fhir/Patient/introspected", json={"resourceType": "Patient", "id": "introspected"})
    asking = await app(process, "client_secret_basic")
    body = (await asking.exchange((await allowed(asking, name))["code"])).json()
    own = basic(asking.client.id, asking.secret)
    told = (await introspect(process, body["access_token"], **own)).json()
    about = {
        "active": True, "scope": body["scope"], "client_id": asking.client.id, "username": name,
        "token_type": "Bearer", "iss": "urn:fhirserver", "patient": "introspected",
        "fhirUser": "http://test/fhir/Patient/introspected",
    }  # fmt: skip
    assert about.items() <= told.items()
    assert {"sub", "exp", "iat", "aud", "jti"} <= told.keys()
    assert (await introspect(process, body["access_token"], **admin)).json() == told
    refresh = (await introspect(process, body["refresh_token"], **own)).json()
    assert {"active": True, "scope": body["scope"], "client_id": asking.client.id}.items() <= refresh.items()
    newer = (await asking.refresh(body["refresh_token"])).json()
    assert (await introspect(process, body["refresh_token"], **own)).json() == {"active": False}
    async with process.client() as client:
        form = {"token": newer["access_token"]}
        assert (await client.post("/auth/revoke", data=form, headers={**FORM, **own})).status_code == 200
    await process.changes.ask()
    for token in (body["access_token"], newer["access_token"], newer["refresh_token"]):
        assert (await introspect(process, token, **own)).json() == {"active": False}


@pytest.mark.parametrize("token", ["", "x", "x.y", "x.y.z", "\u00e9.\u00e9", "x" * 10_000, "." * 300])
async def test_what_is_no_token(process: Process, admin: dict[str, str], token: str):
    answer = await introspect(process, token, **admin)
    assert (answer.status_code, answer.json()) == (200, {"active": False})
    asking = await app(process)
    async with process.client() as client:
        form = {"token": token, "client_id": asking.client.id}
        assert (await client.post("/auth/revoke", data=form, headers=FORM)).status_code == 200


async def test_systems_ask_and_are_told_of_theirs(process: Process):
    one = key()
    jwks = {"keys": [one.public]}
    system, _ = await process.access.oauth.clients.add("S", "private_key_jwt", "system/*.rs", jwks=jwks)
    token = (await ask_as_system(process, one.assertion(system.id), "system/*.rs")).json()["access_token"]
    answer = await introspect(process, token, Authorization=f"Bearer {token}")
    assert {"active": True, "scope": "system/*.rs", "client_id": system.id}.items() <= answer.json().items()
    form = {"token": token, "client_assertion": one.assertion(system.id)}
    form["client_assertion_type"] = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    async with process.client() as client:
        assert (await client.post("/auth/revoke", data=form, headers=FORM)).status_code == 200
    await process.changes.ask()
    refused = await introspect(process, token, Authorization=f"Bearer {token}")
    assert refused.status_code == 401


async def test_who_may_not_ask(process: Process):
    asking = await app(process)
    token = (await process.login(await process.user("practitioner")))["access_token"]
    cases: list[tuple[dict[str, str], dict[str, Any], int]] = [
        ({}, {}, 401),
        ({}, {"client_id": asking.client.id}, 400),  # it proves nothing
        (basic(asking.client.id, "x"), {}, 401),
        ({"Authorization": f"Bearer {token}"}, {}, 403),
        ({"Authorization": "Bearer x"}, {}, 401),
    ]
    for headers, form, expected in cases:
        async with process.client() as client:
            answer = await client.post("/auth/introspect", data={"token": token, **form}, headers={**FORM, **headers})
        assert answer.status_code == expected, answer.text
        assert "active" not in answer.json()
        assert answer.json().keys() == {"error", "error_description"}


async def test_a_client_ends_its_own_tokens_only(process: Process):
    name = await process.user("practitioner")
    asking, other = await app(process, "client_secret_basic"), await app(process, "client_secret_basic")
    body = (await asking.exchange((await allowed(asking, name, scope="user/*.rs offline_access"))["code"])).json()
    login = (await process.login(name))["access_token"]
    async with process.client() as client:
        for token in (body["access_token"], body["refresh_token"], login):
            headers = {**FORM, **basic(other.client.id, other.secret)}
            answer = await client.post("/auth/revoke", data={"token": token}, headers=headers)
            assert (answer.status_code, answer.json()["error"]) == (400, "unauthorized_client")
        missing = await client.post("/auth/revoke", headers={**FORM, **basic(other.client.id, other.secret)})
        assert missing.json()["error"] == "invalid_request"
    await process.changes.ask()
    for token in (body["access_token"], login):
        async with process.client(Authorization=f"Bearer {token}") as client:
            assert (await client.get("/fhir/Patient?_count=0")).status_code == 200
