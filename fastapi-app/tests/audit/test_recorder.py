"""Events are kept before the answer leaves, or soon after; without them there is no answer."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest
from access.conftest import PASSWORD
from api.building import observation, unique

from .conftest import Audited, request_id, send, start

PORT = 18_352
_FULL = """
CREATE OR REPLACE FUNCTION audit_is_full() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION USING ERRCODE = 'disk_full'; END $$;
CREATE TRIGGER audit_is_full BEFORE INSERT ON resource FOR EACH ROW WHEN (NEW.audit_stream IS NOT NULL)
    EXECUTE FUNCTION audit_is_full();
"""
_EMPTIED = "DROP TRIGGER IF EXISTS audit_is_full ON resource"


@pytest.fixture
async def full(dsn: str, pool: Any, on_citus: bool) -> AsyncIterator[Callable[[str], Awaitable[None]]]:
    """Lets the database refuse every event, and take them again."""
    if on_citus:
        pytest.skip("Citus has no triggers on distributed tables")

    async def execute(sql: str) -> None:
        async with pool.connection() as driver:
            await driver.execute(sql)

    yield execute
    await execute(_EMPTIED)


async def test_what_can_not_be_recorded_is_not_answered(dsn: str, full: Callable[[str], Awaitable[None]]) -> None:
    process = await start(dsn)
    tag = unique()
    async with process.client(**await process.bearer(await process.user("admin"))) as client:
        made = (await client.post("/fhir/Patient", json={"resourceType": "Patient"})).json()["id"]
        await full(_FULL)
        read, id = await send(client, "GET", f"/fhir/Patient/{made}")
        wrote = await client.post("/fhir/Organization", json={"resourceType": "Organization", "name": tag})
        changed = await client.delete(f"/fhir/Patient/{made}")
        refused = await client.get("/fhir/Patient/none")
        for answer in (read, wrote, changed, refused):
            assert answer.status_code == 503
            assert answer.json()["resourceType"] == "OperationOutcome"
            assert made not in answer.text
        assert process.recorder.problem() is not None
        await full(_EMPTIED)
        assert (await client.get(f"/fhir/Patient/{made}")).status_code == 200
        assert process.recorder.problem() is None
        assert (await client.get(f"/fhir/Organization?name={tag}")).json()["total"] == 0
        assert await process.events(id) == []
    await process.close()


async def test_where_it_is_not_required_the_answer_comes(dsn: str, full: Callable[[str], Awaitable[None]]) -> None:
    process = await start(dsn, required=False)
    async with process.client(**await process.bearer(await process.user("admin"))) as client:
        await full(_FULL)
        assert (await client.get("/fhir/Patient?_count=1")).status_code == 200
        assert process.recorder.problem() is not None
    await process.close()


async def test_a_normal_stop_loses_nothing_of_a_batch(dsn: str) -> None:
    process = await start(dsn, reads="batch")
    async with process.client(**await process.bearer(await process.user("admin"))) as client:
        sent = [(await send(client, "GET", f"/fhir/Patient/{number}"))[1] for number in range(30)]
    await process.close()
    for id in sent:
        assert len(await process.events(id)) == 1


async def test_a_batch_is_written_soon_without_a_stop(dsn: str) -> None:
    process = await start(dsn, reads="batch")
    async with process.client(**await process.bearer(await process.user("admin"))) as client:
        _, id = await send(client, "GET", "/fhir/Patient/1")
    for _ in range(600):
        if await process.events(id):
            break
        await asyncio.sleep(0.05)
    assert len(await process.events(id)) == 1
    await process.close()


async def test_who_is_long_under_way_holds_nobody_up(audited: Audited) -> None:
    audited.recorder.begin()
    try:
        async with audited.client(**await audited.bearer(await audited.user("admin"))) as client:
            sent = await asyncio.gather(*(send(client, "GET", f"/fhir/Patient/{number}") for number in range(20)))
    finally:
        audited.recorder.end()
    for _, id in sent:
        assert len(await audited.events(id)) == 1


async def test_of_many_who_update_a_version_one_has_the_event_of_that(audited: Audited) -> None:
    async with audited.client(**await audited.bearer(await audited.user("admin"))) as client:
        made = (await client.post("/fhir/Patient", json={"resourceType": "Patient"})).json()
        sent = await asyncio.gather(
            *(
                send(client, "PUT", f"/fhir/Patient/{made['id']}", json=made, headers={"If-Match": 'W/"1"'})
                for _ in range(12)
            )
        )
    assert sorted(answer.status_code for answer, _ in sent) == [200, *[412] * 11]
    for answer, id in sent:
        [event] = await audited.events(id)
        assert event["outcome"] == ("0" if answer.status_code == 200 else "4")
    found = [problem async for _, problems in audited.opened.audit_log().problems() for problem in problems]
    assert [problem for problem in found if "another key" not in problem.text] == []


def _serve(dsn: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [
            sys.executable,
            "-c",
            "from fhirserver.cli import main; main()",
            "serve",
            "--port",
            str(PORT),
            "--workers",
            "2",
        ],
        env=os.environ | {"FHIR_DATABASE_URL": dsn, "FHIR_LIMITS__REQUESTS_PER_MINUTE": "0"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


async def _ready(client: httpx.AsyncClient) -> None:
    for _ in range(1200):
        try:
            if (await client.get("/health/ready")).status_code == 200:
                return
        except httpx.HTTPError:
            await asyncio.sleep(0.05)
    pytest.fail("the server did not become ready")


async def test_sigkill_leaves_no_write_without_its_event_and_no_event_without_its_write(
    dsn: str, audited: Audited
) -> None:
    name = await audited.user("admin")
    server = _serve(dsn)
    created: dict[str, str] = {}
    read: list[str] = []
    sent: list[str] = []
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{PORT}", timeout=30) as client:
        try:
            await _ready(client)
            form = {"username": name, "password": PASSWORD}
            token = (await client.post("/auth/login", data=form)).json()["access_token"]
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/fhir+json"}

            async def work() -> None:
                for _ in range(10_000):
                    sent.append(request_id())
                    mine = headers | {"X-Request-ID": sent[-1]}
                    try:
                        answer = await client.post("/fhir/Observation", json=observation("Patient/x"), headers=mine)
                        created[mine["X-Request-ID"]] = answer.json()["id"]
                        mine["X-Request-ID"] = request_id()
                        await client.get(f"/fhir/Observation/{answer.json()['id']}", headers=mine)
                        read.append(mine["X-Request-ID"])
                    except httpx.HTTPError:
                        return
                    if len(read) >= 60:
                        os.killpg(server.pid, signal.SIGKILL)

            await asyncio.gather(*(work() for _ in range(8)))
        finally:
            if server.poll() is None:
                os.killpg(server.pid, signal.SIGKILL)
            server.wait()
    assert len(read) >= 60
    for id, made in created.items():
        [event] = await audited.events(id)
        assert event["entity"][1]["what"]["reference"].startswith(f"Observation/{made}/")
    for id in read:
        assert len(await audited.events(id)) == 1
    for id in set(sent) - created.keys():  # not acknowledged: both or neither
        for event in await audited.events(id):
            made = event["entity"][1]["what"]["reference"].split("/")[1]
            assert await audited.rows("SELECT 1 FROM resource WHERE resource_type = 'Observation' AND id = $1", made)
    found = [problem async for _, problems in audited.opened.audit_log().problems() for problem in problems]
    assert [problem for problem in found if "another key" not in problem.text] == []
