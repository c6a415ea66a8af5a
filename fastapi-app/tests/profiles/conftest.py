"""Processes of a server on one database, as in production, that hear of changes when the test says so."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest

from fhirserver.main import Process
from fhirserver.settings import Settings, ValidationSettings
from fhirserver.web.app import build_app

Json = dict[str, Any]
STRUCTURES = "http://hl7.org/fhir/StructureDefinition/"


class _Checks:
    async def problems(self) -> dict[str, str | None]:
        return {"database": None}


class Instance:
    """A process and a client of its application."""

    def __init__(self, dsn: str, validation: ValidationSettings):
        self.process = Process(Settings(validation=validation), dsn)
        app = build_app(lambda: self.process.current.server, health_checks=_Checks(), software_version="test")
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app, raise_app_exceptions=False),
            base_url="http://test/fhir",
            headers={"Content-Type": "application/fhir+json"},
        )

    async def hear(self) -> None:
        """What the process does every second."""
        await self.process.current.refresh()

    async def put(self, *resources: Json) -> None:
        """Store these resources, and hear of them."""
        for resource in resources:
            address = f"{resource['resourceType']}/{resource['id']}"
            answer = await self.client.put(address, content=json.dumps(resource).encode())
            assert answer.status_code in (200, 201), answer.text
        await self.hear()

    async def problems(self, resource: Json) -> list[tuple[str, str]]:
        """Place and text of each reason for which a create is refused; none if it isn't."""
        answer = await self.client.post(resource["resourceType"], content=json.dumps(resource).encode())
        assert answer.status_code in (201, 422), answer.text
        if answer.status_code == 201:
            return []
        return [(issue["expression"][0], issue["diagnostics"]) for issue in answer.json()["issue"]]


Start = Callable[..., Awaitable[Instance]]


@pytest.fixture
async def start(dsn: str, empty: None) -> AsyncIterator[Start]:
    """Starts a process of the server, with these settings of validation."""
    started: list[Instance] = []

    async def start(**validation: Any) -> Instance:
        instance = Instance(dsn, ValidationSettings(**validation))
        await instance.process.open()
        started.append(instance)
        return instance

    yield start
    for instance in started:
        await instance.client.aclose()
        await instance.process.close()


@pytest.fixture
async def one(start: Start) -> Instance:
    return await start()


@pytest.fixture
async def other(start: Start) -> Instance:
    return await start()


def profile(id: str, base: str, *elements: Json, **more: Any) -> Json:
    """A StructureDefinition without a snapshot."""
    return {
        "resourceType": "StructureDefinition",
        "id": id,
        "url": f"http://a.b/{id}",
        "name": "Profile",
        "status": "active",
        "fhirVersion": "4.0.1",
        "kind": "resource",
        "abstract": False,
        "type": base,
        "baseDefinition": STRUCTURES + base,
        "derivation": "constraint",
        "differential": {"element": [{"id": base, "path": base}, *elements]},
        **more,
    }


def element(path: str, **rules: Any) -> Json:
    """An element of a differential."""
    return {"id": path, "path": path, **rules}
