"""From an app's link to its token: signing in, choosing a patient, deciding; and the ways in which that goes wrong."""

import asyncio
import re
import secrets
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from jose import jwt

from fhirserver.access.oauth.tokens import challenge_of

from ..conftest import FORM, JSON, PASSWORD, Process
from .browsing import BACK, MOST, SCOPE, Browser, allowed, app


@dataclass
class World:
    """Two patients with an observation each; a patient who is the first, and a practitioner."""

    one: str
    two: str
    patient: str
    practitioner: str
    name: str


@pytest.fixture(scope="module")
async def world(process: Process) -> World:
    name = f"Fam{secrets.token_hex(4)}".translate(str.maketrans("0123456789", "ghijklmnop"))
    ids = []
    async with process.client(**await process.bearer(await process.user("practitioner"))) as client:
        for given in ("Ana", "Berta"):
            body = {"resourceType": "Patient", "name": [{"family": name, "given": [given]}], "birthDate": "1980-02-01"}
            ids.append((await client.post("/fhir/Patient", json=body)).json()["id"])
            observation = {
                "resourceType": "Observation", "status": "final", "code": {"text": "x"},
                "subject": {"reference": f"Patient/{ids[-1]}"},
            }  # fmt: skip
            assert (await client.post("/fhir/Observation", json=observation)).status_code == 201
    return World(
        *ids,
        patient=await process.user("patient", fhir_user=f"Patient/{ids[0]}"),
        practitioner=await process.user("practitioner", fhir_user="Practitioner/p1"),
        name=name,
    )


async def found(process: Process, token: str, address: str) -> Any:
    """The total of a search with a token, or the status that refuses it."""
    async with process.client(Authorization=f"Bearer {token}") as client:
        answer = await client.get(f"/fhir/{address}")
    return answer.json()["total"] if answer.status_code == 200 else answer.status_code


@pytest.mark.parametrize("method", ["none", "client_secret_basic"])
async def test_a_practitioner_gives_an_app_one_patient(process: Process, another: Process, world: World, method: str):
    asking = await app(process, method)
    browser = Browser(process)
    page = await browser.open(asking.address())
    assert "Growth &lt;Charts&gt;" in page.text
    await browser.sign_in(world.practitioner)
    page = await browser.press("search", name=world.name)
    assert page.text.count("<li>") == 2
    page = await browser.press("choose", world.two)
    assert f"Berta {world.name}" in page.text
    assert "measurements and laboratory results" in page.text
    await browser.press("give")
    told = browser.told
    assert told.keys() == {"code", "state"}
    assert told["state"] == asking.state
    answer = await asking.exchange(told["code"])
    assert answer.status_code == 200, answer.text
    body = answer.json()
    token = body.pop("access_token")
    id_token = body.pop("id_token")
    body.pop("refresh_token")
    assert body == {
        "token_type": "Bearer", "expires_in": 900, "patient": world.two, "need_patient_banner": True,
        "scope": "patient/Observation.rs patient/Patient.read launch/patient openid fhirUser offline_access",
    }  # fmt: skip
    about = jwt.get_unverified_claims(id_token)
    assert (about["iss"], about["aud"], about["nonce"]) == ("http://test", asking.client.id, "n-1")
    assert about["fhirUser"] == "http://test/fhir/Practitioner/p1"
    async with process.client() as client:
        keys = (await client.get("/.well-known/jwks.json")).json()
    jwt.decode(id_token, keys, ["ES256"], audience=asking.client.id, issuer="http://test")
    for each in (process, another):
        assert await found(each, token, "Patient") == 1
        assert await found(each, token, f"Observation?patient={world.two}") == 1
        assert await found(each, token, f"Observation?patient={world.one}") == 0
        assert await found(each, token, f"Patient/{world.one}") == 404
        assert await found(each, token, "Condition") == 403  # which the user may see, but not the app
        assert await found(each, id_token, "Patient") == 401  # it tells who signed in, and opens nothing


async def test_an_app_of_a_patient_is_about_the_patient(process: Process, world: World):
    asking = await app(process)
    told = await allowed(asking, world.patient, scope="patient/*.cruds user/*.rs openid")
    body = (await asking.exchange(told["code"])).json()
    assert body["patient"] == world.one
    assert body["scope"] == "patient/*.rs user/*.rs openid"
    assert "refresh_token" not in body
    assert await found(process, body["access_token"], "Observation") == 1
    assert await found(process, body["access_token"], f"Patient/{world.two}") == 404
    assert await found(process, body["access_token"], "Practitioner") == 403  # user/*.rs of one who may not


