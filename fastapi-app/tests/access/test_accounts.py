"""Registering, signing in and out, refreshing, passwords; and what those learn who try to guess."""

import asyncio
import json
import re
import secrets
from datetime import timedelta
from typing import Any

import httpx
import pytest
from jose import jwt

from fhirserver.access import accounts
from fhirserver.access.passwords import Passwords, generated_password
from fhirserver.access.store import Backoff

from .conftest import FORM, JSON, PASSWORD, Process


def registration(**changes: Any) -> dict[str, Any]:
    name = f"r{secrets.token_hex(6)}"
    return {
        "username": name,
        "email": f"{name}@hospital.com",
        "password": "SecurePass123!",
        "full_name": "Dr. Juan Pérez",
        "role": "practitioner",
    } | changes


async def test_the_quick_test_of_the_documentation(client: httpx.AsyncClient):
    name = f"doctor{secrets.token_hex(4)}"
    body = (
        f'{{"username":"{name}","email":"{name}@hospital.com","password":"SecurePass123!",'
        '"full_name":"Dr. Juan Pérez","role":"practitioner"}'
    )
    registered = await client.post("/auth/register", content=body, headers=JSON)
    assert registered.status_code == 201
    assert registered.json()["roles"] == ["practitioner"]
    assert "password" not in registered.text
    answer = await client.post("/auth/login", content=f"username={name}&password=SecurePass123!", headers=FORM)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    tokens = answer.json()
    assert tokens["token_type"] == "Bearer"
    assert tokens["expires_in"] == 900
    client.headers["Authorization"] = f"Bearer {tokens['access_token']}"
    created = await client.post("/fhir/Patient", json={"resourceType": "Patient"}, headers={})
    assert created.status_code == 201
    assert (await client.get("/fhir/Patient?_count=1")).status_code == 200
    myself = (await client.get("/auth/me")).json()
    assert (myself["username"], myself["full_name"], myself["is_admin"]) == (name, "Dr. Juan Pérez", False)


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"role": "admin"}, 403),  # nobody registers as admin
        ({"role": "Admin"}, 403),
        ({"role": "system"}, 403),  # not open
        ({"role": "auditor"}, 403),
        ({"role": "nobody"}, 403),
        ({"role": ["practitioner", "admin"]}, 400),
        ({"role": None}, 400),
        ({"roles": ["admin"]}, 400),  # mass assignment: what is not asked for is refused
        ({"fhir_user": "Patient/1"}, 400),
        ({"disabled": False}, 400),
        ({"id": "1"}, 400),
        ({"is_admin": True}, 400),
        ({"username": "ab"}, 400),
        ({"username": "x" * 65}, 400),
        ({"username": "a b c"}, 400),
        ({"username": "ana'; DROP TABLE app_user; --"}, 400),
        ({"username": "ana\r\nSet-Cookie: x"}, 400),
        ({"username": 'ana","event":"forged'}, 400),
        ({"username": "<script>alert(1)</script>"}, 400),
        ({"username": "ana\x00"}, 400),
        ({"username": "\u0430na123"}, 400),  # a Cyrillic letter that looks like another
        ({"username": ["x"]}, 400),
        ({"email": "nobody"}, 400),
        ({"email": "a@b\r\nBcc: c@d"}, 400),
        ({"email": "a@" + "b" * 100}, 400),
        ({"full_name": ""}, 400),
        ({"full_name": "x\x1b[2J"}, 400),
        ({"full_name": "x" * 201}, 400),
        ({"full_name": "\ud800"}, 400),
        ({"password": "short"}, 400),
        ({"password": "x" * 257}, 400),
        ({"password": "aaaaaaaaaaaaaaaa"}, 400),
        ({"password": "Password1234!"}, 400),  # worn
        ({"password": "has a \x00 in it 1"}, 400),
        ({"password": "\ud800" * 12}, 400),
        ({"password": 123456789012}, 400),
    ],
    ids=str,
)  # fmt: skip
async def test_registrations_that_are_refused(client: httpx.AsyncClient, change: dict[str, Any], status: int):
    body = json.dumps(registration(**change))  # as ASCII: half a surrogate pair is an escape
    answer = await client.post("/auth/register", content=body, headers=JSON)
    assert answer.status_code == status, answer.text
    assert set(answer.json()) == {"error", "error_description"}
    assert "SecurePass123!" not in answer.text


async def test_a_password_does_not_contain_the_name(client: httpx.AsyncClient):
    name = f"r{secrets.token_hex(6)}"
    answer = await client.post("/auth/register", json=registration(username=name, password=f"my-{name}!"), headers=JSON)
    assert answer.status_code == 400


async def test_a_username_is_given_once_whatever_its_case(client: httpx.AsyncClient):
    body = registration()
    assert (await client.post("/auth/register", json=body, headers=JSON)).status_code == 201
    taken = await client.post("/auth/register", json=body | {"username": body["username"].upper()}, headers=JSON)
    assert taken.status_code == 409
    # An address says nothing of whether somebody is known.
    other = registration(email=body["email"])
    assert (await client.post("/auth/register", json=other, headers=JSON)).status_code == 201


