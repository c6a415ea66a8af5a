"""Interaction × outcome → event, through the whole application: kind, action, outcome, who, what, whom it concerns.

Every event is checked against R4, strictly, and against the shapes of IHE's Basic Audit Log Patterns; and its index
entry is what the extractor makes of it.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from api.building import bundle, unique

from fhirserver.fhir.validation.validator import Validator
from fhirserver.search.extract import Extractor

from .conftest import Audited, asked, send, told, touched

PATIENT = {"resourceType": "Patient", "name": [{"family": "Test"}]}


def observation(patient: str, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "weight"},
        "subject": {"reference": f"Patient/{patient}"},
        **more,
    }


@dataclass
class World:
    """Callers, and what is stored."""

    admin: httpx.AsyncClient
    nurse: httpx.AsyncClient
    stranger: httpx.AsyncClient
    username: str
    names: dict[str, str]

    def caller(self, name: str) -> httpx.AsyncClient:
        client = getattr(self, name)
        assert isinstance(client, httpx.AsyncClient)
        return client


@pytest.fixture(scope="module")
async def world(audited: Audited) -> AsyncIterator[World]:
    username = await audited.user("admin", fhir_user="Practitioner/boss")
    admin = audited.client(**await audited.bearer(username))
    nurse = audited.client(**await audited.bearer(await audited.user("nurse")))
    names = {"tag": unique(), "user": username}
    for name in ("p", "q"):
        created = await admin.post("/fhir/Patient", json=PATIENT)
        names[name] = created.json()["id"]
    for name in ("o", "gone", "moved"):
        created = await admin.post("/fhir/Observation", json=observation(names["p"]))
        names[name] = created.json()["id"]
    organization = await admin.post("/fhir/Organization", json={"resourceType": "Organization", "name": names["tag"]})
    names["org"] = organization.json()["id"]
    await admin.delete(f"/fhir/Observation/{names['gone']}")
    yield World(admin, nurse, audited.client(), username, names)
    for client in (admin, nurse):
        await client.aclose()


def at(names: dict[str, str], value: Any) -> Any:
    """The value with `{name}` replaced by what has this name."""
    if isinstance(value, str):
        for name, id in names.items():
            value = value.replace(f"{{{name}}}", id)
        return value
    if isinstance(value, list | tuple):
        return [at(names, one) for one in value]
    return {key: at(names, one) for key, one in value.items()} if isinstance(value, dict) else value


# who, method, path, body, status → (subtype, action, outcome), resources, patients, query
ROWS: list[tuple[str, str, str, Any, int, tuple[str, str, str], list[str], list[str], str | None]] = [
    ("admin", "GET", "Observation/{o}", None, 200, ("read", "R", "0"), ["Observation/{o}/_history/1"], ["Patient/{p}"], None),
    ("admin", "HEAD", "Observation/{o}", None, 200, ("read", "R", "0"), ["Observation/{o}/_history/1"], ["Patient/{p}"], None),
    ("admin", "GET", "Patient/{p}", None, 200, ("read", "R", "0"), ["Patient/{p}/_history/1"], ["Patient/{p}"], None),
    ("admin", "GET", "Organization/{org}", None, 200, ("read", "R", "0"), ["Organization/{org}/_history/1"], [], None),
    ("admin", "GET", "Observation/{o}/_history/1", None, 200, ("vread", "R", "0"), ["Observation/{o}/_history/1"], ["Patient/{p}"], None),
    ("admin", "GET", "Observation/{o}/_history/9", None, 404, ("vread", "R", "4"), ["Observation/{o}"], [], None),
    ("admin", "GET", "Observation/{o}/_history", None, 200, ("history-instance", "R", "0"), ["Observation/{o}"], ["Patient/{p}"], "Observation/{o}/_history"),
    ("admin", "GET", "Observation/_history?_count=0", None, 200, ("history-type", "E", "0"), [], [], "Observation/_history?_count=0"),
    ("admin", "GET", "_history?_count=0", None, 200, ("history-system", "E", "0"), [], [], "_history?_count=0"),
    ("admin", "GET", "Observation/none", None, 404, ("read", "R", "4"), ["Observation/none"], [], None),
    ("admin", "GET", "Patient/none", None, 404, ("read", "R", "4"), ["Patient/none"], ["Patient/none"], None),  # who looks for somebody who is not there
    ("admin", "GET", "Observation/{gone}", None, 410, ("read", "R", "4"), ["Observation/{gone}"], [], None),
    ("admin", "GET", "Nothing/1", None, 404, ("read", "R", "4"), [], [], None),  # no such type: nothing to refer to
    ("admin", "GET", "Observation/a_b", None, 400, ("read", "R", "4"), [], [], None),  # no id
    ("stranger", "GET", "Observation/{o}", None, 401, ("read", "R", "4"), ["Observation/{o}"], [], None),
    ("stranger", "GET", "Patient?name=x", None, 401, ("search", "E", "4"), [], [], "Patient?name=x"),
    ("stranger", "POST", "", bundle(), 401, ("batch", "E", "4"), [], [], None),
    ("admin", "GET", "Observation?patient={p}&_count=5", None, 200, ("search", "E", "0"), [], ["Patient/{p}"], "Observation?patient={p}&_count=5"),
    ("admin", "GET", "Observation?subject=Patient/none", None, 200, ("search", "E", "0"), [], ["Patient/none"], "Observation?subject=Patient/none"),  # asked about, though nothing is found
    ("admin", "GET", "Patient?_id={p},{q}", None, 200, ("search", "E", "0"), [], ["Patient/{p}", "Patient/{q}"], "Patient?_id={p},{q}"),
    ("admin", "GET", "Observation?_id={o}&_include=Observation:subject", None, 200, ("search", "E", "0"), [], ["Patient/{p}"], "Observation?_id={o}&_include=Observation:subject"),
    ("admin", "GET", "Patient/{p}/Observation", None, 200, ("search", "E", "0"), [], ["Patient/{p}"], "Patient/{p}/Observation"),
    ("admin", "GET", "Organization?name={tag}", None, 200, ("search", "E", "0"), [], [], "Organization?name={tag}"),
    ("admin", "GET", "Organization?name={tag}&_summary=count", None, 200, ("search", "E", "0"), [], [], "Organization?name={tag}&_summary=count"),
    ("admin", "GET", "Observation?date=x", None, 400, ("search", "E", "4"), [], [], "Observation?date=x"),
    ("admin", "POST", "Organization", {"resourceType": "Organization", "name": "x"}, 201, ("create", "C", "0"), ["Organization/{new}/_history/1"], [], None),
    ("admin", "POST", "Observation", observation("{p}"), 201, ("create", "C", "0"), ["Observation/{new}/_history/1"], ["Patient/{p}"], None),
    ("admin", "POST", "Patient", PATIENT, 201, ("create", "C", "0"), ["Patient/{new}/_history/1"], ["Patient/{new}"], None),
    ("admin", "POST", "Observation", {"resourceType": "Observation"}, 422, ("create", "C", "4"), [], [], None),
    ("admin", "PUT", "Observation/{o}", observation("{p}", id="{o}"), 200, ("update", "U", "0"), ["Observation/{o}/_history/2"], ["Patient/{p}"], None),
    ("admin", "PUT", "Observation/{moved}", observation("{q}", id="{moved}"), 200, ("update", "U", "0"), ["Observation/{moved}/_history/2"], ["Patient/{q}", "Patient/{p}"], None),  # whose it was, too
    ("admin", "PUT", "Patient/new-{tag}", {**PATIENT, "id": "new-{tag}"}, 201, ("create", "C", "0"), ["Patient/new-{tag}/_history/1"], ["Patient/new-{tag}"], None),
    ("admin", "PUT", "Organization?name={tag}", {"resourceType": "Organization", "name": "{tag}"}, 200, ("update", "U", "0"), ["Organization/{org}/_history/2"], [], None),
    ("admin", "PATCH", "Patient/{p}", {}, 405, ("patch", "U", "4"), ["Patient/{p}"], ["Patient/{p}"], None),
    ("nurse", "DELETE", "Observation/{o}", None, 403, ("delete", "D", "4"), ["Observation/{o}"], [], None),
    ("nurse", "GET", "AuditEvent?patient={p}", None, 403, ("search", "E", "4"), [], [], "AuditEvent?patient={p}"),
    ("nurse", "POST", "Organization", {"resourceType": "Organization", "name": "x"}, 403, ("create", "C", "4"), [], [], None),
    ("admin", "DELETE", "Observation/{o}", None, 204, ("delete", "D", "0"), ["Observation/{o}/_history/3"], ["Patient/{p}"], None),
    ("admin", "DELETE", "Observation/{o}", None, 204, ("delete", "D", "0"), ["Observation/{o}"], [], None),  # was deleted before
    ("admin", "DELETE", "Organization?name=none-{tag}", None, 204, ("delete", "D", "0"), [], [], "Organization?name=none-{tag}"),
    ("admin", "GET", "Observation/{moved}/$meta", None, 200, ("read", "R", "0"), ["Observation/{moved}/_history/2"], ["Patient/{q}"], None),
    ("admin", "POST", "Patient/$validate", PATIENT, 200, ("operation", "E", "0"), [], [], "Patient/$validate"),
    ("nurse", "POST", "$reindex", None, 403, ("operation", "E", "4"), [], [], "$reindex"),
    ("admin", "GET", "nowhere/is/this/at/all", None, 404, ("unknown", "E", "4"), [], [], None),
]  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=[f"{row[0]} {row[1]} {row[2]} {row[4]}" for row in ROWS])
async def test_event_of(row: Any, audited: Audited, world: World, strict: "Strict") -> None:
    who, method, path, body, status, kind, resources, patients, query = at(world.names, row)
    answer, id = await send(world.caller(who), method, f"/fhir/{path}".rstrip("/"), json=body)
    assert answer.status_code == status, answer.text
    names = {"new": answer.json().get("id", "")} if status == 201 else {}
    [event] = await audited.events(id)
    assert told(event) == tuple(kind)
    assert touched(event, "4") == at(names, resources)
    assert touched(event, "1") == at(names, patients)
    assert asked(event) == query
    users = [agent for agent in event["agent"] if agent["requestor"] and "name" in agent]
    if who == "admin":
        assert [(user["name"], user["who"]["reference"]) for user in users] == [(world.username, "Practitioner/boss")]
    else:
        assert len(users) == (who == "nurse")
    await strict(event)


async def test_who_breaks_the_glass_is_told_with_the_reason(audited: Audited, world: World, strict: "Strict") -> None:
    breaking = {"X-Purpose-Of-Use": "BTG", "X-Break-Glass-Reason": "unconscious in the emergency room"}
    async with audited.client(**await audited.bearer(await audited.user("practitioner"))) as client:
        answer, id = await send(client, "GET", f"/fhir/Patient/{world.names['p']}", headers=breaking)
    assert answer.status_code == 200, answer.text
    [event] = await audited.events(id)
    [purpose] = event["purposeOfEvent"]
    assert purpose == event["agent"][2]["purposeOfUse"][0]
    assert (purpose["coding"][0]["code"], purpose["text"]) == ("BTG", "unconscious in the emergency room")
    await strict(event)


class Strict:
    """Checks an event against R4 and BALP, and its index entry against the extractor's."""

    def __init__(self, audited: Audited, validator: Validator):
        self._audited = audited
        self._validator = validator

    async def __call__(self, event: dict[str, Any]) -> None:
        problems = [issue for issue in self._validator.validate(event, "AuditEvent") if issue.is_error]
        assert not problems
        client, server, *users = event["agent"]
        for agent in (client, server):
            assert agent["network"]["address"]
            assert agent["who"]["identifier"]["value"]
        assert [agent["requestor"] for agent in event["agent"]] == [not users, False, *([True] if users else [])]
        roles = ROLES.get(event.get("subtype", [{}])[0].get("code", ""))
        if roles is not None:
            assert [agent["type"]["coding"][0]["code"] for agent in event["agent"]] == roles[: len(event["agent"])]
        request, *_ = event["entity"]
        assert request["type"]["code"] == "XrequestId"
        assert event["recorded"] == event["meta"]["lastUpdated"]
        await self._index(event)

    async def _index(self, event: dict[str, Any]) -> None:
        [row] = await self._audited.rows(
            "SELECT keys, range_key, range_low, range_high, ref_key, ref_target, self_key, strings, texts, sort_date,"
            " index_version FROM resource WHERE resource_type = 'AuditEvent' AND id = $1",
            event["id"],
        )
        server = self._audited.opened.current.server
        extractor = Extractor(server.definitions, server.zone, server.extractor.index_version)
        entry = extractor.extract(event, "AuditEvent", self._audited.opened.base_url)
        assert sorted(row["keys"]) == entry.keys
        assert list(zip(row["range_key"], row["range_low"], row["range_high"], strict=True)) == list(
            zip(entry.range_key, entry.range_low, entry.range_high, strict=True)
        )
        assert sorted(zip(row["ref_key"], row["ref_target"], strict=True)) == sorted(
            zip(entry.ref_key, entry.ref_target, strict=True)
        )
        for name in ("self_key", "strings", "texts", "sort_date", "index_version"):
            assert row[name] == getattr(entry, name)


# the roles of client, server and user, by BALP
ROLES = {
    "read": ["110152", "110153", "IRCP"],
    "vread": ["110152", "110153", "IRCP"],
    "search": ["110153", "110152", "IRCP"],
    "create": ["110153", "110152", "AUT"],
    "update": ["110153", "110152", "AUT"],
    "delete": ["110150", "custodian", "AUT"],
}


@pytest.fixture
def strict(audited: Audited, validator: Validator) -> Strict:
    return Strict(audited, validator)
