"""The whole application with access control and audit log, on a real database; and what the log has."""

import base64
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Any

import asyncpg
import httpx
import pytest
from access.conftest import Process, unlimited

from fhirserver.audit.recorder import BatchRecorder
from fhirserver.main import Process as ServerProcess
from fhirserver.main import build_access
from fhirserver.settings import AuditSettings, Settings
from fhirserver.web.app import build_app


class _Checks:
    async def problems(self) -> dict[str, str | None]:
        return {"database": None}


def settings(**audit: Any) -> Settings:
    return unlimited().model_copy(update={"audit": AuditSettings(**audit)})


@dataclass
class Audited(Process):
    """A process whose requests are recorded."""

    recorder: BatchRecorder = field(kw_only=True)
    opened: ServerProcess = field(kw_only=True)
    dsn: str = field(kw_only=True)

    async def close(self) -> None:
        """Stop as a server stops."""
        await self.recorder.close()
        await self.opened.close()

    async def events(self, request_id: str) -> list[dict[str, Any]]:
        """The events of a request, in the order in which they were made."""
        needle = f'%"what":{{"identifier":{{"value":"{request_id}"}}}}%'
        rows = await self.rows("SELECT content FROM resource WHERE content::text LIKE $1 ORDER BY id", needle)
        return [json.loads(row[0]) for row in rows]

    async def rows(self, sql: str, *arguments: Any) -> list[Any]:
        connection = await asyncpg.connect(self.dsn)
        try:
            return list(await connection.fetch(sql, *arguments))
        finally:
            await connection.close()


async def start(dsn: str, **audit: Any) -> Audited:
    """A process with these settings of the audit log."""
    opened = ServerProcess(settings(**audit), dsn)
    await opened.open()
    access, changes = build_access(settings(**audit), opened, None)
    await access.keys.load()
    await changes.ask()
    auditor, recorder = opened.recording()
    recorder.start()
    app = build_app(
        lambda: opened.current.server,
        access=access,
        auditor=auditor,
        health_checks=_Checks(),
        software_version="test",
    )
    return Audited(app, access, changes, opened.current.server, recorder=recorder, opened=opened, dsn=dsn)


@pytest.fixture(scope="module")
async def audited(dsn: str) -> AsyncIterator[Audited]:
    process = await start(dsn)
    yield process
    await process.close()


def told(event: dict[str, Any]) -> tuple[str, str, str]:
    """Subtype (type without one), action and outcome of an event."""
    subtypes = event.get("subtype") or [event["type"]]
    return subtypes[0]["code"], event["action"], event["outcome"]


def touched(event: dict[str, Any], role: str) -> list[str]:
    """What an event refers to in this role: `4` resources, `1` patients."""
    return [
        entity["what"]["reference"]
        for entity in event["entity"]
        if entity.get("role", {}).get("code") == role and "reference" in entity.get("what", {})
    ]


def asked(event: dict[str, Any]) -> str | None:
    """The query of an event."""
    queries = [entity["query"] for entity in event["entity"] if "query" in entity]
    return base64.b64decode(queries[0]).decode() if queries else None


def request_id() -> str:
    """One that nobody else has."""
    return f"r{token_hex(8)}"


async def send(client: httpx.AsyncClient, method: str, path: str, **options: Any) -> tuple[httpx.Response, str]:
    """The answer, and the id that the request had."""
    id = request_id()
    headers = {"X-Request-ID": id, **options.pop("headers", {})}
    return await client.request(method, path, headers=headers, **options), id
