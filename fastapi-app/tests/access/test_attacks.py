"""Attacks on what is kept from a caller, and on who they are: each by a table of attempts.

What is in other tables is not here: forged tokens in `test_tokens.py`, guessing in `test_accounts.py`, addresses that the
server fetches in `test_issuers.py`, who may reach what in `test_table.py` and `test_protection.py`.
"""

import base64
import gzip
import json
import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import httpx
import pytest
from api.building import bundle, entry, unique

from .conftest import FORM, JSON, PASSWORD, Process, start

SYSTEM = "urn:test:attacks"


@dataclass
class World:
    """A patient with a record, another whose record they are after, and the headers of both and of a nurse."""

    process: Process
    tag: str
    own: str
    victim: str
    secret: str
    headers: dict[str, dict[str, str]]

    def client(self, who: str) -> httpx.AsyncClient:
        client = self.process.client(**self.headers[who])
        client.base_url = httpx.URL("http://test/fhir")
        return client


@pytest.fixture(scope="module")
async def world(dsn: str) -> AsyncIterator[World]:
    process, opened = await start(dsn)
    tag = unique()
    own, victim, secret = f"Patient/own-{tag}", f"Patient/victim-{tag}", f"Observation/secret-{tag}"
    headers = {
        "patient": await process.bearer(await process.user("patient", fhir_user=own)),
        "nurse": await process.bearer(await process.user("nurse")),
        "admin": await process.bearer(await process.user("admin")),
    }
    made = World(process, tag, own, victim, secret, headers)
    identifier = [{"system": SYSTEM, "value": f"victim-{tag}"}]
    written = (
        entry("PUT", own, {"resourceType": "Patient", "id": own[8:], "active": True}),
        entry("PUT", victim, {"resourceType": "Patient", "id": victim[8:], "identifier": identifier, "name": [{"family": "Marker"}]}),
        entry("PUT", secret, {"resourceType": "Observation", "id": secret[12:], "status": "final", "code": {"text": "x"},
                              "subject": {"reference": victim}, "identifier": identifier, "performer": [{"reference": own}]}),
    )  # fmt: skip
    async with made.client("admin") as client:
        stored = await client.post("", json=bundle(*written))
        assert stored.status_code == 200, stored.text
    yield made
    await opened.close()


# The record of somebody else, by whatever leads there. None of these answers differs from that for what is not there.

IDOR = {
    "by id": "Patient/{victim}",
    "a version": "Patient/{victim}/_history/1",
    "a history": "Patient/{victim}/_history",
    "an operation": "Patient/{victim}/$meta",
    "by _id": "Patient?_id={victim}",
    "by identifier": "Patient?identifier=urn:test:attacks|{victim}",
    "its compartment": "Patient/{victim}/Observation",
    "its compartment, all types": "Patient/{victim}/*",
    "by subject": "Observation?subject=Patient/{victim}",
    "by patient": "Observation?patient={victim}",
    "by performer, who is the caller": "Observation?performer={own}",
    "chained": "Observation?subject.family=Marker",
    "chained by identifier": "Observation?subject:identifier=urn:test:attacks|{victim}",
    "reverse": "Patient?_has:Observation:performer:subject={victim}",
    "reverse along a reference": "Patient?_has:Observation:performer:identifier=urn:test:attacks|{victim}",
    "included": "Observation?performer={own}&_include=Observation:subject",
    "included in reverse": "Patient?_id={own}&_revinclude=Observation:performer",
    "included in reverse, again and again": "Patient?_id={own}&_revinclude=Observation:performer&_include:iterate=*",
    "over types": "?_type=Patient,Observation&identifier=urn:test:attacks|{victim}",
    "filtered": "Observation?_filter=subject%20eq%20Patient/{victim}",
    "by words": "Patient?_content=Marker",
    "sorted": "Observation?_sort=subject.family&subject={victim}",
    "contained": "Observation?_contained=both&subject={victim}",
    "counted": "Observation?subject={victim}&_summary=count",
    "estimated": "Observation?subject={victim}&_total=estimate&_count=0",
    "explained": "Observation?subject={victim}&_explain=true",
}