async def test_fewer_scopes_than_asked_for(process: Process, world: World):
    asking = await app(process)
    without = ("patient/Observation.rs", "offline_access", "openid")
    told = await allowed(asking, world.patient, unchecked=without, scope=SCOPE)
    body = (await asking.exchange(told["code"])).json()
    assert body["scope"] == "patient/Patient.read launch/patient"
    assert {"refresh_token", "id_token"}.isdisjoint(body)
    assert await found(process, body["access_token"], "Observation") == 403
    assert await found(process, body["access_token"], "Patient") == 1
    nothing = ("patient/Observation.rs", "patient/Patient.read", "openid")
    told = await allowed(asking, world.patient, unchecked=nothing, scope=SCOPE)
    assert told["error"] == "access_denied"


@pytest.mark.parametrize("step", ["sign-in", "deny"])
async def test_who_does_not_want_it(process: Process, world: World, step: str):
    asking = await app(process)
    browser = Browser(process)
    await browser.open(asking.address())
    if step == "sign-in":
        await browser.sign_in(world.patient)
    await browser.press("deny")
    assert (browser.told["error"], browser.told["state"]) == ("access_denied", asking.state)


async def test_a_browser_remembers_who_signed_in_until_they_sign_out(process: Process, world: World):
    asking = await app(process)
    browser = Browser(process)
    await browser.open(asking.address())
    await browser.sign_in(world.patient)
    page = await browser.open(asking.address(state="other"))
    assert 'value="give"' in page.text
    page = await browser.press("sign-out")
    assert 'name="password"' in page.text
    page = await browser.open(asking.address())
    assert 'name="password"' in page.text


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_cookies_and_headers_of_pages(process: Process, scheme: str):
    asking = await app(process)
    async with process.client() as client:
        client.base_url = httpx.URL(f"{scheme}://test")
        page = await client.get(asking.address(aud=f"{scheme}://test/fhir"))
    assert page.status_code == 200
    cookie = page.headers["set-cookie"]
    assert re.match("__Host-fhir-sign-in=" if scheme == "https" else "fhir-sign-in=", cookie)
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(cookie.split("; "))
    assert ("Secure" in cookie) == (scheme == "https")
    [policy] = page.headers.get_list("content-security-policy")
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "form-action 'self' https://app.example;" in policy
    assert "script" not in policy + page.text
    assert page.headers["x-frame-options"] == "DENY"
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["referrer-policy"] == "no-referrer"
    assert not re.findall(r'(?:src|href)="', page.text)  # nothing from elsewhere, nor from here


@pytest.mark.parametrize(
    ("language", "lang", "words"),
    [
        ("es-ES,es;q=0.9", "es", "Iniciar sesión"),
        ("de, es;q=0.5, en;q=0.4", "es", "Iniciar sesión"),
        ("en", "en", "Sign in"),
        ("fr", "en", "Sign in"),
        ("es;q=x", "en", "Sign in"),
        ("", "en", "Sign in"),
    ],
)
async def test_languages(process: Process, language: str, lang: str, words: str):
    page = await Browser(process, language).open((await app(process)).address())
    assert f'<html lang="{lang}">' in page.text
    assert words in page.text


async def test_no_page_of_others_signs_in_or_decides(process: Process, world: World):
    """What a page elsewhere can send: fields without a proof, or with one that it was given itself."""
    asking = await app(process)
    attacker, victim = Browser(process), Browser(process)
    await attacker.open(asking.address())
    theirs = re.findall(r'name="proof" value="([^"]*)"', attacker.page.text)[0]
    address = asking.address()
    await victim.open(address)
    sign_in = {"step": "sign-in", "username": world.patient, "password": PASSWORD}
    for proof in ({}, {"proof": ""}, {"proof": theirs}):
        answer = await victim.client.post(address, data={**sign_in, **proof})
        assert answer.status_code == 403
        assert "set-cookie" not in answer.headers
    await victim.sign_in(world.patient)
    own = re.findall(r'name="proof" value="([^"]*)"', victim.page.text)[0]
    give = {"step": "give", "scope.0": "patient/Observation.rs", "patient": world.one}
    other = asking.address(state="other")
    for data, to, headers in (
        (give, address, {}),
        ({**give, "proof": theirs}, address, {}),
        ({**give, "proof": own}, other, {}),  # a proof is of one request
        ({**give, "proof": own}, address, {"Sec-Fetch-Site": "cross-site"}),
        ({**give, "proof": own}, address, {"Sec-Fetch-Site": "same-site"}),
    ):
        answer = await victim.client.post(to, data=data, headers=headers)
        assert answer.status_code == 403, data
    cookieless = await attacker.client.post(address, data={**give, "proof": own})
    assert cookieless.status_code == 403
    good = await victim.client.post(address, data={**give, "proof": own}, headers={"Sec-Fetch-Site": "same-origin"})
    assert good.status_code == 303


