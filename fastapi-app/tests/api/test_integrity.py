"""Referential integrity, where it is on. https://hl7.org/fhir/R4/http.html#transaction-integrity"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC
from typing import Any

import asyncpg
import httpx
import pytest

from fhirserver.interactions.context import Server, Validation
from fhirserver.search.extract import Extractor
from fhirserver.storage.unit_of_work import PostgresSession
from fhirserver.web.app import build_app

from .building import URN, bundle, criteria, entry, named, observation, patient, unique


@pytest.fixture
async def keeping(server: Server) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a server that keeps referential integrity."""
    extractor = Extractor(server.definitions, UTC, with_referrers=True)
    server = replace(server, validation=Validation(integrity=True), extractor=extractor)
    transport = httpx.ASGITransport(build_app(server, health_checks=None, software_version="test"))
    headers = {"Content-Type": "application/fhir+json"}
    async with httpx.AsyncClient(transport=transport, base_url="http://test/fhir", headers=headers) as client:
        yield client


async def made(client: httpx.AsyncClient, resource: dict[str, Any]) -> str:
    answer = await client.post(resource["resourceType"], json=resource)
    assert answer.status_code == 201, answer.text
    return f"{resource['resourceType']}/{answer.json()['id']}"


def told(answer: httpx.Response) -> list[str]:
    return [f"{issue['code']} {issue.get('expression', [''])[0]}" for issue in answer.json()["issue"]]


def extended(reference: str) -> dict[str, Any]:
    """A patient that refers by an extension, which no search parameter knows."""
    return patient(extension=[{"url": "http://x", "valueReference": {"reference": reference}}])


def in_contained(reference: str) -> dict[str, Any]:
    practitioner = {
        "resourceType": "PractitionerRole",
        "id": "r",
        "practitioner": {"reference": reference},
        "organization": {"display": "x"},
    }
    return patient(contained=[practitioner], generalPractitioner=[{"reference": "#r"}])


async def test_a_write_that_lost_its_connection_is_done_again(keeping, monkeypatch):
    locked = PostgresSession.lock
    ended = []

    async def lost(session: PostgresSession, *arguments: Any) -> None:
        if not ended:
            ended.append(1)
            with suppress(asyncpg.PostgresError):
                await session._statements.driver.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        await locked(session, *arguments)

    monkeypatch.setattr(PostgresSession, "lock", lost)
    assert (await keeping.get(f"/{await made(keeping, patient())}")).json()["meta"]["versionId"] == "1"
    assert ended


@pytest.mark.parametrize(
    ("resource", "place", "why"),
    [
        (observation("Patient/no-such"), "Observation.subject.reference", "a relative reference"),
        (observation("http://test/fhir/Patient/no-such"), "Observation.subject.reference", "the same, absolute"),
        (observation("Patient/no-such/_history/1"), "Observation.subject.reference", "to a version"),
        (extended("Basic/no-such"), "Patient.extension[0].valueReference.reference", "in an extension"),
        (
            in_contained("Practitioner/no-such"),
            "Patient.contained[0].practitioner.reference",
            "in a contained resource",
        ),
        (observation("http://elsewhere/fhir/Patient/no-such"), None, "on another server"),
        (observation("urn:uuid:00000000-0000-4000-8000-000000000009"), None, "a name of something"),
        (observation() | {"subject": {"identifier": {"value": "x"}}}, None, "no literal reference"),
    ],
)
async def test_what_is_referred_to_has_to_be_there(keeping, rows, resource, place, why):
    before = await rows()
    answer = await keeping.post(resource["resourceType"], json=resource)
    if place is None:
        assert answer.status_code == 201, why
    else:
        assert (answer.status_code, told(answer)) == (422, [f"not-found {place}"]), why
        assert await rows() == before


