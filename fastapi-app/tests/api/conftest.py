"""Fixtures of the API's tests: requests that many of them send, a clock to set, and what the database holds."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from fhirserver.interactions.context import Server
from fhirserver.storage.engine import Pool
from fhirserver.web.app import build_app

from .building import bundle, unique

Create = Callable[..., Awaitable[httpx.Response]]
Send = Callable[..., Awaitable[httpx.Response]]


class Clock:
    """A clock that stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 31, 9, 30, 0, 123000, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def go_on(self, **time: float) -> None:
        self.now += timedelta(**time)


class _Checks:
    async def problems(self) -> dict[str, str | None]:
        return {"database": None}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def app(server: Server, clock: Clock) -> FastAPI:
    """The application, on a clock that the test sets and with small limits."""
    return build_app(
        replace(server, clock=clock), health_checks=_Checks(), software_version="test", max_body_bytes=100_000
    )


@pytest.fixture
async def timed(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client of `app`."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    headers = {"Content-Type": "application/fhir+json"}
    async with httpx.AsyncClient(transport=transport, base_url="http://test/fhir", headers=headers) as client:
        yield client


@pytest.fixture
def create(client: httpx.AsyncClient) -> Create:
    """Creates a resource; the answer."""

    async def create(resource: dict[str, Any], **headers: str) -> httpx.Response:
        answer = await client.post(resource["resourceType"], json=resource, headers=headers)
        assert answer.status_code == 201, answer.text
        return answer

    return create


@pytest.fixture
def store_all(create: Create) -> Callable[..., Awaitable[list[str]]]:
    """Creates resources; their ids."""

    async def store_all(*resources: dict[str, Any]) -> list[str]:
        return [(await create(resource)).headers["location"].split("/")[-3] for resource in resources]

    return store_all


@pytest.fixture
def send(client: httpx.AsyncClient) -> Send:
    """Sends a transaction or batch of these entries; the answer."""

    async def send(*entries: Any, kind: str = "transaction", **headers: str) -> httpx.Response:
        return await client.post("", content=json.dumps(bundle(*entries, kind=kind)).encode(), headers=headers)

    return send


@pytest.fixture
def commit(send: Send) -> Callable[..., Awaitable[list[str]]]:
    """Sends a transaction that succeeds; `Type/id` of each entry that wrote."""

    async def commit(*entries: Any, **headers: str) -> list[str]:
        answer = await send(*entries, **headers)
        assert answer.status_code == 200, answer.text
        return ["/".join(item["response"]["location"].split("/")[:2]) for item in answer.json()["entry"]]

    return commit


@pytest.fixture
def tag() -> str:
    """A tag that the resources of this test have, and no others."""
    return unique()


@pytest.fixture
def rows(pool: Pool) -> Callable[[], Awaitable[int]]:
    """Counts all that is stored: resources, forwarding rows, older versions, receipts."""

    async def rows() -> int:
        async with pool.connection() as driver:
            counts = [
                await driver.fetchval(f"SELECT count(*) FROM {table}")
                for table in ("resource", "resource_history", "load_receipt")
            ]
        return sum(counts)

    return rows