async def test_the_cookie_changes_with_the_sign_in_and_is_no_token(process: Process, world: World):
    browser = Browser(process)
    await browser.open((await app(process)).address())
    before = browser.client.cookies["fhir-sign-in"]
    await browser.sign_in(world.patient)
    after = browser.client.cookies["fhir-sign-in"]
    assert before != after
    async with process.client() as client:
        refreshed = await client.post("/auth/refresh", json={"refresh_token": after}, headers=JSON)
        assert refreshed.status_code == 400
        assert (await client.get("/fhir/Patient", headers={"Authorization": f"Bearer {after}"})).status_code == 401
        # Nor does a cookie do what needs a token.
        client.cookies["fhir-sign-in"] = after
        assert (await client.get("/fhir/Patient")).status_code == 401


async def test_wrong_passwords(process: Process, world: World):
    asking = await app(process)
    for name, password in ((world.patient, "wrong"), ("nobody-of-that-name", PASSWORD), ("", ""), ("x" * 5000, "x")):
        browser = Browser(process)
        await browser.open(asking.address())
        page = await browser.sign_in(name, password)
        assert page.status_code == 400
        assert "Username or password is wrong." in page.text
        assert "set-cookie" not in page.headers
    name = await process.user("patient")
    for _ in range(11):
        browser = Browser(process)
        await browser.open(asking.address())
        page = await browser.sign_in(name, "wrong")
    assert page.status_code == 429
    assert int(page.headers["retry-after"]) > 0


# --- the request of an app -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": None},
        {"client_id": "nobody"},
        {"client_id": "\x00"},
        {"client_id": "é"},
        {"redirect_uri": None},
        {"redirect_uri": ""},
        {"redirect_uri": "https://evil.example/"},
        {"redirect_uri": BACK + "&x=y"},
        {"redirect_uri": BACK + "#"},
        {"redirect_uri": BACK.replace("/back", "/back/../evil")},
        {"redirect_uri": BACK.replace("/back", "/BACK")},
        {"redirect_uri": BACK.replace("app.example", "app.example.evil.example")},
        {"redirect_uri": BACK.replace("app.example", "app.example@evil.example")},
        {"redirect_uri": BACK.replace("app.example", "APP.example")},
        {"redirect_uri": BACK.replace("app.example", "app.example:443")},
        {"redirect_uri": BACK.replace("https", "http")},
        {"redirect_uri": "https://app.example/back"},
        {"redirect_uri": "javascript:alert(1)//" + BACK},
        {"redirect_uri": BACK + "\r\nSet-Cookie: x=y"},
    ],
    ids=str,
)
async def test_nobody_is_sent_to_an_address_that_is_not_registered(process: Process, changes: dict[str, Any]):
    async with process.client() as client:
        page = await client.get((await app(process)).address(**changes))
    assert page.status_code == 400
    assert page.headers["content-type"].startswith("text/html")
    assert "location" not in page.headers
    assert "evil" not in page.text