@pytest.mark.parametrize(
    "refer",
    [lambda to: observation(to), extended, lambda to: patient(link=[{"other": {"reference": to}, "type": "seealso"}])],
)
async def test_what_is_referred_to_stays(keeping, refer):
    target = await made(keeping, patient())
    referrer = await made(keeping, refer(target))
    answer = await keeping.delete(target)
    assert (answer.status_code, told(answer)) == (409, ["conflict "])
    assert (await keeping.get(target)).status_code == 200
    assert (await keeping.delete(referrer)).status_code == 204
    assert (await keeping.delete(target)).status_code == 204
    assert (await keeping.post("Observation", json=observation(target))).status_code == 422  # it is no more


async def test_an_update_may_refer_to_something_else(keeping):
    first, second = await made(keeping, patient()), await made(keeping, patient())
    address = await made(keeping, observation(first))
    changed = observation(second, id=address.split("/")[1])
    assert (await keeping.put(address, json=changed)).status_code == 200
    assert (await keeping.delete(first)).status_code == 204
    assert (await keeping.delete(second)).status_code == 409
    assert (await keeping.put(address, json=changed | {"subject": {"reference": first}})).status_code == 422


async def test_itself_is_no_other(keeping):
    id = unique()
    link = [{"other": {"reference": f"Patient/{id}"}, "type": "seealso"}]
    assert (await keeping.put(f"Patient/{id}", json=patient(id=id, link=link))).status_code == 201
    assert (await keeping.delete(f"Patient/{id}")).status_code == 204


async def test_conditional_writes(keeping):
    value = unique()
    target = await made(keeping, named(value))
    await made(keeping, observation(target))
    assert (await keeping.delete(f"Patient?{criteria(value)}")).status_code == 409
    other = {"If-None-Exist": f"identifier=urn:x|{unique()}"}
    assert (await keeping.post("Observation", json=observation("Patient/no-such"), headers=other)).status_code == 422


async def test_transactions_are_judged_by_their_end(keeping, rows):
    target = await made(keeping, patient())
    referrer = await made(keeping, observation(target))
    before = await rows()
    new = [entry("POST", "Observation", observation(f"{URN}1")), entry("POST", "Patient", patient(), f"{URN}1")]
    wrong = entry("POST", "Observation", observation("Patient/no-such"))
    answer = await keeping.post("", json=bundle(*new, wrong))
    assert (answer.status_code, told(answer)) == (422, ["not-found Bundle.entry[2].resource.subject.reference"])
    answer = await keeping.post("", json=bundle(*new, entry("DELETE", target)))
    assert (answer.status_code, told(answer)) == (409, ["conflict Bundle.entry[2]"])
    gone = bundle(entry("DELETE", target), entry("POST", "Observation", observation(target)))
    assert (await keeping.post("", json=gone)).status_code in (409, 422)
    assert await rows() == before
    both = bundle(*new, entry("DELETE", target), entry("DELETE", referrer))
    assert (await keeping.post("", json=both)).status_code == 200


async def test_the_number_of_statements_does_not_grow(keeping, statements):
    targets = [await made(keeping, patient()) for _ in range(20)]
    counts = []
    for some in (targets[:2], targets):
        statements.names.clear()
        entries = [entry("POST", "Observation", observation(target)) for target in some]
        deleted = [entry("DELETE", f"Patient/{unique()}") for _ in some]
        assert (await keeping.post("", json=bundle(*entries, *deleted))).status_code == 200
        counts.append(len(statements.names))
    assert counts[0] == counts[1]
    before = len(statements.names)
    await keeping.post("", json=bundle(*(entry("DELETE", target) for target in targets)))  # refused
    assert len(statements.names) - before < 10


async def test_nobody_deletes_what_another_refers_to_at_the_same_time(keeping):
    outcomes = Counter[tuple[int, int]]()
    for _ in range(20):
        target = await made(keeping, patient())
        written, deleted = await asyncio.gather(
            keeping.post("Observation", json=observation(target)), keeping.delete(target)
        )
        outcomes[written.status_code, deleted.status_code] += 1
    assert outcomes.keys() <= {(201, 409), (422, 204)}


async def test_it_is_off_if_nobody_asks_for_it(client):
    answer = await client.post("Observation", json=observation("Patient/no-such"))
    assert answer.status_code == 201
