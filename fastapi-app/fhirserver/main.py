"""Composition root: settings → definitions, storage → server → application."""

import asyncio
import multiprocessing
import os
import secrets
import signal
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Set
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
from fhirserver.access.consents import Denials
from fhirserver.access.issuers import IssuerRules, OpenIdIssuer
from fhirserver.access.keys import ALGORITHM, KeyRing
from fhirserver.access.oauth.authorization import Authorization
from fhirserver.access.oauth.client_authentication import ClientAuthentication
from fhirserver.access.oauth.clients import Clients
from fhirserver.access.oauth.issued import Issued
from fhirserver.access.oauth.launches import Launches
from fhirserver.access.oauth.tokens import TokenEndpoint
from fhirserver.access.passwords import Passwords
from fhirserver.access.policy import Both, Policy, Scoped, Unrestricted
from fhirserver.access.protection import Protected, Protection
from fhirserver.access.purposes import Purposes
from fhirserver.access.rate_limits import RateLimit
from fhirserver.access.service import Access, OAuth, RateLimits
from fhirserver.access.tokens import Expectations
from fhirserver.audit.auditor import Auditor
from fhirserver.audit.chain import Chain
from fhirserver.audit.recorder import BatchRecorder, told
from fhirserver.audit.retention import expiring
from fhirserver.fhir.datatypes.ids import BUCKETS, uuid8
from fhirserver.fhir.definitions import Definitions
from fhirserver.fhir.outcomes import FhirError
from fhirserver.fhir.profiles.built_in import BuiltInStructures
from fhirserver.fhir.profiles.structures import Structures
from fhirserver.fhir.terminology import BuiltIn
from fhirserver.fhir.validation.validator import Validator
from fhirserver.interactions.consents import Consents
from fhirserver.interactions.context import Call, Limits, Mode, Server, Validation
from fhirserver.interactions.current import LEASE, Current, Follower
from fhirserver.interactions.memberships import StoredMemberships
from fhirserver.interactions.search_parameters import SearchParameters
from fhirserver.interactions.store import FOLLOWED
from fhirserver.interactions.structures import StoredStructures
from fhirserver.jobs.reindex import Reindex
from fhirserver.jobs.runner import Runner, Work
from fhirserver.observability.logging import configure, get_logger
from fhirserver.observability.metrics import observe_statement, watch_pool
from fhirserver.remote.fetch import Fetch
from fhirserver.remote.redis import SharedByRedis, share_counts
from fhirserver.search.extract import Extractor
from fhirserver.settings import Settings, SettingsError, load_settings
from fhirserver.storage.audit_log import PostgresAuditLog, PostgresEvents
from fhirserver.storage.engine import Pool
from fhirserver.storage.index_store import PostgresIndex
from fhirserver.storage.job_store import PostgresJobs
from fhirserver.storage.nodes import Nodes
from fhirserver.storage.oauth_store import PostgresOAuthStore
from fhirserver.storage.spread import Spread, listed, workers_of
from fhirserver.storage.streams import Streams
from fhirserver.storage.terminology import PostgresTerminology
from fhirserver.storage.unit_of_work import PostgresStore
from fhirserver.terminology.known import KnownTerminology
from fhirserver.terminology.remote import Remote
from fhirserver.terminology.sources import Sources
from fhirserver.web.app import build_app
from fhirserver.web.protocol import bound_headers
from fhirserver.web.routers.health import Impaired

SOFTWARE_VERSION = version("fhirserver")
_BACKGROUND_CONNECTIONS = 2
_NODE_SECONDS = 3.0  # to connect to a node for which others can stand in
_log = get_logger("fhirserver")


