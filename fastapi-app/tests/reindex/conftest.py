"""Two processes of a server on one database, as they are in production, but with a short lease."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import asyncpg
import httpx
import pytest

from fhirserver.interactions.jobs import Job
from fhirserver.main import Process
from fhirserver.settings import Settings, ValidationSettings
from fhirserver.web.app import build_app

LEASE = 0.1


class _Checks:
    async def problems(self) -> dict[str, str | None]:
        return {"database": None}


class Instance:
    """A process and a client of its application. It hears of changes, and carries out jobs, when the test says so.

    `time` is its clock; it is up to the test, so that its lease expires then only.
    """

    def __init__(self, dsn: str):
        self.process = Process(
            Settings(validation=ValidationSettings(may_be_lowered=True)), dsn, serves=True, lease=LEASE
        )
        self.time = 0.0
        self.process.current._seconds = lambda: self.time
        app = build_app(lambda: self.process.current.server, health_checks=_Checks(), software_version="test")
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app, raise_app_exceptions=False),
            base_url="http://test/fhir",
            headers={"Content-Type": "application/fhir+json"},
        )

    async def hear(self) -> None:
        """What the process does every second."""
        await self.process.current.refresh()

    async def post(self, resource: dict[str, Any], status: int = 201) -> str:
        """Create a resource; its id."""
        answer = await self.client.post(resource["resourceType"], content=json.dumps(resource).encode())
        assert answer.status_code == status, answer.text
        return answer.headers["location"].split("/")[-3] if status == 201 else ""

    async def search(self, query: str) -> list[str]:
        """The ids of the matches."""
        answer = await self.client.get(query)
        assert answer.status_code == 200, answer.text
        return sorted(item["resource"]["id"] for item in answer.json().get("entry", []))

    async def refused(self, query: str) -> str:
        """Why a search is refused."""
        answer = await self.client.get(query, headers={"Prefer": "handling=strict"})
        assert answer.status_code == 400, answer.text
        return str(answer.json()["issue"][0]["diagnostics"])

    async def start(self, address: str = "$reindex", **parameters: Any) -> str:
        """Ask for a reindex; the id of the job."""
        query = "&".join(f"{name}={value}" for name, value in parameters.items())
        answer = await self.client.post(f"{address}?{query}" if query else address)
        assert answer.status_code == 202, answer.text
        return answer.headers["content-location"].rpartition("/")[2]

    async def work(self) -> Job:
        """Carry out the next job to its end; the job."""
        runner = self.process.runner(1.0)
        job = await self.process.jobs.take(["reindex"], runner.owner, 10.0)
        assert job is not None
        await runner.run(job)
        done = await self.process.jobs.job(job.id)
        assert done is not None
        return done

    async def reindex(self, address: str = "$reindex", **parameters: Any) -> Job:
        """Ask for a reindex, and carry it out."""
        id = await self.start(address, **parameters)
        done = await self.work()
        assert done.id == id
        return done


@pytest.fixture
async def clean(dsn: str) -> AsyncIterator[None]:
    """Nothing is stored, registered or to be done when the test starts, nor registered when it is over."""
    connection = await asyncpg.connect(dsn)

    async def forget() -> None:
        await connection.execute("DELETE FROM search_parameter")
        await connection.execute("DELETE FROM job")
        await connection.execute("DELETE FROM index_format WHERE format <> 1")
        await connection.execute("UPDATE index_format SET ready = true")
        await connection.execute("UPDATE conformance_change SET number = number + 1")

    try:
        await connection.execute("TRUNCATE resource, resource_history, compartment_outside, load_receipt")
        await forget()
        yield
        await forget()
    finally:
        await connection.close()


@pytest.fixture
async def start(dsn: str, clean: None) -> AsyncIterator[Callable[[], Awaitable[Instance]]]:
    """Starts a process of the server."""
    started: list[Instance] = []

    async def start() -> Instance:
        instance = Instance(dsn)
        await instance.process.open()
        started.append(instance)
        return instance

    yield start
    for instance in started:
        await instance.client.aclose()
        await instance.process.close()


@pytest.fixture
async def one(start: Callable[[], Awaitable[Instance]]) -> Instance:
    return await start()


@pytest.fixture
async def other(start: Callable[[], Awaitable[Instance]]) -> Instance:
    return await start()


def parameter(code: str, expression: str, type: str = "token", base: str = "Patient", **more: Any) -> dict[str, Any]:
    """An active SearchParameter."""
    return {
        "resourceType": "SearchParameter",
        "url": f"urn:test:{code}",
        "name": code.replace("-", ""),
        "status": "active",
        "description": code,
        "code": code,
        "base": [base],
        "type": type,
        "expression": expression,
        **more,
    }


async def soon(condition: Callable[[], Awaitable[bool]], seconds: float = 20.0) -> None:
    """Wait until it is so."""
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110
            await asyncio.sleep(0.02)