async def test_parameters_that_come_twice_or_can_not_be_read(process: Process):
    asking = await app(process)
    async with process.client() as client:
        for address in (
            asking.address() + "&redirect_uri=https://evil.example/",
            asking.address() + "&client_id=x",
            asking.address() + "&state=%ff",
            "/auth/authorize",
            "/auth/authorize?%",
        ):
            page = await client.get(address)
            assert (page.status_code, "location" in page.headers) == (400, False), address


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": None}, "unsupported_response_type"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "code id_token"}, "unsupported_response_type"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge": ""}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"code_challenge": "x" * 44}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),  # which would be plain
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": "s256"}, "invalid_request"),
        ({"state": None}, "invalid_request"),
        ({"state": ""}, "invalid_request"),
        ({"state": "x" * 3000}, "invalid_request"),
        ({"nonce": "x" * 3000}, "invalid_request"),
        ({"aud": None}, "invalid_request"),
        ({"aud": "https://elsewhere.example/fhir"}, "invalid_request"),
        ({"aud": "http://test/fhir/Patient"}, "invalid_request"),
        ({"aud": "http://test"}, "invalid_request"),
        ({"scope": None}, "invalid_scope"),
        ({"scope": "patient/Observation.xyz"}, "invalid_scope"),
        ({"scope": "patient/é.rs"}, "invalid_scope"),
        ({"scope": "system/*.rs"}, "invalid_scope"),
        ({"scope": "server/admin"}, "invalid_scope"),
        ({"scope": "patient/AuditEvent.rs"}, "invalid_scope"),
        ({"scope": "launch/patient"}, "invalid_scope"),  # nothing to do there
        ({"launch": "unknown"}, "invalid_request"),
        ({"launch": ""}, "invalid_request"),
        ({"request": "x.y.z"}, "request_not_supported"),
        ({"request_uri": "https://evil.example/"}, "request_not_supported"),
    ],
    ids=str,
)
async def test_errors_that_the_app_is_told(process: Process, changes: dict[str, Any], error: str):
    asking = await app(process)
    browser = Browser(process)
    await browser.open(asking.address(**changes))
    told = browser.told
    assert told["error"] == error
    state = changes.get("state", asking.state)
    assert told.get("state") == (
        state if state and len(state) < 2048 else state if state is None else told.get("state")
    )
    assert "code" not in told


async def test_a_disabled_app_is_told_nothing(process: Process, world: World):
    asking = await app(process)
    browser = Browser(process)
    await browser.open(asking.address())
    await browser.sign_in(world.patient)
    await process.access.oauth.clients.change(asking.client.id, disabled=True)
    page = await browser.press("give")
    assert (page.status_code, "location" in page.headers) == (400, False)


async def test_a_request_as_a_form(process: Process, world: World):
    asking = await app(process)
    browser = Browser(process)
    params = dict(httpx.URL(asking.address()).params)
    browser.page = await browser.client.post("/auth/authorize", data=params)
    page = await browser._follow()
    assert 'name="password"' in page.text


async def test_what_was_not_offered_can_not_be_chosen(process: Process, world: World):
    """Boxes that nobody showed, and another patient than one's own."""
    asking = await app(process, scope="patient/Observation.rs openid")
    browser = Browser(process)
    await browser.open(asking.address(scope="patient/Observation.rs patient/*.cruds"))
    await browser.sign_in(world.patient)
    more = {"scope.7": "patient/*.cruds", "scope.8": "server/admin", "scope.9": "user/*.cruds", "patient": world.two}
    await browser.press("give", **more)
    body = (await asking.exchange(browser.told["code"])).json()
    assert (body["scope"], body["patient"]) == ("patient/Observation.rs", world.one)


async def test_patients_whom_the_user_may_not_see_can_not_be_chosen(process: Process, world: World):
    role = f"r_{secrets.token_hex(4)}"
    from fhirserver.access.store import Role

    scopes = f"user/Patient.rs?_id={world.one} user/Observation.rs"
    await process.access.administration.save_role(Role(role, scopes, ""))
    await process.changes.ask()
    name = await process.user(role)
    asking = await app(process)
    browser = Browser(process)
    await browser.open(asking.address())
    await browser.sign_in(name)
    page = await browser.press("search", name=world.name)
    assert (world.one in page.text, world.two in page.text) == (True, False)
    await browser.press("choose", world.one, patient=world.two)
    assert browser.told["error"] == "access_denied"
    browser = Browser(process)
    await browser.open(asking.address())
    await browser.sign_in(name)
    await browser.press("search", name=world.name)
    await browser.press("choose", world.one)
    await browser.press("give", patient=world.two)
    assert browser.told["error"] == "access_denied"