@pytest.mark.parametrize(
    ("content", "headers", "error"),
    [
        ("", FORM, "invalid_request"),
        ("username=x", FORM, "invalid_request"),
        ("username=x&password=y&password=z", FORM, "invalid_request"),
        ("username=%ff&password=y", FORM, "invalid_request"),
        ("username=%00&password=y", FORM, "invalid_request"),
        ("username=x&password=y&grant_type=client_credentials", FORM, "invalid_request"),
        ('{"username":"x","password":"y"}', JSON, "invalid_request"),
        ("username=nobody&password=y", FORM, "invalid_grant"),
        ("username=%27+OR+1%3D1+--&password=%27+OR+1%3D1+--", FORM, "invalid_grant"),
        ("username=" + "x" * 5000 + "&password=y", FORM, "invalid_grant"),
        ("username=nobody&password=" + "y" * 5000, FORM, "invalid_grant"),
        ("username=nobody&password=y&scope=patient/x", FORM, "invalid_scope"),
        ("username=nobody&password=y&scope=openid%0a", FORM, "invalid_scope"),
    ],
)
async def test_logins_that_are_refused(client: httpx.AsyncClient, content: str, headers: dict[str, str], error: str):
    answer = await client.post("/auth/login", content=content, headers=headers)
    assert answer.status_code == 400
    assert answer.json()["error"] == error


async def test_who_is_not_there_is_answered_like_who_is(process: Process, monkeypatch: pytest.MonkeyPatch):
    """The same answer after the same statements and the same work: one verification with the same costs."""
    there, disabled = await process.user("practitioner"), await process.user("practitioner")
    await process.access.administration.change_user(disabled, disabled=True)
    verified: list[str] = []
    original = Passwords.verify

    async def verify(self: Passwords, password: str, known: str | None) -> bool:
        used = known or self._nobodys
        verified.append(re.sub(r"\$[^$]+\$[^$]+$", "", used))
        return await original(self, password, known)

    monkeypatch.setattr(Passwords, "verify", verify)
    answers = []
    async with process.client() as client:
        for form in (
            {"username": there, "password": "wrong-password-1"},
            {"username": f"n{secrets.token_hex(6)}", "password": "wrong-password-1"},
            {"username": disabled, "password": PASSWORD},
            {"username": "' OR 1=1", "password": PASSWORD},
        ):
            answer = await client.post("/auth/login", data=form, headers=FORM)
            answers.append((answer.status_code, answer.content, sorted(set(answer.headers) - {"x-request-id"})))
    assert len(set(map(str, answers))) == 1
    assert answers[0][0] == 400
    assert len(verified) == 4
    assert set(verified) == {"$argon2id$v=19$m=19456,t=2,p=1"}


async def test_guessing_is_locked_out_for_the_account_whether_it_exists_or_not(process: Process):
    for name in (await process.user("practitioner"), f"n{secrets.token_hex(6)}"):
        statuses = []
        for _ in range(accounts.BY_ACCOUNT.free + 1):
            async with process.client() as client:  # each from another address
                wrong = {"username": name, "password": "wrong-password-1"}
                answer = await client.post("/auth/login", data=wrong, headers=FORM)
                statuses.append(answer.status_code)
        assert statuses == [400] * accounts.BY_ACCOUNT.free + [429]
        assert 0 < int(answer.headers["retry-after"]) <= 31
        async with process.client() as client:  # the right password does not help meanwhile
            right = await client.post("/auth/login", data={"username": name, "password": PASSWORD}, headers=FORM)
        assert right.status_code == 429


async def test_guessing_is_locked_out_for_the_address(process: Process):
    good = await process.user("practitioner")
    async with process.client() as client:
        for number in range(accounts.BY_ADDRESS.free + 1):
            if number in (10, 30):  # a right login in between does not begin the count anew
                ok = await client.post("/auth/login", data={"username": good, "password": PASSWORD}, headers=FORM)
                assert ok.status_code == 200
            wrong = {"username": f"n{secrets.token_hex(6)}", "password": "x"}
            answer = await client.post("/auth/login", data=wrong, headers=FORM)
        assert answer.status_code == 429


async def test_the_lock_doubles_and_ends(process: Process):
    store, now = process.access.accounts._store, process.server.clock()
    backoff = Backoff(2, timedelta(seconds=10), timedelta(seconds=30), timedelta(hours=1))
    subject = f"t:{secrets.token_hex(8)}"
    waits = []
    for _ in range(6):
        while (until := await store.attempt(subject, now, backoff)) is not None:
            waits.append((until - now).total_seconds())
            now = until
    assert waits == [10, 20, 30, 30]  # doubling, up to the longest
    assert await store.attempt(subject, now + timedelta(hours=2), backoff) is None  # forgotten
    assert await store.attempt(subject, now + timedelta(hours=2), backoff) is None


