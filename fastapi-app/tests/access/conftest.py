"""The whole application with access control, on a real database; people, programs, and what they get to see."""

import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from fhirserver.access.changes import Changes
from fhirserver.access.service import Access
from fhirserver.interactions.context import Server
from fhirserver.main import Process as ServerProcess
from fhirserver.main import build_access
from fhirserver.settings import AuthSettings, LimitSettings, Settings
from fhirserver.web.app import build_app

PASSWORD = "Correct-Horse-17"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class _Checks:
    async def problems(self) -> dict[str, str | None]:
        return {"database": None}


def unlimited(**auth: Any) -> Settings:
    """Settings whose rates no test reaches."""
    limits = LimitSettings(requests_per_minute=0, requests_per_minute_of_address=0, auth_requests_per_minute=0)
    return Settings(auth=AuthSettings(self_registration="practitioner,patient", **auth), limits=limits)


@dataclass
class Process:
    """One process of the server: its application, and what it hears of changes with."""

    app: FastAPI
    access: Access
    changes: Changes
    server: Server
    opened: ServerProcess

    def client(self, **headers: str) -> httpx.AsyncClient:
        """A client without credentials, unless they are among these headers."""
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False, client=(secrets.token_hex(4), 1))
        return httpx.AsyncClient(
            transport=transport,
            base_url="http://test",
            headers={"Content-Type": "application/fhir+json", **headers},
        )

    async def user(self, *roles: str, fhir_user: str | None = None) -> str:
        """The username of a new user with these roles, whose password is PASSWORD."""
        name = f"u{secrets.token_hex(6)}"
        await self.access.administration.add_user(name, f"{name}@example.org", "A. User", roles, fhir_user, PASSWORD)
        return name

    async def login(self, username: str, password: str = PASSWORD, **form: str) -> dict[str, Any]:
        """The tokens of a login."""
        async with self.client() as client:
            answer = await client.post(
                "/auth/login", data={"username": username, "password": password, **form}, headers=FORM
            )
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def bearer(self, username: str, **form: str) -> dict[str, str]:
        """The header that a user's requests have."""
        return {"Authorization": f"Bearer {(await self.login(username, **form))['access_token']}"}

    async def key(self, username: str, scope: str) -> dict[str, str]:
        """The header that the requests of a program of this user have."""
        async with self.client(**await self.bearer(username)) as client:
            answer = await client.post("/auth/api-keys", json={"name": "k", "scope": scope}, headers=JSON)
        assert answer.status_code == 201, answer.text
        return {"X-API-Key": answer.json()["api_key"]}


JSON = {"Content-Type": "application/json"}


async def start(dsn: str, settings: Settings | None = None) -> tuple[Process, ServerProcess]:
    """A process that hears of changes when `changes.ask()` is called; and what is to be closed at its end."""
    settings = settings or unlimited()
    opened = ServerProcess(settings, dsn)
    await opened.open()
    access, changes = build_access(settings, opened, None)
    await access.keys.load()
    await changes.ask()
    app = build_app(lambda: opened.current.server, access=access, health_checks=_Checks(), software_version="test")
    return Process(app, access, changes, opened.current.server, opened), opened


@pytest.fixture(scope="module")
async def process(dsn: str) -> AsyncIterator[Process]:
    """A process of the server."""
    process, opened = await start(dsn)
    yield process
    await opened.close()


@pytest.fixture(scope="module")
async def another(dsn: str) -> AsyncIterator[Process]:
    """Another process on the same database."""
    process, opened = await start(dsn)
    yield process
    await opened.close()


@pytest.fixture
async def client(process: Process) -> AsyncIterator[httpx.AsyncClient]:
    """A client without credentials, at an address of its own."""
    async with process.client() as client:
        yield client
