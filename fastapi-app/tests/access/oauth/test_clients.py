"""Registration of clients: by administrators, and what makes no sense is refused."""

import base64
from typing import Any

import pytest

from ..conftest import JSON, Process
from .conftest import ask, key

REDIRECT = "https://app.example/back"
APP = {"client_name": "App", "scope": "launch/patient patient/*.rs openid fhirUser offline_access"}


async def test_life_of_a_client(process: Process, admin: dict[str, str]):
    async with process.client(**admin) as client:
        body = {**APP, "redirect_uris": [REDIRECT], "token_endpoint_auth_method": "client_secret_basic"}
        made = await client.post("/auth/clients", json=body, headers=JSON)
        assert made.status_code == 201, made.text
        told = made.json()
        id, secret = told["client_id"], told["client_secret"]
        assert told["client_secret_expires_at"] == 0
        shown = await client.get(f"/auth/clients/{id}")
        assert {**body, "client_id": id, "disabled": False}.items() <= shown.json().items()
        assert secret not in shown.text
        listed = await client.get(f"/auth/clients?after={id[:-1]}")
        assert id in listed.text
        assert secret not in listed.text
        assert await knows(process, id, secret)
        other = (await client.post(f"/auth/clients/{id}/secret")).json()["client_secret"]
        assert [await knows(process, id, one) for one in (secret, other, "", "x")] == [False, True, False, False]
        changed = await client.patch(f"/auth/clients/{id}", json={"client_name": "Other"}, headers=JSON)
        assert (changed.json()["client_name"], changed.json()["redirect_uris"]) == ("Other", [REDIRECT])
        assert (await client.patch(f"/auth/clients/{id}", json={"disabled": True}, headers=JSON)).status_code == 200
        assert not await knows(process, id, other)


async def knows(process: Process, id: str, secret: str) -> bool:
    basic = base64.b64encode(f"{id}:{secret}".encode()).decode()
    answer = await ask(process, {"grant_type": "refresh_token"}, Authorization=f"Basic {basic}")
    assert (answer.status_code == 401) == ("www-authenticate" in answer.headers)
    return answer.json()["error"] == "invalid_grant"


@pytest.mark.parametrize("authorization", ["Basic", "Basic !", "Basic eA==", "Basic /w==", "Bearer x", "Digest x"])
async def test_headers_that_prove_nothing(process: Process, authorization: str):
    answer = await ask(process, {"grant_type": "refresh_token"}, Authorization=authorization)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


@pytest.mark.parametrize("who", ["nobody", "practitioner"])
@pytest.mark.parametrize(
    ("method", "address"),
    [
        ("GET", "/auth/clients"),
        ("POST", "/auth/clients"),
        ("GET", "/auth/clients/x"),
        ("PATCH", "/auth/clients/x"),
        ("POST", "/auth/clients/x/secret"),
    ],
)
async def test_only_administrators_register(process: Process, who: str, method: str, address: str):
    headers = await process.bearer(await process.user(who)) if who != "nobody" else {}
    async with process.client(**headers) as client:
        answer = await client.request(method, address, json={**APP, "redirect_uris": [REDIRECT]}, headers=JSON)
    assert answer.status_code == (401 if who == "nobody" else 403)