def clock() -> datetime:
    """The present instant in UTC, with the milliseconds that R4 instants here have."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def new_id(bucket: int) -> str:
    """An id that was never given, in a bucket."""
    return uuid8(bucket, time.time_ns() // 1_000_000, secrets.randbits(62))


class Process:
    """What a process works with. To be opened before use, and closed after it.

    `serves`: it is a server, which lets be done what is due after an upgrade. `lease` as in Current.
    """

    def __init__(self, settings: Settings, dsn: str, *, serves: bool = False, lease: float = LEASE):
        self._settings = settings
        self.zone = UTC if settings.search.time_zone == "UTC" else ZoneInfo(settings.search.time_zone)
        self.definitions = Definitions.load()
        self.pool = self._pool(dsn, settings.database.pool_size)
        # Of its own, so that what goes on besides requests doesn't wait for a connection when there are many.
        self.background = self._pool(dsn, _BACKGROUND_CONNECTIONS)
        self._audit_pool = self._pool(dsn, 1)  # what it writes is one stream of each node
        self.nodes = Nodes(self.background, settings.database.pool_size, settings.database.pool_timeout_seconds)
        self.index = PostgresIndex(self.background, observe_statement)
        self.jobs = PostgresJobs(self.background, observe_statement)
        remote_url = settings.terminology.server_url
        remote = Remote(remote_url, settings.terminology.timeout_seconds) if remote_url is not None else None
        self.built_in = built_in = BuiltIn.load()
        structures = BuiltInStructures.load()
        self._sources = Sources(PostgresTerminology(self.pool, observe_statement), built_in, time.monotonic)
        self._terminology = KnownTerminology(self._sources, clock, remote)
        is_spread = serves and settings.database.query_nodes != "coordinator"
        self.spread = self._spread(dsn, self.pool, settings.database.pool_size) if is_spread else None
        self._audit_spread = self._spread(dsn, self._audit_pool, 1) if is_spread else None
        self.chain = Chain(settings.audit.key.get_secret_value().encode() if settings.audit.key else None)
        self.streams = Streams(self.chain, self.background, observe_statement)
        self.events = PostgresEvents(
            self._audit_pool, observe_statement, self.streams, self._confirm, self.nodes, self._audit_spread
        )
        self._store = PostgresStore(
            self.pool,
            observe_statement,
            self._written,
            self._confirm,
            self.nodes,
            streams=self.streams,
            kept=told,
            patience=settings.database.patience_seconds,
            spread=self.spread,
        )
        server = Server(
            definitions=self.definitions,
            validator=Validator(self.definitions, built_in),
            extractor=Extractor(self.definitions, self.zone, with_referrers=settings.validation.referential_integrity),
            store=self._store,
            terminology=self._terminology,
            structures=Structures(structures),
            clock=clock,
            new_id=new_id,
            random_bucket=lambda: secrets.randbelow(BUCKETS),
            zone=self.zone,
            limits=Limits(
                default_count=settings.search.default_count,
                max_count=settings.search.max_count,
                max_nesting=settings.limits.nesting,
                max_includes=settings.search.max_includes,
            ),
            validation=Validation(
                settings.validation.mode,
                settings.validation.may_be_lowered,
                settings.validation.referential_integrity,
                settings.validation.unknown_profiles == "refuse",
                settings.validation.profiles_of,
            ),
            index=self.index,
            jobs=self.jobs,
            patience=settings.database.patience_seconds,
        )
        followers: list[Follower] = [
            SearchParameters(self.definitions, self.index, self.jobs if serves else None),
            StoredStructures(structures, built_in, self.index, self._sources.forget),
            Consents(self.definitions, self.index, self.zone),
        ]
        self.current = Current(server, self.index, followers, lease=lease)

    def _pool(self, dsn: str, size: int, connect_timeout: float = 60.0) -> Pool:
        database = self._settings.database
        return Pool(
            dsn,
            size=size,
            timeout=database.pool_timeout_seconds,
            statement_timeout_ms=database.statement_timeout_ms,
            connect_timeout=connect_timeout,
            pooler=database.pooler,
        )

    def _spread(self, dsn: str, coordinator: Pool, size: int) -> Spread:
        nodes = self._settings.database.query_nodes
        given = [url.strip() for url in nodes.split(",")]
        find = workers_of(self.background, dsn) if nodes == "all" else listed(given)
        return Spread(coordinator, find, lambda node: self._pool(node, size, _NODE_SECONDS))

    def _written(self, types: Set[str]) -> None:
        """Resources of these types were written."""
        self._sources.forget(types)
        if not FOLLOWED.isdisjoint(types):
            self.current.hurry()

    async def _confirm(self, index_version: int, changes: Callable[[], Awaitable[Mapping[str, int]]]) -> None:
        await self.current.confirm(index_version, changes)

    @property
    def base_url(self) -> str:
        """How this server is called where no request tells."""
        return self._settings.server.base_url or "http://localhost/fhir"

    def runner(self, share: float) -> Runner:
        """What carries out jobs, in this part of the time of the process."""
        reindex = Reindex(self.current, self.definitions, self.index, self.base_url, share=share)

        def kinds() -> Mapping[str, Work]:
            return {"reindex": reindex} if self.current.server.extractor.index_version >= 0 else {}

        return Runner(self.jobs, kinds, f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}")

    def audit_log(self) -> PostgresAuditLog:
        """What is kept of the audit log."""
        return PostgresAuditLog(self.background, observe_statement, self.chain)

    def _bucket_of_events(self) -> int:
        """Any that can be reached, as far as that is known."""
        for _ in range(100):
            bucket = secrets.randbelow(BUCKETS)
            if self.nodes.reaches(bucket):
                break
        return bucket

    def recording(self) -> "tuple[Auditor, BatchRecorder]":
        """What makes the events of requests, and what keeps them."""
        audit = self._settings.audit
        recorder = BatchRecorder(
            self.events,
            lambda event: auditor.indexed_anew(event),
            self._bucket_of_events,
            audit.reads,
            required=audit.required,
        )
        current = self.current
        auditor = Auditor(
            lambda: (current.server.definitions, current.server.extractor.index_version),
            self.zone, self.base_url, recorder, clock, new_id,
        )  # fmt: skip
        return auditor, recorder

    async def open(self) -> None:
        """Make ready for use."""
        await self._store.open()
        if self.spread is not None and self._audit_spread is not None:
            await asyncio.gather(self.nodes.look(), self.spread.look(), self._audit_spread.look())
        if self._settings.database.pooler != "none" and (lacking := await self.pool.lacking()):
            # PgBouncer makes them if its databases say so: connect_query.
            _log.warning("the pooler's connections lack settings", settings="; ".join(lacking))
        await self.current.refresh()

    async def follow_spreads(self) -> None:
        """Look for the nodes that are asked, where several are, until cancelled."""
        await asyncio.gather(*(spread.follow() for spread in (self.spread, self._audit_spread) if spread is not None))

    async def close(self) -> None:
        """Close all connections."""
        await self._terminology.close()
        for spread in (self.spread, self._audit_spread):
            if spread is not None:
                await spread.close()
        await self.pool.close()
        await self.background.close()
        await self._audit_pool.close()


@dataclass(frozen=True)
class OpenServer:
    """A server for the command line: calling it gives the opened one, and a call without restrictions.

    `validation`: how it checks what is written; None: as the settings say.
    """

    settings: Settings
    dsn: str
    validation: Mode | None = None

    def __call__(self) -> AbstractAsyncContextManager[tuple[Current, Call]]:
        return self._open()

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[tuple[Current, Call]]:
        settings = self.settings
        if self.validation is not None:
            mode = settings.validation.model_copy(update={"mode": self.validation})
            settings = settings.model_copy(update={"validation": mode})
        async with opened(settings, self.dsn) as process:
            yield process.current, Call(process.base_url, "cli", Unrestricted())


@asynccontextmanager
async def opened(settings: Settings, dsn: str) -> AsyncIterator[Process]:
    """A process that is open within the block."""
    process = Process(settings, dsn)
    try:
        await process.open()
        yield process
    finally:
        await process.close()


@asynccontextmanager
async def open_terminology(settings: Settings, dsn: str) -> AsyncIterator[tuple[Current, Call, PostgresTerminology]]:
    """The server and its terminology's store, for the command line; no statement is too long."""
    unhurried = settings.database.model_copy(update={"statement_timeout_ms": 0, "pool_size": 2})
    settings = settings.model_copy(update={"database": unhurried})
    async with opened(settings, dsn) as process:
        call = Call(process.base_url, "cli", Unrestricted())
        yield process.current, call, PostgresTerminology(process.pool, observe_statement)


