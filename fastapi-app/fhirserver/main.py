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
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from zoneinfo import ZoneInfo

from fastapi import FastAPI

from fhirserver.access.accounts import Accounts, Lifetimes
from fhirserver.access.administration import Administration
from fhirserver.access.authentication import Authentication
from fhirserver.access.caller import Caller
from fhirserver.access.changes import Changes
from fhirserver.access.issuers import IssuerRules, OpenIdIssuer
from fhirserver.access.keys import ALGORITHM, KeyRing
from fhirserver.access.passwords import Passwords
from fhirserver.access.policy import Policy, Scoped, Unrestricted
from fhirserver.access.rate_limits import RateLimit
from fhirserver.access.service import Access, RateLimits
from fhirserver.access.tokens import Expectations
from fhirserver.fhir.datatypes.ids import BUCKETS, uuid8
from fhirserver.fhir.definitions import Definitions
from fhirserver.fhir.outcomes import FhirError
from fhirserver.fhir.terminology import BuiltIn
from fhirserver.fhir.validation.structure import Validator
from fhirserver.interactions.context import Call, Limits, Server
from fhirserver.observability.logging import configure
from fhirserver.observability.metrics import observe_statement, watch_pool
from fhirserver.remote.fetch import Fetch
from fhirserver.remote.redis import SharedByRedis
from fhirserver.search.extract import Extractor
from fhirserver.settings import Settings, SettingsError, load_settings
from fhirserver.storage.engine import Pool
from fhirserver.storage.identity_store import PostgresIdentityStore
from fhirserver.storage.terminology import PostgresTerminology
from fhirserver.storage.unit_of_work import PostgresStore
from fhirserver.terminology.known import KnownTerminology
from fhirserver.terminology.remote import Remote
from fhirserver.terminology.sources import Sources
from fhirserver.web.app import build_app
from fhirserver.web.protocol import bound_headers

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


def build_access(settings: Settings, server: Server, pool: Pool, redis: SharedByRedis | None) -> tuple[Access, Changes]:
    """Access control on the server's database, and what hears of changes for it."""
    auth = settings.auth
    base_url = settings.server.base_url
    issuer = auth.issuer or (base_url.removesuffix("/fhir") if base_url else "urn:fhirserver")
    skew = timedelta(seconds=auth.clock_skew_seconds)
    expected = Expectations(issuer, auth.audience or base_url or "urn:fhirserver:fhir", (ALGORITHM,), skew)
    store = PostgresIdentityStore(pool, observe_statement, redis.ring if redis is not None else None)
    keys = KeyRing(store, clock, auth.key_passphrase.get_secret_value() if auth.key_passphrase else None)
    passwords = Passwords(auth.password_min_length)
    issuers = {
        one.issuer: OpenIdIssuer(
            IssuerRules(**one.model_dump(exclude={"allow_private", "ca_file"})),
            Fetch(allow_private=one.allow_private, ca_file=str(one.ca_file) if one.ca_file else None),
            skew,
            clock,
        )
        for one in auth.issuers
    }

    def policy_of(caller: Caller) -> Policy:
        return Scoped(caller.grants, caller.patient, server.definitions, server.zone, server.clock())

    def is_fresh() -> bool:
        return changes.is_fresh()

    authentication = Authentication(store, keys, expected, issuers, policy_of, clock, is_fresh)
    changes = Changes(store, [authentication.forget], redis)
    lifetimes = Lifetimes(timedelta(minutes=auth.access_token_minutes), timedelta(days=auth.refresh_token_days))
    accounts = Accounts(
        store, keys, passwords, expected, lifetimes, auth.registered_roles, authentication.role_scopes, clock
    )
    limits = RateLimits(
        RateLimit(settings.limits.requests_per_minute, time.time),
        RateLimit(settings.limits.requests_per_minute_of_address, time.time),
        RateLimit(settings.limits.auth_requests_per_minute, time.time),
    )
    administration = Administration(store, passwords, server.definitions, server.zone, clock)
    return Access(authentication, accounts, administration, keys, limits), changes


@dataclass(frozen=True)
class OpenAccess:
    """Access control for the command line, whose user is the operator."""

    settings: Settings
    dsn: str

    @asynccontextmanager
    async def __call__(self) -> AsyncIterator[Access]:
        server, _, pool = build_server(self.settings, self.dsn)
        redis_url = self.settings.redis_url
        redis = SharedByRedis(redis_url.get_secret_value()) if redis_url else None
        try:
            access, _ = build_access(self.settings, server, pool, redis)
            await access.keys.load()
            yield access
        finally:
            if redis is not None:
                await redis.close()
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


async def _share_counts(limits: RateLimits, redis: SharedByRedis) -> None:
    """Let all processes know what each has counted, every second."""
    named = {"caller": limits.by_caller, "address": limits.by_address, "auth": limits.at_auth}
    while True:
        await asyncio.sleep(1)
        for name, limit in named.items():
            counted = {(f"{name}:{subject}", minute): n for (subject, minute), n in limit.take_unshared().items()}
            if counted:
                totals = await redis.add(counted)
                limit.share({(key.partition(":")[2], minute): n for (key, minute), n in totals.items()})


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
    bound_headers(settings.limits.header_bytes, settings.limits.header_seconds)
    redis = SharedByRedis(settings.redis_url.get_secret_value()) if settings.redis_url else None
    access: Access | None = None
    work = [_end_with_parent()]
    if settings.auth.enabled:
        access, changes = build_access(settings, server, pool, redis)
        work += [changes.follow(), *([_share_counts(access.limits, redis)] if redis is not None else [])]

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await store.open()
        if access is not None:
            await access.keys.load()
        tasks = [asyncio.create_task(each) for each in work]
        yield
        for task in tasks:
            task.cancel()
        if redis is not None:
            await redis.close()
        await server.terminology.close()
        await pool.close()

    return build_app(
        server,
        access=access,
        health_checks=_Health(pool),
        software_version=SOFTWARE_VERSION,
        base_url=settings.server.base_url,
        cors_origins=settings.server.origins,
        body_seconds=settings.limits.body_seconds,
        max_body_bytes=settings.limits.body_bytes,
        max_url_bytes=settings.limits.url_bytes,
        has_docs=settings.server.docs,
        lifespan=lifespan,
    )