@pytest.mark.parametrize(
    ("typed", "count"),
    [
        ({"name": "NAME"}, 2),
        ({"name": "Ana NAME"}, 1),
        ({"name": "NAME", "birthdate": "1980-02-01"}, 2),
        ({"name": "NAME", "birthdate": "1990-02-01"}, 0),
        ({"name": ""}, 0),
        ({"name": "NAME", "birthdate": "yesterday"}, 0),
        ({"name": "NAME,Ana"}, 0),  # a comma is no "or"
        ({"name": "NAME$x|y\\"}, 0),
        ({"name": "12345,|"}, 0),
        ({"name": "<script>alert(1)</script>"}, 0),
        ({"name": "x\x01\u202e"}, 0),
    ],
    ids=str,
)
async def test_searches_for_patients(process: Process, world: World, typed: dict[str, str], count: int):
    browser = Browser(process)
    await browser.open((await app(process)).address())
    await browser.sign_in(world.practitioner)
    page = await browser.press("search", **{name: value.replace("NAME", world.name) for name, value in typed.items()})
    assert page.status_code == 200
    assert page.text.count("<li>") == count
    assert "<script" not in page.text


# --- codes and refresh tokens ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"code_verifier": None}, "invalid_request"),
        ({"code_verifier": ""}, "invalid_grant"),
        ({"code_verifier": "x" * 64}, "invalid_grant"),
        ({"code_verifier": "CHALLENGE"}, "invalid_grant"),  # the challenge itself, as if it were plain
        ({"redirect_uri": None}, "invalid_request"),
        ({"redirect_uri": "https://evil.example/"}, "invalid_grant"),
        ({"redirect_uri": BACK + "#"}, "invalid_grant"),
        ({"code": None}, "invalid_request"),
        ({"code": "x"}, "invalid_grant"),
        ({"code": "\x00"}, "invalid_request"),
        ({"client_id": None}, "invalid_client"),
        ({"client_id": "nobody"}, "invalid_client"),
    ],
    ids=str,
)
async def test_codes_are_given_to_nobody_else(process: Process, world: World, changes: dict[str, Any], error: str):
    asking = await app(process)
    code = (await allowed(asking, world.patient))["code"]
    changes = {
        name: challenge_of(asking.verifier) if value == "CHALLENGE" else value for name, value in changes.items()
    }
    answer = await asking.exchange(code, **changes)
    assert (answer.status_code, answer.json()["error"]) == (401 if error == "invalid_client" else 400, error)
    assert answer.headers["content-type"].startswith("application/json")
    assert (await asking.exchange(code)).status_code == 200


async def test_a_code_of_another_client(process: Process, world: World):
    asking, other = await app(process), await app(process)
    code = (await allowed(asking, world.patient))["code"]
    other.verifier = asking.verifier
    assert (await other.exchange(code)).json()["error"] == "invalid_grant"
    confidential = await app(process, "client_secret_basic")
    code = (await allowed(confidential, world.patient))["code"]
    confidential.secret = None  # who has read the code has not its secret
    assert (await confidential.exchange(code)).status_code == 401


async def test_a_code_that_comes_again_ends_what_was_given_for_it(process: Process, another: Process, world: World):
    asking = await app(process)
    code = (await allowed(asking, world.patient))["code"]
    body = (await asking.exchange(code)).json()
    assert await found(another, body["access_token"], "Patient") == 1
    assert (await asking.exchange(code)).json()["error"] == "invalid_grant"
    await another.changes.ask()
    assert await found(another, body["access_token"], "Patient") == 401
    assert (await asking.refresh(body["refresh_token"])).json()["error"] == "invalid_grant"


async def test_a_code_is_good_once_at_the_same_time(process: Process, world: World):
    asking = await app(process)
    code = (await allowed(asking, world.patient))["code"]
    answers = await asyncio.gather(*(asking.exchange(code) for _ in range(5)))
    assert sum(answer.status_code == 200 for answer in answers) == 1
    [body] = [answer.json() for answer in answers if answer.status_code == 200]
    await process.changes.ask()
    assert await found(process, body["access_token"], "Patient") == 401