@pytest.mark.parametrize("name", IDOR)
async def test_the_record_of_somebody_else(world: World, name: str) -> None:
    nobody = f"nobody-{world.tag}"
    async with world.client("patient") as client:
        answers = []
        for id in (world.victim[8:], nobody):
            url = IDOR[name].replace("{victim}", id).replace("{own}", world.own[8:])
            answers.append(await client.get(url))
    there, nowhere = answers
    assert there.status_code == nowhere.status_code < 500
    shown, empty = there.text.replace(world.victim[8:], nobody), nowhere.text
    assert "Marker" not in there.text.replace("subject.family=Marker", "").replace("_content=Marker", "")
    assert "secret-" not in there.text
    if there.status_code == 200:
        assert there.json().get("total", 0) == nowhere.json().get("total", 0)
        assert [one["resource"]["id"] for one in there.json().get("entry", ())] == [
            one["resource"]["id"] for one in nowhere.json().get("entry", ())
        ]
    else:
        assert shown == empty


WRITES = {
    "update": lambda w: entry("PUT", w.victim, {"resourceType": "Patient", "id": w.victim[8:]}),
    "delete": lambda w: entry("DELETE", w.victim),
    "conditional update": lambda w: entry("PUT", f"Patient?identifier={SYSTEM}|victim-{w.tag}", {"resourceType": "Patient"}),
    "conditional delete": lambda w: entry("DELETE", f"Patient?identifier={SYSTEM}|victim-{w.tag}"),
    "create in the record": lambda w: entry("POST", "Observation", _observed(w.victim)),
    "create by a conditional reference": lambda w: entry("POST", "Observation", _observed(f"Patient?identifier={SYSTEM}|victim-{w.tag}")),
    "create unless there": lambda w: entry("POST", "Patient", {"resourceType": "Patient"}, ifNoneExist=f"identifier={SYSTEM}|victim-{w.tag}"),
    "take over": lambda w: entry("PUT", w.secret, {**_observed(w.own), "id": w.secret[12:]}),
}  # fmt: skip


def _observed(subject: str) -> dict[str, Any]:
    return {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "subject": {"reference": subject}}


@pytest.mark.parametrize("kind", ["transaction", "batch"])
@pytest.mark.parametrize("name", WRITES)
async def test_writing_into_the_record_of_somebody_else(world: World, name: str, kind: str) -> None:
    async with world.client("admin") as admin:
        role = {"scopes": "patient/*.cruds"}
        saved = await admin.put("http://test/auth/roles/test_writes_own", json=role, headers=JSON)
        assert saved.status_code == 204
    user = await world.process.user("test_writes_own", fhir_user=world.own)
    await world.process.changes.ask()
    client = world.process.client(**await world.process.bearer(user))
    async with client:
        answer = await client.post("/fhir", json=bundle(WRITES[name](world), kind=kind))
    status = answer.json()["entry"][0]["response"]["status"] if answer.status_code == 200 else str(answer.status_code)
    assert status[:3] in ("400", "403", "404", "422") or (name == "conditional delete" and status[:3] == "204"), (
        answer.text
    )
    async with world.client("admin") as admin:
        for address in (world.victim, world.secret):
            assert (await admin.get(address)).json()["meta"]["versionId"] == "1"


# SQL, and what else could be read as something other than a value.

INJECTIONS = (
    "'", '"', "\\", "'; DROP TABLE resource; --", "' OR '1'='1", "1) OR (1=1", "$1", "%", "%s", "{0}", "\u2028", "\u0660",
    "\U0001f600", "'::regclass", "(select pg_sleep(9))", "**", "(?:", "a{1,99999}", "'a' & 'b':*", "<->", "\x7f",
)  # fmt: skip
PLACES = (
    "Patient?name={}", "Patient?name:exact={}", "Patient?name:contains={}", "Patient?identifier={}", "Patient?identifier={}|x",
    "Patient?_content={}", "Patient?_text={}", "Patient?_tag={}", "Patient?_sort={}", "Patient?{}=x", "Patient?_has:{}:a:b=c",
    "Observation?code:text={}", "Observation?patient.name={}", "Observation?date={}", "Observation?value-quantity={}",
    "Patient?_filter=name%20co%20%22{}%22", "Patient?_cursor={}", "Patient/_history?_cursor={}", "Patient?_type={}",
    "Patient?_elements={}", "Patient/{}", "Patient/x/_history/{}", "{}", "Patient/x/${}", "Patient?_id={}", "Observation?subject={}",
    "ValueSet/$expand?url={}", "ValueSet/$expand?url=http://hl7.org/fhir/ValueSet/administrative-gender&filter={}",
)  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
async def test_what_is_injected_stays_a_value(world: World, place: str) -> None:
    async with world.client("nurse") as client:
        for text in INJECTIONS:
            answer = await client.get(place.replace("{}", quote(text, safe="")))
            assert answer.status_code < 500, (text, answer.text)
            if answer.status_code >= 400:
                assert answer.json()["resourceType"] == "OperationOutcome"
                assert not any(word in answer.text for word in ("asyncpg", "Traceback", "syntax error", "SELECT ")), (
                    answer.text
                )
        assert (await client.get(world.victim)).status_code == 200  # nothing is gone