def build_access(settings: Settings, process: Process, redis: SharedByRedis | None) -> tuple[Access, Changes]:
    """Access control on the server's database, and what hears of changes for it."""
    auth = settings.auth
    base_url = settings.server.base_url
    issuer = auth.issuer or (base_url.removesuffix("/fhir") if base_url else "urn:fhirserver")
    skew = timedelta(seconds=auth.clock_skew_seconds)
    expected = Expectations(issuer, auth.audience or base_url or "urn:fhirserver:fhir", (ALGORITHM,), skew)
    store = PostgresOAuthStore(process.pool, observe_statement, redis.ring if redis is not None else None)
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

    def denials() -> Denials:
        found = process.current.server.denials
        assert found is not None  # what is open has asked for them
        return found

    protection = Protection(process.definitions, auth.labels, denials, Purposes.load(process.built_in), clock)

    def policy_of(caller: Caller) -> Policy:
        server = process.current.server
        own: Policy = Scoped(caller.grants, caller.patient, server.definitions, server.zone, server.clock())
        app = caller.app
        if app is not None:
            own = Both(own, Scoped(app.grants, app.patient, server.definitions, server.zone, server.clock()))
        return Protected(own, caller, protection)

    def is_fresh() -> bool:
        return changes.is_fresh()

    memberships = StoredMemberships(lambda: process.current.server, process.base_url)
    authentication = Authentication(store, keys, expected, issuers, policy_of, clock, is_fresh, memberships.of)
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
    administration = Administration(store, passwords, process.definitions, process.zone, clock)
    launches = Launches(store, clock)
    oauth = OAuth(
        Clients(store, process.definitions, process.zone, clock),
        ClientAuthentication(store, Fetch(allow_private=auth.private_key_sets), skew, clock),
        launches,
        Authorization(store, accounts, authentication, launches, clock),
        TokenEndpoint(store, keys, expected, lifetimes, clock),
        Issued(store, authentication, keys, expected, clock),
        issuer if issuer.startswith("http") else None,
    )
    return Access(
        authentication, accounts, administration, keys, limits, oauth, protection.purposes, policy_of
    ), changes


