"""Who may see the audit log, and that nobody changes it through the API."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from api.building import bundle, entry

from fhirserver.access.store import Role

from .conftest import Audited, send, touched
from .test_events import PATIENT, observation

OWN = {
    "resourceType": "AuditEvent",
    "type": {"system": "http://terminology.hl7.org/CodeSystem/audit-event-type", "code": "rest"},
    "recorded": "2026-01-31T09:30:00Z",
    "agent": [{"requestor": True}],
    "source": {"observer": {"display": "an app"}},
}
FORGED = OWN | {"meta": {"tag": [{"system": "urn:fhirserver:audit", "code": "recorded"}]}}


class People:
    def __init__(self, auditor: httpx.AsyncClient, admin: httpx.AsyncClient, nurse: httpx.AsyncClient) -> None:
        self.auditor, self.admin, self.nurse = auditor, admin, nurse


@pytest.fixture(scope="module")
async def people(audited: Audited) -> AsyncIterator[People]:
    await audited.access.administration.save_role(Role("recorder", "user/AuditEvent.cruds", ""))
    clients = [
        audited.client(**await audited.bearer(await audited.user(*roles)))
        for roles in (("auditor",), ("admin", "recorder"), ("nurse",))
    ]
    yield People(*clients)
    for client in clients:
        await client.aclose()


async def found(client: httpx.AsyncClient, query: str) -> list[dict[str, Any]]:
    answer = await client.get(f"/fhir/AuditEvent?{query}")
    assert answer.status_code == 200, answer.text
    return [item["resource"] for item in answer.json().get("entry", []) if item["search"]["mode"] == "match"]


async def test_auditors_find_events_by_patient_agent_entity_date_and_session(audited: Audited, people: People) -> None:
    patient = (await people.admin.post("/fhir/Patient", json=PATIENT)).json()["id"]
    observed = (await people.admin.post("/fhir/Observation", json=observation(patient))).json()["id"]
    await people.nurse.get(f"/fhir/Observation/{observed}")
    await people.nurse.get(f"/fhir/Observation?patient={patient}")
    by_patient = await found(people.auditor, f"patient=Patient/{patient}")
    assert sorted(event["action"] for event in by_patient) == ["C", "C", "E", "R"]
    [read] = [event for event in by_patient if event["action"] == "R"]
    nurse = read["agent"][2]
    day, session = read["recorded"][:10], nurse["policy"][0]
    for query, expected in {
        f"entity=Observation/{observed}": 2,
        f"entity=Observation/{observed}&action=R": 1,
        f"patient={patient}&agent:identifier={nurse['who']['identifier']['value']}": 2,
        f"patient={patient}&agent-name={nurse['name']}": 2,
        f"patient={patient}&policy={session}": 2,
        f"entity=Observation/{observed}&date={day}": 2,
        f"entity=Observation/{observed}&date=gt{day}": 0,
        f"patient={patient}&subtype=search&agent-name={nurse['name']}": 1,
        f"patient={patient}&outcome=4": 0,
        f"patient={patient}&address={read['agent'][0]['network']['address']}": 2,
    }.items():
        assert len(await found(people.auditor, query)) == expected, query


async def test_who_is_no_auditor_sees_no_event(people: People) -> None:
    [event] = await found(people.auditor, "_count=1")
    for path in (f"AuditEvent/{event['id']}", "AuditEvent", f"AuditEvent/{event['id']}/_history"):
        assert (await people.nurse.get(f"/fhir/{path}")).status_code == 403
    everything = await people.nurse.get("/fhir?_lastUpdated=ge2000&_count=100")
    assert all(item["resource"]["resourceType"] != "AuditEvent" for item in everything.json()["entry"])


async def test_nobody_changes_an_event(audited: Audited, people: People) -> None:
    [event] = await found(people.auditor, "_count=1")
    path = f"/fhir/AuditEvent/{event['id']}"
    changed = {**event, "action": "D"}
    attempts = [
        await people.admin.put(path, json=changed),
        await people.admin.delete(path),
        await people.admin.delete("/fhir/AuditEvent?_id=" + event["id"]),
        await people.admin.put("/fhir/AuditEvent?_id=" + event["id"], json=changed),
        await people.admin.put("/fhir/AuditEvent/mine", json={**OWN, "id": "mine"}),
        await people.admin.post(
            f"{path}/$meta-add",
            json={
                "resourceType": "Parameters",
                "parameter": [{"name": "meta", "valueMeta": {"tag": [{"system": "urn:x", "code": "x"}]}}],
            },
        ),
        await people.admin.post("/fhir", json=bundle(entry("PUT", path[6:], changed))),
        await people.admin.post("/fhir", json=bundle(entry("DELETE", path[6:]))),
        await people.admin.post("/fhir/AuditEvent", json=FORGED),
        await people.admin.post("/fhir", json=bundle(entry("POST", "AuditEvent", FORGED))),
    ]
    assert [answer.status_code for answer in attempts] == [403] * len(attempts)
    assert (await people.admin.get(path)).json() == event


async def test_clients_may_add_events_of_their_own(audited: Audited, people: People) -> None:
    answer, id = await send(people.admin, "POST", "/fhir/AuditEvent", json=OWN)
    assert answer.status_code == 201
    [event] = await audited.events(id)
    assert touched(event, "4") == [f"AuditEvent/{answer.json()['id']}/_history/1"]
    assert (await people.nurse.post("/fhir/AuditEvent", json=OWN)).status_code == 403
