"""Composition root: settings → definitions, storage → server → application."""

import asyncio
import multiprocessing
import os
import secrets
import signal
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from zoneinfo import ZoneInfo

from fastapi import FastAPI

from fhirserver.access.policy import Unrestricted
from fhirserver.fhir.datatypes.ids import BUCKETS, uuid8
from fhirserver.fhir.definitions import Definitions
from fhirserver.fhir.outcomes import FhirError
from fhirserver.fhir.terminology import BuiltIn
from fhirserver.fhir.validation.structure import Validator
from fhirserver.interactions.context import Call, Limits, Server
from fhirserver.observability.logging import configure
from fhirserver.observability.metrics import observe_statement, watch_pool
from fhirserver.search.extract import Extractor
from fhirserver.settings import Settings, SettingsError, load_settings
from fhirserver.storage.engine import Pool
from fhirserver.storage.terminology import PostgresTerminology
from fhirserver.storage.unit_of_work import PostgresStore
from fhirserver.terminology.known import KnownTerminology
from fhirserver.terminology.remote import Remote
from fhirserver.terminology.sources import Sources
from fhirserver.web.app import build_app

SOFTWARE_VERSION = version("fhirserver")


def clock() -> datetime:
    """The present instant in UTC, with the milliseconds that R4 instants here have."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def new_id(bucket: int) -> str:
    """An id that was never given, in a bucket."""
    return uuid8(bucket, time.time_ns() // 1_000_000, secrets.randbits(62))


def build_server(settings: Settings, dsn: str) -> tuple[Server, PostgresStore, Pool]:
    """The server on the database at `dsn`. Its store is to be opened before use, its pool closed after it."""
    definitions = Definitions.load()
    zone = UTC if settings.search.time_zone == "UTC" else ZoneInfo(settings.search.time_zone)
    pool = Pool(
        dsn,
        size=settings.database.pool_size,
        timeout=settings.database.pool_timeout_seconds,
        statement_timeout_ms=settings.database.statement_timeout_ms,
    )
    remote_url = settings.terminology.server_url
    remote = Remote(remote_url, settings.terminology.timeout_seconds) if remote_url is not None else None
    sources = Sources(PostgresTerminology(pool, observe_statement), BuiltIn.load(), time.monotonic)
    store = PostgresStore(pool, observe_statement, sources.forget)
    server = Server(
        definitions=definitions,
        validator=Validator(definitions),
        extractor=Extractor(definitions, zone),
        store=store,
        terminology=KnownTerminology(sources, clock, remote),
        clock=clock,
        new_id=new_id,
        random_bucket=lambda: secrets.randbelow(BUCKETS),
        zone=zone,
        limits=Limits(
            default_count=settings.search.default_count,
            max_count=settings.search.max_count,
            max_nesting=settings.limits.nesting,
            max_includes=settings.search.max_includes,
        ),
    )
    return server, store, pool


@dataclass(frozen=True)
class OpenServer:
    """A server for the command line: calling it gives the opened server, and a call without restrictions."""

    settings: Settings
    dsn: str

    def __call__(self) -> AbstractAsyncContextManager[tuple[Server, Call]]:
        return self._open()

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[tuple[Server, Call]]:
        server, store, pool = build_server(self.settings, self.dsn)
        await store.open()
        try:
            yield (
                server,
                Call(self.settings.server.base_url or "http://localhost/fhir", "cli", Unrestricted()),
            )
        finally:
            await server.terminology.close()
            await pool.close()


@asynccontextmanager
async def open_terminology(settings: Settings, dsn: str) -> AsyncIterator[tuple[Server, Call, PostgresTerminology]]:
    """The server and the tables of code systems, for the command line; no statement is too long."""
    unhurried = settings.database.model_copy(update={"statement_timeout_ms": 0, "pool_size": 2})
    settings = settings.model_copy(update={"database": unhurried})
    pool = Pool(dsn, size=2)
    try:
        async with OpenServer(settings, dsn)() as (server, call):
            yield server, call, PostgresTerminology(pool, observe_statement)
    finally:
        await pool.close()


class _Health:
    """Whether the database answers."""

    def __init__(self, pool: Pool):
        self._pool = pool

    async def problems(self) -> Mapping[str, str | None]:
        try:
            async with self._pool.connection() as driver:
                await driver.fetchval("SELECT 1")
        except FhirError as error:
            return {"database": str(error)}
        return {"database": None}


async def _end_with_parent() -> None:
    """End this worker when the process that started it is gone: nobody else would, and it holds the port."""
    parent = multiprocessing.parent_process()
    while parent is not None:
        await asyncio.sleep(1)
        if not parent.is_alive():
            os.kill(os.getpid(), signal.SIGTERM)
            return


def create_app() -> FastAPI:
    """The application of a worker process, set up by its environment. Exits with one line if that is wrong."""
    try:
        settings = load_settings()
    except SettingsError as error:
        raise SystemExit(str(error)) from error
    if settings.dsn is None:
        raise SystemExit("FHIR_DATABASE_URL is not set; `fhirserver serve` starts a database of its own")
    configure(settings.observability.log_level, settings.observability.log_format)
    server, store, pool = build_server(settings, settings.dsn)
    watch_pool(pool.in_use)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await store.open()
        orphaned = asyncio.create_task(_end_with_parent())
        yield
        orphaned.cancel()
        await server.terminology.close()
        await pool.close()

    return build_app(
        server,
        health_checks=_Health(pool),
        software_version=SOFTWARE_VERSION,
        base_url=settings.server.base_url,
        max_body_bytes=settings.limits.body_bytes,
        max_url_bytes=settings.limits.url_bytes,
        has_docs=settings.server.docs,
        lifespan=lifespan,
    )