@pytest.mark.parametrize("text", INJECTIONS)
async def test_what_is_injected_into_accounts_stays_a_value(world: World, text: str) -> None:
    async with world.process.client() as client:
        answers = [
            await client.post("/auth/login", data={"username": text, "password": text, "scope": text}, headers=FORM),
            await client.post("/auth/refresh", data={"refresh_token": text}, headers=FORM),
            await client.get("/fhir/Patient", headers={"Authorization": f"Bearer {quote(text)}"}),
            await client.get("/fhir/Patient", headers={"X-API-Key": quote(text)}),
        ]
    for answer in answers:
        assert answer.status_code in (400, 401, 429), answer.text
    async with world.client("admin") as admin:
        for path in (f"users/{quote(text, safe='')}/password", f"api-keys/{quote(text, safe='')}"):
            answer = await admin.request("POST" if "users" in path else "DELETE", f"http://test/auth/{path}")
            assert 400 <= answer.status_code < 500, answer.text


@pytest.mark.parametrize(
    "value", ["x\r\nSet-Cookie: a=b", "x\nLocation: http://evil", "x\x00y", "x" * 5000, "\u0000", "a, b", "\x1b[31mred"]
)
async def test_headers_do_not_come_back_as_headers_or_as_lines_of_the_log(
    world: World, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a client sends in a header that it gets back, or that is logged, is cleaned or refused."""
    names = (
        "X-Request-ID",
        "Prefer",
        "Accept",
        "If-Match",
        "If-None-Match",
        "X-Forwarded-For",
        "X-Purpose-Of-Use",
        "X-Break-Glass-Reason",
    )
    async with world.client("nurse") as client:
        for name in names:
            more = {"X-Purpose-Of-Use": "BTG"} if name == "X-Break-Glass-Reason" else {}
            answer = await client.get(world.victim, headers={name: value.encode(), **more})
            assert answer.status_code < 500, (name, answer.text)
            assert "set-cookie" not in answer.headers
            assert answer.headers.get("location", "").find("evil") < 0
            assert all("\n" not in header and "\r" not in header for header in answer.headers.values())
    lines = [line for line in capsys.readouterr().out.splitlines() if line]
    assert not [line for line in lines if line.startswith(("Set-Cookie", "Location"))]
    assert "\x1b[31mred" not in "".join(lines)


# Cursors: they are signed, and good for the search that they are of.


async def test_cursors_can_not_be_made_up_or_carried_elsewhere(world: World) -> None:
    async with world.client("admin") as admin, world.client("patient") as patient:
        for number in range(3):
            body = {"resourceType": "Basic", "meta": {"tag": [{"code": world.tag}]}, "code": {"text": str(number)}}
            assert (await admin.post("Basic", json=body)).status_code == 201
        page = (await admin.get(f"Basic?_tag={world.tag}&_count=1")).json()
        following = next(link["url"] for link in page["link"] if link["relation"] == "next")
        cursor = parse_qs(urlsplit(following).query)["_cursor"][0]
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        for changed in (
            *(raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :] for place in range(0, len(raw), 5)),
            raw[:-1], raw + b"x", b"", b"[false,0]", raw[::-1],
        ):  # fmt: skip
            made_up = base64.urlsafe_b64encode(changed).decode().rstrip("=")
            answer = await admin.get(f"Basic?_tag={world.tag}&_count=1&_cursor={made_up}")
            assert answer.status_code in (400, 410) or not changed, answer.text
        for elsewhere in (
            "Basic?_count=1",
            f"Basic?_tag={world.tag}x",
            f"Patient?_tag={world.tag}",
            "_history?",
            "Basic/_history?",
        ):
            answer = await admin.get(f"{elsewhere}{'&' if '?' in elsewhere[:-1] else ''}_cursor={cursor}")
            assert answer.status_code in (400, 410), (elsewhere, answer.text)
        # carried to another caller it shows what that one may see
        answer = await patient.get(f"Basic?_tag={world.tag}&_count=1&_cursor={cursor}")
        assert answer.status_code == 403 or not answer.json().get("entry")


# Mass assignment: what a body may not set it does not set.

MORE = {
    "roles": ["admin"], "role": "admin", "is_admin": True, "scopes": "server/admin", "scope": "server/admin", "disabled": False,
    "fhir_user": "Patient/victim", "password_hash": "x", "id": "x", "credential": "x", "clearance": "V", "grants": ["user/*.cruds"],
}  # fmt: skip


@pytest.mark.parametrize("name", MORE)
async def test_nobody_gives_themselves_more(world: World, name: str) -> None:
    process = world.process
    username = f"u{unique()[2:]}"
    body = {
        "username": username,
        "email": f"{username}@example.org",
        "password": PASSWORD,
        "full_name": "A",
        "role": "patient",
    }
    async with process.client() as client:
        answer = await client.post("/auth/register", json={**body, name: MORE[name]}, headers=JSON)
        if answer.status_code >= 400:
            assert answer.status_code in (400, 403, 422), answer.text
            assert (await client.post("/auth/register", json=body, headers=JSON)).status_code == 201
    headers = await process.bearer(username)
    async with process.client(**headers, **JSON) as client:
        attempts = (
            await client.patch("/auth/me", json={name: MORE[name]}),
            await client.patch(f"/auth/users/{username}", json={name: MORE[name]}),
            await client.put("/auth/roles/patient", json={"scopes": "user/*.cruds server/admin", name: MORE[name]}),
            await client.post(
                "/auth/password", json={"current_password": PASSWORD, "new_password": PASSWORD + "9", name: MORE[name]}
            ),
            await client.post(
                "/auth/api-keys", json={"name": "k", "scope": "user/*.cruds server/admin", name: MORE[name]}
            ),
        )
        assert all(attempt.status_code < 500 for attempt in attempts)
        assert all(attempt.status_code in (401, 403, 404, 405) for attempt in attempts[:3]), [a.text for a in attempts]
    tokens = await process.login(username, PASSWORD + "9" if attempts[3].is_success else PASSWORD)
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    async with process.client(**headers) as client:
        me = (await client.get("/auth/me")).json()
        assert (me["roles"], me.get("fhir_user")) == (["patient"], None)
        assert (await client.get("/auth/users")).status_code == 403
        assert (await client.get(f"/fhir/{world.victim}")).status_code in (403, 404)


async def test_a_login_and_a_refresh_give_no_more_scopes(world: World) -> None:
    user = await world.process.user("patient", fhir_user=world.own)
    headers = await world.process.bearer(
        user, scope="user/*.cruds system/*.cruds server/admin server/clearance.V server/break-glass"
    )
    async with world.process.client(**headers) as client:
        assert (await client.get(f"/fhir/{world.victim}")).status_code == 404
        assert (await client.get("/auth/users")).status_code == 403
        glass = {"X-Purpose-Of-Use": "BTG", "X-Break-Glass-Reason": "because"}
        assert (await client.get(f"/fhir/{world.victim}", headers=glass)).status_code == 403


# Bombs: small on the wire, large or slow when taken apart.


def _gzipped(size: int, layers: int = 1) -> bytes:
    content = b'{"resourceType":"Patient","language":"' + b" " * size + b'"}'
    for _ in range(layers):
        content = gzip.compress(content)
    return content


BOMBS: dict[str, tuple[bytes, dict[str, str], tuple[int, ...]]] = {
    "gzip, 200 MB of blanks": (_gzipped(200_000_000), {"Content-Encoding": "gzip"}, (413,)),
    "gzip in gzip": (_gzipped(50_000_000, 2), {"Content-Encoding": "gzip, gzip"}, (413, 415)),
    "gzip in gzip, said once": (_gzipped(50_000_000, 2), {"Content-Encoding": "gzip"}, (400, 413)),
    "many members": (gzip.compress(b" " * 1_000_000) * 100, {"Content-Encoding": "gzip"}, (400, 413)),
    "deflate": (zlib.compress(b" " * 100_000_000), {"Content-Encoding": "deflate"}, (413, 415)),
    "brotli, which is not": (b"x", {"Content-Encoding": "br"}, (400, 415)),
    "half of a gzip": (_gzipped(1000)[:40], {"Content-Encoding": "gzip"}, (400,)),
    "open brackets": (b"[" * 5_000_000, {}, (400,)),
    "open objects": (b'{"a":' * 2_000_000, {}, (400,)),
    "a long number": (b'{"resourceType":"Patient","multipleBirthInteger":' + b"9" * 5_000_000 + b"}", {}, (400, 422)),
    "a large exponent": (b'{"resourceType":"Patient","multipleBirthInteger":1e' + b"9" * 1_000_000 + b"}", {}, (400, 422)),
    "many keys": (b'{"resourceType":"Patient",' + b",".join(b'"k%d":1' % n for n in range(100_000)) + b"}", {}, (400, 422)),
    "the same key": (b'{"resourceType":"Patient"' + b',"id":"a"' * 500_000 + b"}", {}, (400, 422)),
    "many items": (b'{"resourceType":"Patient","name":[' + b",".join([b"{}"] * 200_000) + b"]}", {}, (400, 422)),
    "a deep narrative": (json.dumps({"resourceType": "Patient", "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">' + "<b>" * 200_000}}).encode(), {}, (400, 422)),
    "entities": (json.dumps({"resourceType": "Patient", "text": {"status": "generated", "div": '<!DOCTYPE a [<!ENTITY b "bb"><!ENTITY c "&b;&b;">]><div xmlns="http://www.w3.org/1999/xhtml">&c;</div>'}}).encode(), {}, (400, 422)),
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
async def test_bombs(world: World, name: str) -> None:
    body, headers, statuses = BOMBS[name]
    async with world.client("admin") as client:
        answer = await client.post("Patient", content=body, headers=headers)
        assert answer.status_code in statuses, answer.text[:500]
        assert len(answer.content) < 200_000
        assert (await client.get(world.victim)).status_code == 200


# Searches that would take long to read or to carry out.

_YEARS = ",".join(f"ge{1900 + n % 100}-{n % 12 + 1:02d}" for n in range(1900))
TOO_MUCH = {
    "an order by thousands of keys": "_sort=" + ",".join(["code"] * 3000),
    "an order by a few too many": "_sort=" + ",".join(["code"] * 17),
    "values upon values": "&".join([f"date={_YEARS}"] * 3),
    "elements": "_elements=" + ",".join(["code"] * 5000),
    "types": "_type=" + ",".join(["Patient"] * 5000),
    "chains": "&".join(f"subject:Patient.name=a{n}" for n in range(51)),
    "chains in reverse": "&".join(["_has:Provenance:target:recorded=2020"] * 51),
    "chains, each of many values": "&".join([f"subject:Patient.birthdate=gt{'2000,gt' * 70}2001"] * 49),
    "parameters": "&".join(f"code=a{n}" for n in range(1001)),
    "a filter in a filter": "_filter=" + quote("not (" * 200 + "code eq a" + ")" * 200),
    "a filter of many": "_filter=" + quote(" or ".join(["code eq a"] * 600)),
}


@pytest.mark.parametrize("name", TOO_MUCH)
async def test_searches_that_ask_too_much_are_refused(world: World, name: str) -> None:
    async with world.client("nurse") as client:
        answer = await client.post("Observation/_search", content=TOO_MUCH[name], headers=FORM)
        assert answer.status_code == 400, answer.text[:500]
        assert answer.json()["issue"][0]["code"] == "too-costly"
        inside = f"Observation?{TOO_MUCH[name]}"
        answer = await client.post("", json=bundle(entry("GET", inside), kind="batch"))
        assert answer.json()["entry"][0]["response"]["status"].startswith("400"), answer.text[:500]


@pytest.mark.parametrize("kind", ["batch", "transaction"])
async def test_a_bundle_is_not_answered_with_more_than_fits(
    world: World, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fhirserver.bundles.room.Room.__init__.__defaults__", (2000,))
    reads = [entry("GET", world.victim) for _ in range(100)]
    async with world.client("nurse") as client:
        answer = await client.post("", json=bundle(*reads, kind=kind))
    if kind == "transaction":
        assert answer.status_code == 413
    else:
        statuses = [one["response"]["status"][:3] for one in answer.json()["entry"]]
        assert set(statuses) == {"200", "413"}
        assert statuses.count("200") < 20