async def test_a_right_login_forgives_the_wrong_ones_before_it(process: Process):
    name = await process.user("practitioner")
    for _ in range(3):
        async with process.client() as client:
            for _ in range(accounts.BY_ACCOUNT.free - 1):
                wrong = {"username": name, "password": "wrong-password-1"}
                assert (await client.post("/auth/login", data=wrong, headers=FORM)).status_code == 400
        await process.login(name)


async def test_a_refresh_token_is_good_once_and_its_reuse_ends_the_sign_in(process: Process, client: httpx.AsyncClient):
    first = await process.login(await process.user("practitioner"))
    form = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
    second = await client.post("/auth/refresh", data=form, headers=FORM)
    assert second.status_code == 200
    tokens = second.json()
    assert tokens["refresh_token"] != first["refresh_token"]
    client.headers["Authorization"] = f"Bearer {tokens['access_token']}"
    assert (await client.get("/fhir/Patient")).status_code == 200
    stolen = await client.post("/auth/refresh", json={"refresh_token": first["refresh_token"]}, headers=JSON)
    assert (stolen.status_code, stolen.json()["error"]) == (400, "invalid_grant")
    latest = await client.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]}, headers=JSON)
    assert latest.status_code == 400  # the whole family is gone
    await process.changes.ask()
    assert (await client.get("/fhir/Patient")).status_code == 401


@pytest.mark.parametrize("token", ["", "x", "x.y", "é.é", "a" * 5000, "\x00.\x00", "' OR 1=1.x"])
async def test_refresh_tokens_that_are_none(client: httpx.AsyncClient, token: str):
    answer = await client.post("/auth/refresh", json={"refresh_token": token}, headers=JSON)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


async def test_who_sees_an_access_token_can_not_end_its_sign_in_by_a_made_up_refresh_token(process: Process):
    tokens = await process.login(await process.user("practitioner"))
    sid = jwt.get_unverified_claims(tokens["access_token"])["sid"]
    async with process.client() as client:
        for guess in (f"{sid}.x", sid, f"{sid}."):
            await client.post("/auth/refresh", json={"refresh_token": guess}, headers=JSON)
        good = await client.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]}, headers=JSON)
    assert good.status_code == 200


async def test_two_refreshes_at_once_are_a_reuse(process: Process, client: httpx.AsyncClient):
    tokens = await process.login(await process.user("practitioner"))
    body = {"refresh_token": tokens["refresh_token"]}
    answers = await asyncio.gather(*(client.post("/auth/refresh", json=body, headers=JSON) for _ in range(3)))
    assert sorted(answer.status_code for answer in answers)[0] in (200, 400)
    assert sum(answer.status_code == 200 for answer in answers) <= 1


async def test_logout_ends_the_sign_in(process: Process):
    tokens = await process.login(await process.user("practitioner"))
    async with process.client(Authorization=f"Bearer {tokens['access_token']}") as client:
        assert (await client.post("/auth/logout")).status_code == 204
        await process.changes.ask()
        assert (await client.get("/fhir/Patient")).status_code == 401
        again = await client.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]}, headers=JSON)
        assert again.status_code == 400


async def test_a_changed_password_ends_the_other_sign_ins(process: Process):
    name = await process.user("practitioner")
    other = await process.bearer(name)
    async with process.client(**await process.bearer(name)) as client:
        wrong = {"current_password": "not this one 1", "new_password": "Another-Horse-18"}
        assert (await client.post("/auth/password", json=wrong, headers=JSON)).status_code == 400
        worn = {"current_password": PASSWORD, "new_password": "password"}
        assert (await client.post("/auth/password", json=worn, headers=JSON)).status_code == 400
        good = {"current_password": PASSWORD, "new_password": "Another-Horse-18"}
        assert (await client.post("/auth/password", json=good, headers=JSON)).status_code == 204
        await process.changes.ask()
        assert (await client.get("/fhir/Patient")).status_code == 200
    async with process.client(**other) as client:
        assert (await client.get("/fhir/Patient")).status_code == 401
    await process.login(name, "Another-Horse-18")


async def test_a_login_can_be_for_less(process: Process):
    name = await process.user("practitioner")
    tokens = await process.login(name, scope="user/Patient.rs openid")
    assert tokens["scope"] == "user/Patient.rs openid"
    async with process.client(Authorization=f"Bearer {tokens['access_token']}") as client:
        assert (await client.get("/fhir/Patient")).status_code == 200
        assert (await client.get("/fhir/Observation")).status_code == 403
        assert (await client.post("/fhir/Patient", json={"resourceType": "Patient"})).status_code == 403


def test_a_generated_password_passes_the_policy():
    for _ in range(20):
        Passwords(12).require_good(generated_password(), ("admin", "admin"))