async def test_refresh_tokens_rotate_and_a_used_one_ends_all(process: Process, another: Process, world: World):
    asking, other = await app(process), await app(process)
    first = (await asking.exchange((await allowed(asking, world.patient))["code"])).json()
    assert (await other.refresh(first["refresh_token"])).json()["error"] == "invalid_grant"  # of another app
    async with process.client() as client:  # and not of people
        answer = await client.post("/auth/refresh", json={"refresh_token": first["refresh_token"]}, headers=JSON)
        assert answer.status_code == 400
    second = (await asking.refresh(first["refresh_token"])).json()
    assert (second["scope"], second["patient"]) == (first["scope"], world.one)
    assert second["refresh_token"] != first["refresh_token"]
    less = await asking.refresh(second["refresh_token"], scope="patient/Patient.read")
    assert less.json()["scope"] == "patient/Patient.read"
    assert await found(process, less.json()["access_token"], "Observation") == 403
    assert await found(process, second["access_token"], "Observation") == 1
    assert (await asking.refresh(first["refresh_token"])).json()["error"] == "invalid_grant"
    await another.changes.ask()
    assert await found(another, second["access_token"], "Observation") == 401


@pytest.mark.parametrize(("method", "expected"), [("none", 200), ("client_secret_basic", 401)])
async def test_a_public_app_need_not_say_who_it_is_to_refresh(
    process: Process, world: World, method: str, expected: int
):
    asking = await app(process, method)
    body = (await asking.exchange((await allowed(asking, world.patient))["code"])).json()
    asking.secret = None
    assert (await asking.refresh(body["refresh_token"], client_id=None)).status_code == expected
    assert (await asking.refresh("x.y", client_id=None)).status_code == 401


@pytest.mark.parametrize(
    "scope", ["patient/*.rs", "patient/Observation.cruds", "user/*.rs", "", "server/admin", "x/y.z"]
)
async def test_a_refresh_does_not_give_more(process: Process, world: World, scope: str):
    asking = await app(process)
    body = (await asking.exchange((await allowed(asking, world.patient))["code"])).json()
    assert (await asking.refresh(body["refresh_token"], scope=scope)).json()["error"] == "invalid_scope"
    assert (await asking.refresh(body["refresh_token"])).status_code == 200


async def test_online_access_lasts_as_long_as_the_browser_remembers(process: Process, world: World):
    asking = await app(process)
    body = (
        await asking.exchange((await allowed(asking, world.patient, scope="patient/*.rs online_access"))["code"])
    ).json()
    assert "refresh_token" in body
    async with process.client(**await process.bearer(world.patient)) as client:
        given = (await client.get("/auth/apps")).json()["apps"]
    [mine] = [one for one in given if one["client_id"] == asking.client.id]
    from datetime import datetime, timedelta

    since, until = (datetime.fromisoformat(mine["given"][0][name]) for name in ("since", "until"))
    assert timedelta(hours=7) < until - since <= timedelta(hours=8)


@pytest.mark.parametrize(("scope", "expected"), [("online_access", 400), ("offline_access", 200)])
async def test_who_signs_out_of_the_browser_ends_online_access(
    process: Process, world: World, scope: str, expected: int
):
    asking = await app(process)
    browser = Browser(process)
    await browser.open(asking.address(scope=f"patient/*.rs {scope}"))
    await browser.sign_in(world.patient)
    await browser.press("give")
    body = (await asking.exchange(browser.told["code"])).json()
    await browser.open(asking.address())
    await browser.press("sign-out")
    assert (await asking.refresh(body["refresh_token"])).status_code == expected


# --- the end ---------------------------------------------------------------------------------------------------------


async def test_tokens_end_with_their_user_their_app_or_their_consent(
    process: Process, another: Process, world: World, admin: dict[str, str]
):
    async with process.client(**admin) as client:
        for end in ("user", "app", "consent", "revoke", "revoke refresh", "password"):
            name = await process.user("patient", fhir_user=f"Patient/{world.one}")
            asking = await app(process)
            body = (await asking.exchange((await allowed(asking, name))["code"])).json()
            assert await found(another, body["access_token"], "Observation") == 1
            token = body["refresh_token" if end == "revoke refresh" else "access_token"]
            async with process.client(**await process.bearer(name)) as own:
                match end:
                    case "user":
                        done = await client.patch(f"/auth/users/{name}", json={"disabled": True}, headers=JSON)
                    case "app":
                        address = f"/auth/clients/{asking.client.id}"
                        done = await client.patch(address, json={"disabled": True}, headers=JSON)
                    case "consent":
                        [mine] = (await own.get("/auth/apps")).json()["apps"]
                        assert (mine["name"], mine["given"][0]["patient"]) == ("Growth <Charts>", world.one)
                        done = await own.delete(f"/auth/apps/{asking.client.id}")
                        assert (await own.delete(f"/auth/apps/{asking.client.id}")).status_code == 404
                        assert (await own.get("/auth/apps")).json()["apps"] == []
                    case "password":
                        change = {"current_password": PASSWORD, "new_password": "Another-Horse-18"}
                        done = await own.post("/auth/password", json=change, headers=JSON)
                    case _:
                        form = {"token": token, "client_id": asking.client.id}
                        async with process.client() as nobody:
                            done = await nobody.post("/auth/revoke", data=form, headers=FORM)
            assert done.status_code in (200, 204), (end, done.text)
            await another.changes.ask()
            assert await found(another, body["access_token"], "Observation") == 401, end
            refused = await asking.refresh(body["refresh_token"])
            assert refused.json()["error"] in ("invalid_grant", "invalid_client"), end


