"""Nothing that was acknowledged is lost, and no transaction is half done, when server or database are killed."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import asyncpg
import httpx
import pytest

from fhirserver.storage.embedded import EmbeddedPostgres

COMMAND = [sys.executable, "-c", "from fhirserver.cli import main; main()", "serve"]
PORT = 18_342
ROUNDS = 4
SIZE = 7


def serve(data: Path) -> "subprocess.Popen[bytes]":
    environment = {name: value for name, value in os.environ.items() if name != "FHIR_DATABASE_URL"}
    environment["FHIR_AUTH__ENABLED"] = "false"
    return subprocess.Popen(
        [*COMMAND, "--data", str(data), "--port", str(PORT), "--workers", "2"],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


async def ready(client: httpx.AsyncClient) -> None:
    for _ in range(2400):
        try:
            if (await client.get("/health/ready")).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        await asyncio.sleep(0.05)
    pytest.fail("the server did not become ready")


def bundle(name: str) -> bytes:
    """A transaction with a patient and what belongs to it, all marked with one tag."""
    tag = {"tag": [{"system": "urn:kill", "code": name}]}
    entries = [
        {
            "fullUrl": "urn:uuid:00000000-0000-4000-8000-000000000001",
            "resource": {"resourceType": "Patient", "meta": tag},
            "request": {"method": "POST", "url": "Patient"},
        }
    ]
    for _ in range(SIZE - 1):
        resource = {
            "resourceType": "Observation",
            "meta": tag,
            "status": "final",
            "code": {"text": "x"},
            "subject": {"reference": "urn:uuid:00000000-0000-4000-8000-000000000001"},
        }
        entries.append({"resource": resource, "request": {"method": "POST", "url": "Observation"}})
    return json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries}).encode()


async def write_until_killed(client: httpx.AsyncClient, round_: int, victim: int, target: int) -> list[str]:
    """Send transactions from 8 tasks, kill the process group when `target` are acknowledged; those that were."""
    acknowledged: list[str] = []

    async def write(task: int) -> None:
        for number in range(10_000):
            name = f"{round_}-{task}-{number}"
            try:
                answer = await client.post(
                    "/fhir", content=bundle(name), headers={"Content-Type": "application/fhir+json"}
                )
            except httpx.HTTPError:
                return
            if answer.status_code != 200:
                return
            acknowledged.append(name)
            if len(acknowledged) == target:
                os.kill(victim, signal.SIGKILL) if round_ % 2 else os.killpg(victim, signal.SIGKILL)

    await asyncio.gather(*(write(task) for task in range(8)))
    return acknowledged


async def test_sigkill_loses_no_acknowledged_write_and_leaves_no_half_bundle(data_dir):
    data = data_dir / "kill"
    acknowledged: list[str] = []
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{PORT}", timeout=30) as client:
        for round_ in range(ROUNDS):
            process = serve(data)
            try:
                await ready(client)
                # Even rounds kill the server, odd ones the database below it.
                victim = process.pid if round_ % 2 == 0 else _postmaster(data)
                done = await write_until_killed(client, round_, victim, 40 + 13 * round_)
                assert len(done) >= 40
                acknowledged += done
            finally:
                with_group = process.poll() is None
                if with_group:
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    embedded = EmbeddedPostgres(data)
    dsn = embedded.start()
    try:
        connection = await asyncpg.connect(dsn)
        rows = await connection.fetch(
            "SELECT content->'meta'->'tag'->0->>'code' AS name, count(*) AS n FROM resource"
            " WHERE content IS NOT NULL GROUP BY 1"
        )
        await connection.close()
    finally:
        embedded.stop()
    stored = {row["name"]: row["n"] for row in rows}
    assert set(stored.values()) == {SIZE}, "a half bundle"
    assert set(acknowledged) - stored.keys() == set(), "an acknowledged write is lost"


def _postmaster(data: Path) -> int:
    return int((data / "postgres" / "postmaster.pid").read_text().splitlines()[0])