@dataclass(frozen=True)
class OpenAccess:
    """Access control for the command line, whose user is the operator."""

    settings: Settings
    dsn: str

    @asynccontextmanager
    async def __call__(self) -> AsyncIterator[Access]:
        process = Process(self.settings, self.dsn)
        redis_url = self.settings.redis_url
        redis = SharedByRedis(redis_url.get_secret_value()) if redis_url else None
        try:
            access, _ = build_access(self.settings, process, redis)
            await access.keys.load()
            yield access
        finally:
            if redis is not None:
                await redis.close()
            await process.close()


class _Health:
    """Whether the database answers, the audit log is written, and which nodes of a cluster don't answer."""

    def __init__(self, pool: Pool, nodes: Nodes, recorder: BatchRecorder | None):
        self._pool, self._nodes, self._recorder = pool, nodes, recorder

    async def problems(self) -> Mapping[str, str | None]:
        audit = {"audit": self._recorder.problem()} if self._recorder is not None else {}
        try:
            async with self._pool.connection() as driver:
                await driver.fetchval("SELECT 1")
        except FhirError as error:
            return {"database": str(error)} | audit
        away = {f"database {node}": Impaired("no answer") for node in self._nodes.away}
        return {"database": None, **away} | audit


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
    process = Process(settings, settings.dsn, serves=True)
    watch_pool((process.spread or process.pool).in_use)
    bound_headers(settings.limits.header_bytes, settings.limits.header_seconds)
    redis = SharedByRedis(settings.redis_url.get_secret_value()) if settings.redis_url else None
    access: Access | None = None
    work = [_end_with_parent(), process.current.follow(), process.nodes.follow(), process.follow_spreads()]
    if settings.auth.enabled:
        access, changes = build_access(settings, process, redis)
        work += [changes.follow(), *([share_counts(access.limits, redis)] if redis is not None else [])]
    auditor: Auditor | None = None
    recorder: BatchRecorder | None = None
    if settings.auth.enabled and settings.audit.enabled:
        auditor, recorder = process.recording()
        work.append(recorder.follow())
        if settings.audit.retention_days:
            work.append(expiring(process.audit_log(), timedelta(days=settings.audit.retention_days), clock))
    if settings.jobs.run:
        work.append(process.runner(settings.jobs.share).follow())

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await process.open()
        if access is not None:
            await access.keys.load()
        if recorder is not None:
            recorder.start()
        tasks = [asyncio.create_task(each) for each in work]
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if recorder is not None:
            await recorder.close()
        if redis is not None:
            await redis.close()
        await process.close()

    return build_app(
        lambda: process.current.server,
        access=access,
        auditor=auditor,
        health_checks=_Health(process.background, process.nodes, recorder),
        software_version=SOFTWARE_VERSION,
        base_url=settings.server.base_url,
        cors_origins=settings.server.origins,
        body_seconds=settings.limits.body_seconds,
        max_body_bytes=settings.limits.body_bytes,
        max_url_bytes=settings.limits.url_bytes,
        has_docs=settings.server.docs,
        lifespan=lifespan,
    )