async def test_what_a_user_may_no_longer_do_neither_may_the_app(process: Process, world: World, admin: dict[str, str]):
    name = await process.user("practitioner")
    asking = await app(process)
    told = await allowed(asking, name, scope="user/*.rs")
    body = (await asking.exchange(told["code"])).json()
    assert await found(process, body["access_token"], f"Observation?patient={world.one}") == 1
    async with process.client(**admin) as client:
        await client.patch(f"/auth/users/{name}", json={"roles": ["auditor"]}, headers=JSON)
    await process.changes.ask()
    assert await found(process, body["access_token"], "Observation") == 403


async def test_an_app_does_not_act_as_its_user_elsewhere(process: Process, world: World):
    """Neither keys nor passwords nor consents are an app's, whatever it was given."""
    name = await process.user("admin")
    asking = await app(process)
    body = (await asking.exchange((await allowed(asking, name, scope="user/*.cruds"))["code"])).json()
    async with process.client(**await process.bearer(name)) as client:
        key = {"name": "k", "scope": "system/*.cruds"}
        made = (await client.post("/auth/api-keys", json=key, headers=JSON)).json()
    async with process.client(Authorization=f"Bearer {body['access_token']}") as client:
        myself = (await client.get("/auth/me")).json()
        assert (myself["username"], myself["is_admin"], myself["app"]) == (name, False, asking.client.id)
        assert "email" not in myself
        assert (await client.post("/auth/api-keys", json=key, headers=JSON)).status_code == 403
        assert (await client.get("/auth/api-keys")).status_code == 403
        assert (await client.delete(f"/auth/api-keys/{made['id']}")).status_code == 403
        change = {"current_password": PASSWORD, "new_password": "Another-Horse-18"}
        assert (await client.post("/auth/password", json=change, headers=JSON)).status_code == 403
        assert (await client.get("/auth/users")).status_code == 403
        assert (await client.get("/auth/clients")).status_code == 403
        assert (await client.get("/auth/apps")).status_code == 403
        assert (await client.delete(f"/auth/apps/{asking.client.id}")).status_code == 403


async def test_the_most_scopes_fit(process: Process, world: World):
    """A practitioner's role is a long list; what an app gets of it fits into a header."""
    asking = await app(process)
    told = await allowed(asking, world.practitioner, scope="user/*.cruds")
    body = (await asking.exchange(told["code"])).json()
    assert body["scope"].startswith("user/*.rs user/Account.cud ")
    assert len(body["access_token"]) < 8192
    assert await found(process, body["access_token"], f"Observation?patient={world.one}") == 1


async def test_nothing_that_is_secret_stands_in_what_was_granted(process: Process, world: World):
    asking = await app(process, scope=MOST)
    told = await allowed(asking, world.patient, scope="patient/*.rs openid profile")
    body = (await asking.exchange(told["code"])).json()
    claims = jwt.get_unverified_claims(body["access_token"])
    assert claims.keys() == {
        "iss", "aud", "sub", "sid", "client_id", "scope", "fhirUser", "iat", "nbf", "exp", "jti",
    }  # fmt: skip
    about = jwt.get_unverified_claims(body["id_token"])
    assert about.keys() == {
        "iss", "aud", "sub", "nonce", "fhirUser", "name", "preferred_username", "iat", "nbf", "exp", "jti",
    }  # fmt: skip
