"""Systems that get tokens with a key of their own: SMART Backend Services, and what must not pass for one."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from jose import jwt

from fhirserver.access.oauth.client_authentication import ASSERTION_TYPE

from ..conftest import JSON, Process, start, unlimited
from ..test_issuers import Provider
from .conftest import Key, ask, ask_as_system, encoded, key

SCOPE = "system/Patient.rs system/Observation.cruds?category=laboratory"


async def system(process: Process, *keys: Key, scope: str = SCOPE) -> str:
    """The id of a system with these keys."""
    jwks = {"keys": [one.public for one in keys]}
    client, _ = await process.access.oauth.clients.add("System", "private_key_jwt", scope, jwks=jwks)
    return client.id


async def status(process: Process, token: str, address: str = "/fhir/Patient?_count=0") -> int:
    async with process.client(Authorization=f"Bearer {token}") as client:
        return (await client.get(address)).status_code


@pytest.mark.parametrize("algorithm", ["ES384", "RS384"])
async def test_a_system_reads_and_searches(process: Process, another: Process, algorithm: str):
    one = key(algorithm)
    id = await system(process, one)
    answer = await ask_as_system(process, one.assertion(id), SCOPE)
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert body | {"access_token": ""} == {
        "access_token": "",
        "token_type": "Bearer",
        "expires_in": 300,
        "scope": SCOPE,
    }
    for each in (process, another):
        assert await status(each, body["access_token"]) == 200
        assert await status(each, body["access_token"], "/fhir/Observation") == 200
        assert await status(each, body["access_token"], "/fhir/Condition") == 403
        assert await status(each, body["access_token"], "/auth/users") == 403


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ("system/Patient.rs", "system/Patient.rs"),
        ("system/Patient.cruds", "system/Patient.rs"),  # less than what was asked for
        ("system/*.rs", "system/Patient.rs system/Observation.rs?category=laboratory"),
        ("system/*.read", "system/Patient.rs system/Observation.rs?category=laboratory"),
        ("system/Patient.read", "system/Patient.read"),  # as it was asked for
        ("system/Patient.r openid offline_access", "system/Patient.r"),
        ("system/Observation.r?category=laboratory", "system/Observation.r?category=laboratory"),
        ("system/Observation.r?status=final", "system/Observation.r?status=final&category=laboratory"),
        ("user/Patient.rs", None),  # of another context
        ("patient/Patient.rs", None),
        ("system/Condition.rs", None),
        ("system/AuditEvent.rs", None),
        ("server/admin", None),
        ("", None),
        ("system/Patient.xyz", None),
        ("system/Patient.rs\u00e9", None),
        ("system/Patient.rs " * 2000, None),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_scopes_are_narrowed_to_the_registration(process: Process, asked: str, given: str | None):
    one = key()
    answer = await ask_as_system(process, one.assertion(await system(process, one)), asked)
    if given is None:
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_scope")
    else:
        assert answer.json()["scope"] == given


NOW = int(time.time())
DAY = 24 * 3600  # longer than any run of the tests, at whose start these are counted


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "somebody"},
        {"sub": "somebody"},
        {"iss": None},
        {"sub": None},
        {"aud": "http://test/fhir"},
        {"aud": "https://elsewhere.example/auth/token"},
        {"aud": ["https://elsewhere.example/token"]},
        {"aud": None},
        {"exp": NOW - DAY},
        {"exp": NOW + DAY},  # for longer than five minutes
        {"exp": None},
        {"exp": "tomorrow"},
        {"exp": True},
        {"nbf": NOW + DAY},
        {"iat": NOW + DAY},
        {"jti": None},
        {"jti": ""},
        {"jti": 7},
        {"jti": "x" * 500},
        {"head": {"kid": None}},
        {"head": {"kid": "another"}},
        {"head": {"jku": "https://attacker.example/keys"}},
        {"head": {"jwk": key().public}},
        {"head": {"x5u": "https://attacker.example/cert"}},
        {"head": {"crit": ["exp"]}},
    ],
    ids=str,
)
async def test_assertions_that_are_refused(process: Process, claims: dict[str, Any]):
    one = key()
    id = await system(process, one)
    answer = await ask_as_system(process, one.assertion(id, **claims))
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert (await ask_as_system(process, one.assertion(id))).status_code == 200  # what it lacks is only that


async def test_signatures_that_are_refused(process: Process):
    one, two = key(), key("RS384")
    id = await system(process, one, two)
    head, body, signature = one.assertion(id).split(".")
    public = json.dumps(two.public)
    import hashlib
    import hmac

    def by_secret(algorithm: str, kid: str, secret: str) -> str:
        forged = encoded(json.dumps({"alg": algorithm, "kid": kid}).encode()) + "." + body
        return forged + "." + encoded(hmac.new(secret.encode(), forged.encode(), hashlib.sha256).digest())

    stranger = key(kid=one.kid)
    for assertion in (
        encoded(json.dumps({"alg": "none", "kid": one.kid}).encode()) + f".{body}.",
        encoded(json.dumps({"alg": "none", "kid": one.kid}).encode()) + f".{body}.{signature}",
        by_secret("HS256", two.kid, public),
        by_secret("HS384", two.kid, two.pem),
        f"{head}.{body}.{signature[:-4]}AAAA",
        f"{head}.{body}.",
        stranger.assertion(id),  # another key of the same name
        jwt.encode({"iss": id, "sub": id}, two.pem, "RS256", {"kid": two.kid}),
        two.assertion(id, head={"kid": one.kid}),  # the algorithm of another key
        await token_of_a_person(process),
        "x",
        "..",
        "x" * 20_000,
    ):
        answer = await ask_as_system(process, assertion)
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client"), assertion[:80]


async def token_of_a_person(process: Process) -> str:
    return str((await process.login(await process.user("admin")))["access_token"])


async def test_an_assertion_is_good_once_whichever_process_sees_it(process: Process, another: Process):
    one = key()
    id = await system(process, one)
    assertion = one.assertion(id)
    answers = await asyncio.gather(*(ask_as_system(each, assertion) for each in (process, another) * 4))
    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 7
    other = await system(process, one)  # the same jti of another client is another one
    assert (await ask_as_system(process, one.assertion(other, jti="fixed"))).status_code == 200
    assert (await ask_as_system(process, one.assertion(id, jti="fixed"))).status_code == 200
    assert (await ask_as_system(process, one.assertion(id, jti="fixed"))).status_code == 401


@pytest.mark.parametrize(
    ("form", "headers", "expected"),
    [
        ({"grant_type": None}, {}, (400, "invalid_request")),
        ({"grant_type": "password"}, {}, (400, "unsupported_grant_type")),
        ({"client_assertion_type": None}, {}, (400, "invalid_request")),
        ({"client_assertion_type": "urn:x"}, {}, (400, "invalid_request")),
        ({"client_assertion": None}, {}, (401, "invalid_client")),
        ({"client_id": "another"}, {}, (401, "invalid_client")),
        ({"client_secret": "x"}, {}, (401, "invalid_client")),
        ({}, {"Authorization": "Basic eDp5"}, (400, "invalid_request")),  # two ways at once
        ({"grant_type": "refresh_token"}, {}, (400, "invalid_grant")),
        ({"grant_type": "authorization_code"}, {}, (400, "invalid_request")),
        ({}, {"Content-Type": "application/json"}, (400, "invalid_request")),
    ],
    ids=str,
)
async def test_requests_that_are_refused(
    process: Process, form: dict[str, Any], headers: dict[str, str], expected: Any
):
    one = key()
    complete = {
        "grant_type": "client_credentials", "scope": "system/Patient.rs", "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": one.assertion(await system(process, one)), **form,
    }  # fmt: skip
    answer = await ask(process, {name: value for name, value in complete.items() if value is not None}, **headers)
    assert (answer.status_code, answer.json()["error"]) == expected
    assert answer.headers["content-type"].startswith("application/json")


async def test_who_is_disabled_or_given_less_has_less_at_once(
    process: Process, another: Process, admin: dict[str, str]
):
    one = key()
    id = await system(process, one)
    token = (await ask_as_system(another, one.assertion(id), SCOPE)).json()["access_token"]
    assert [await status(another, token), await status(another, token, "/fhir/Observation")] == [200, 200]
    async with process.client(**admin) as client:
        narrower = await client.patch(f"/auth/clients/{id}", json={"scope": "system/Observation.rs"}, headers=JSON)
        assert narrower.status_code == 200, narrower.text
        await another.changes.ask()
        assert [await status(another, token), await status(another, token, "/fhir/Observation")] == [403, 200]
        assert (await client.patch(f"/auth/clients/{id}", json={"disabled": True}, headers=JSON)).status_code == 200
        await another.changes.ask()
        assert await status(another, token, "/fhir/Observation") == 401
        refused = await ask_as_system(another, one.assertion(id), "system/Observation.rs")
        assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")
        assert (await client.patch(f"/auth/clients/{id}", json={"disabled": False}, headers=JSON)).status_code == 200
        await another.changes.ask()
        assert await status(another, token, "/fhir/Observation") == 200


async def test_a_system_signs_its_token_out(process: Process, another: Process):
    one = key()
    answer = await ask_as_system(process, one.assertion(await system(process, one)))
    token = answer.json()["access_token"]
    assert await status(another, token) == 200
    async with process.client(Authorization=f"Bearer {token}") as client:
        assert (await client.post("/auth/logout")).status_code == 204
    await another.changes.ask()
    assert await status(another, token) == 401


@pytest.fixture(scope="module")
async def provider() -> AsyncIterator[Provider]:
    made = Provider()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield made
    server.close()


@pytest.fixture(scope="module")
async def open_to_it(dsn: str) -> AsyncIterator[Process]:
    """A server that may ask at addresses of this machine."""
    process, opened = await start(dsn, unlimited(private_key_sets=True))
    yield process
    await opened.close()


async def test_keys_by_address(open_to_it: Process, process: Process, provider: Provider):
    one, two = key(), key("RS384")
    url = f"{provider.url}/jwks"
    provider.documents["/jwks"] = json.dumps({"keys": [one.public]}).encode()
    client, _ = await open_to_it.access.oauth.clients.add("S", "private_key_jwt", SCOPE, jwks_uri=url)
    for head in ({}, {"jku": url}):  # a token may say what is known
        answer = await ask_as_system(open_to_it, one.assertion(client.id, head=head))
        assert answer.status_code == 200, answer.text
    assert provider.asked.count("/jwks") == 1
    provider.documents["/other"] = json.dumps({"keys": [two.public]}).encode()
    for assertion in (
        two.assertion(client.id),
        two.assertion(client.id, head={"jku": f"{provider.url}/other"}),  # its own keys somewhere else
        key(kid=one.kid).assertion(client.id),
    ):
        answer = await ask_as_system(open_to_it, assertion)
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert "/other" not in provider.asked
    # A server that may not ask there does not.
    asked = len(provider.asked)
    refused = await ask_as_system(process, one.assertion(client.id))
    assert (refused.status_code, len(provider.asked)) == (401, asked)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "[::1]", "0.0.0.0", "2130706433", "127.1", "[::ffff:127.0.0.1]"]
)
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_keys_are_not_asked_for_at_private_addresses(
    process: Process, provider: Provider, scheme: str, host: str
):
    one = key()
    url = f"{scheme}://{host}:{provider.url.rpartition(':')[2]}/jwks"
    client, _ = await process.access.oauth.clients.add("S", "private_key_jwt", SCOPE, jwks_uri=url)
    asked = len(provider.asked)
    answer = await ask_as_system(process, one.assertion(client.id))
    assert (answer.status_code, len(provider.asked)) == (401, asked)
    assert host not in answer.text


@pytest.mark.parametrize("document", [b"", b"[]", b'{"keys": 7}', b'{"keys": [7, null, {}]}', b"<html>", b"[" * 9999])
async def test_key_sets_that_are_none(open_to_it: Process, provider: Provider, document: bytes):
    path = f"/jwks{len(document)}"
    provider.documents[path] = document
    one = key()
    client, _ = await open_to_it.access.oauth.clients.add("S", "private_key_jwt", SCOPE, jwks_uri=provider.url + path)
    answer = await ask_as_system(open_to_it, one.assertion(client.id))
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