@pytest.mark.parametrize(
    ("uri", "good"),
    [
        ("https://app.example", True),
        ("https://app.example/a?b=c", True),
        ("http://localhost:3000/x", True),
        ("http://127.0.0.1/", True),
        ("http://[::1]:1/", True),
        ("org.example.app:/back", True),
        ("http://app.example/", False),  # not by TLS
        ("http://localhost.evil.example/", False),
        ("https://app.example/#x", False),
        ("https://app.example/#", False),
        ("https://*.example/", False),
        ("https://user@app.example/", False),
        ("https://user:p@app.example/", False),
        ("https:///x", False),
        ("https://", False),
        ("//app.example/", False),
        ("/back", False),
        ("", False),
        ("javascript:alert(1)", False),
        ("data:text/html,x", False),
        ("myapp:/back", False),  # a scheme that any app may claim
        ("org.example.app://host/back", False),
        ("https://app.example/ x", False),
        ("https://app.example/\r\nX: y", False),
        ("https://app.example\\@evil.example/", False),
        ("https://app.example:99999/", False),
        ("https://á.example/", False),
        ("https://app.example/" + "x" * 2000, False),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_redirect_uris(process: Process, admin: dict[str, str], uri: str, good: bool):
    async with process.client(**admin) as client:
        answer = await client.post("/auth/clients", json={**APP, "redirect_uris": [uri]}, headers=JSON)
    assert answer.status_code == (201 if good else 400), answer.text


PUBLIC = key().public
RSA = key("RS384").public


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"client_name": ""}, "invalid_request"),
        ({"client_name": "a\nb"}, "invalid_request"),
        ({"client_name": "x" * 101}, "invalid_request"),
        ({"redirect_uris": []}, "invalid_request"),
        ({"redirect_uris": [REDIRECT] * 21}, "invalid_request"),
        ({"token_endpoint_auth_method": "client_secret_post"}, "invalid_request"),
        ({"token_endpoint_auth_method": "private_key_jwt"}, "invalid_request"),  # without keys
        ({"jwks": {"keys": [PUBLIC]}}, "invalid_request"),  # keys, and no use for them
        ({"scope": ""}, "invalid_scope"),
        ({"scope": "openid"}, "invalid_scope"),
        ({"scope": "patient/Patient.rs server/admin"}, "invalid_scope"),
        ({"scope": "patient/Nothing.rs"}, "invalid_scope"),
        ({"scope": "patient/Patient.q"}, "invalid_scope"),
        ({"scope": "patient/Observation.rs?patient.name=x"}, "invalid_scope"),
        ({"scope": "system/*.rs"}, "invalid_scope"),  # anybody could take it
        ({"scope": "patient/*.rs\x00"}, "invalid_scope"),
        ({"owner": "me"}, "invalid_request"),
        ({"client_id": "chosen"}, "invalid_request"),
        ({"client_secret": "chosen"}, "invalid_request"),
    ],
    ids=str,
)
async def test_apps_that_are_refused(process: Process, admin: dict[str, str], body: dict[str, Any], error: str):
    async with process.client(**admin) as client:
        answer = await client.post("/auth/clients", json={**APP, "redirect_uris": [REDIRECT], **body}, headers=JSON)
    assert (answer.status_code, answer.json()["error"]) == (400, error)


@pytest.mark.parametrize(
    ("keys", "good"),
    [
        ({"jwks": {"keys": [PUBLIC]}}, True),
        ({"jwks": {"keys": [PUBLIC, RSA]}}, True),
        ({"jwks_uri": "https://system.example/jwks"}, True),
        ({"jwks": {"keys": [PUBLIC]}, "jwks_uri": "https://system.example/jwks"}, False),
        ({}, False),
        ({"jwks": {}}, False),
        ({"jwks": {"keys": []}}, False),
        ({"jwks": {"keys": [7]}}, False),
        ({"jwks": {"keys": [{**PUBLIC, "kid": None}]}}, False),
        ({"jwks": {"keys": [PUBLIC, PUBLIC]}}, False),  # two of one name
        ({"jwks": {"keys": [{**PUBLIC, "d": "secret"}]}}, False),
        ({"jwks": {"keys": [{**PUBLIC, "crv": "P-256"}]}}, False),
        ({"jwks": {"keys": [{**PUBLIC, "use": "enc"}]}}, False),
        ({"jwks": {"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "a"}]}}, False),
        ({"jwks": {"keys": [{**RSA, "n": RSA["n"][:170]}]}}, False),  # of 1024 bits
        ({"jwks_uri": "ftp://system.example/"}, False),
        ({"jwks_uri": "file:///etc/passwd"}, False),
        ({"jwks_uri": "https://u:p@system.example/"}, False),
        ({"jwks_uri": ""}, False),
    ],
    ids=lambda value: str(value)[:60],
)
async def test_keys_of_systems(process: Process, admin: dict[str, str], keys: dict[str, Any], good: bool):
    body = {"client_name": "S", "scope": "system/*.rs", "token_endpoint_auth_method": "private_key_jwt", **keys}
    async with process.client(**admin) as client:
        answer = await client.post("/auth/clients", json=body, headers=JSON)
        assert answer.status_code == (201 if good else 400), answer.text
        if good:
            other = {"jwks_uri": "https://other.example/"} if "jwks" in keys else {"jwks": {"keys": [RSA]}}
            id = answer.json()["client_id"]
            changed = (await client.patch(f"/auth/clients/{id}", json=other, headers=JSON)).json()
            assert (changed.get("jwks"), changed.get("jwks_uri")) == (other.get("jwks"), other.get("jwks_uri"))
            people = await client.patch(f"/auth/clients/{id}", json={"scope": "patient/*.rs"}, headers=JSON)
            assert people.status_code == 400  # there is nowhere to send people back to
