"""The store that the interactions see: each call a transaction of its own, or many within one.

`PostgresSession` works on one connection; `PostgresStore` takes a connection from the pool for each call.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from typing import Any, TypeVar

from fhirserver.audit.facts import NewEvent
from fhirserver.fhir.datatypes.ids import home_bucket
from fhirserver.fhir.outcomes import Interrupted, RolledBack, Unavailable
from fhirserver.interactions.store import (
    FOLLOWED,
    Explanation,
    HistoryPage,
    HistoryRequest,
    NewVersion,
    SearchPage,
    Session,
    StoredResource,
)
from fhirserver.search.query.tree import Node
from fhirserver.search.request import SearchRequest
from fhirserver.search.rewrite.restrict import Within
from fhirserver.storage.cursor import CursorSigner
from fhirserver.storage.engine import Lent, Pool
from fhirserver.storage.errors import DRIVER_ERRORS, translated
from fhirserver.storage.nodes import Nodes, Visit
from fhirserver.storage.patience import patiently
from fhirserver.storage.repositories import (
    auditing,
    conformance,
    history,
    locks,
    outside,
    reading,
    receipts,
    searching,
    writing,
)
from fhirserver.storage.repositories.survey import Survey
from fhirserver.storage.secrets import secret
from fhirserver.storage.sharing import Shared
from fhirserver.storage.spread import Spread, SpreadLent
from fhirserver.storage.statements import Observe, Statements
from fhirserver.storage.streams import Streams

T = TypeVar("T")
Written = Callable[[AbstractSet[str]], None]
Kept = Callable[[Sequence[NewEvent]], None]
Confirm = Callable[[int, Callable[[], Awaitable[Mapping[str, int]]]], Awaitable[None]]


class PostgresSession:
    """The store within one transaction, on one connection."""

    def __init__(
        self,
        statements: Statements,
        signer: CursorSigner,
        confirm: Confirm | None = None,
        nodes: Nodes | None = None,
        streams: Streams | None = None,
        *,
        survey: Survey | None = None,
    ):
        self._statements = statements
        self._nodes = nodes
        self.visit = Visit(statements.driver)
        """What it asks for at present."""
        self._signer = signer
        self._confirm = confirm
        self._streams = streams
        self._survey = survey or Survey()
        self.written: set[str] = set()
        """The types of the resources that were written."""
        self.events: list[NewEvent] = []
        """The events that go with what was written."""

    def _require(self, buckets: Collection[int] | None) -> None:
        """Raises `NothingDone` if one of these buckets (None: any) can't be reached at present."""
        if self._nodes is not None:
            self._nodes.require(buckets)
            self.visit.buckets = buckets

    async def read(self, resource_type: str, id: str, within: Node | None) -> StoredResource | None:
        self._require((home_bucket(id),))
        return await reading.read(self._statements, resource_type, id, within)

    async def read_many(
        self, targets: Sequence[tuple[str, str]], within: Within
    ) -> dict[tuple[str, str], StoredResource]:
        self._require([home_bucket(id) for _, id in targets])
        return await reading.read_many(self._statements, targets, within)

    async def read_version(self, resource_type: str, id: str, version_id: int) -> StoredResource | None:
        self._require((home_bucket(id),))
        return await reading.read_version(self._statements, resource_type, id, version_id)

    async def read_versions(self, versions: Sequence[tuple[str, str, int, int]]) -> Sequence[StoredResource]:
        self._require([bucket for *_, bucket in versions])
        return await reading.read_versions(self._statements, versions)

    async def write(self, changes: Sequence[NewVersion], events: Sequence[NewEvent] = ()) -> None:
        self._require([change.version.bucket for change in changes])
        if self._confirm is not None:
            versions = {change.entry.index_version for change in changes if change.entry is not None}
            for version in versions | {event.entry.index_version for event in events}:
                await self._confirm(version, self._changes)
        if not events or self._statements.driver.is_in_transaction():
            await writing.write(self._statements, changes)
            self.events += events
        elif len(changes) == 1 and len(events) == 1 and (write_both := auditing.at_once(changes[0])) is not None:
            async with self._audit.extended(self._statements, events) as [row]:
                await write_both(self._statements, changes[0], row)
            self.events += events
        else:
            async with self.transaction():
                await writing.write(self._statements, changes)
                self.events += events
        self.written.update(change.version.resource_type for change in changes)

    @property
    def _audit(self) -> Streams:
        if self._streams is None:
            raise RuntimeError("events need streams to be written to")
        return self._streams

    async def _changes(self) -> Mapping[str, int]:
        return await conformance.changes(self._statements)

    async def search(self, request: SearchRequest) -> SearchPage:
        self._require(request.buckets)
        return await searching.search(self._statements, request, self._signer, self._survey)

    async def count(self, request: SearchRequest, *, estimate: bool = False) -> int:
        self._require(request.buckets)
        return await searching.count(self._statements, request, estimate=estimate)

    async def is_outside(self, patient: str, types: Sequence[str]) -> bool:
        self._require((home_bucket(patient),))
        return await outside.is_outside(self._statements, patient, types)

    async def explain(self, request: SearchRequest) -> Explanation:
        return await searching.explain(self._statements, request, self._signer, self._survey)

    async def find(self, requests: Sequence[SearchRequest]) -> list[Sequence[tuple[str, str]]]:
        for request in requests:
            self._require(request.buckets)
        return await searching.find(self._statements, requests)

    async def history(self, request: HistoryRequest) -> HistoryPage:
        self._require(_buckets_of(request))
        return await history.history(self._statements, request, self._signer)

    async def lock(self, criteria: Sequence[str], shared: Sequence[str] = ()) -> None:
        await locks.lock(self._statements, criteria, shared)

    async def receipt(self, digest: bytes) -> bool:
        return await receipts.note(self._statements, digest)

    async def receipts(self, digests: Sequence[bytes]) -> set[bytes]:
        return await receipts.noted(self._statements, digests)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Session]:
        """Part of the transaction that is running: undone by itself if it fails, committed with the whole."""
        is_whole = not self._statements.driver.is_in_transaction()
        before = len(self.events)
        try:
            async with AsyncExitStack() as stack, self._statements.driver.transaction():
                yield self
                if is_whole and self.events:
                    rows = await stack.enter_async_context(self._audit.extended(self._statements, self.events))
                    await auditing.insert_events(self._statements, rows)
        except BaseException:
            del self.events[before:]
            raise


class PostgresStore:
    """The store on a pool of connections.

    `observe` hears of every statement, `written` of the types of resources that were written, after the commit.
    `confirm` (as in `Current`) is asked before index entries of a version are written, and raises if they may not be.
    Events of the audit log go to `streams`; `kept` hears of those that were committed.
    With a `spread`, what is one statement asks any node, and the one that has it if that is known. Transactions are on
    the coordinator: their locks are only seen there. So is what changes the server's own tables, which all nodes have a
    copy of.
    For `patience` seconds a database, or a worker of a cluster, may be away before a request fails; `nodes` knows
    which workers are.
    """

    def __init__(
        self,
        pool: Pool,
        observe: Observe,
        written: Written | None = None,
        confirm: Confirm | None = None,
        nodes: Nodes | None = None,
        *,
        streams: Streams | None = None,
        kept: Kept | None = None,
        patience: float = 0.0,
        spread: Spread | None = None,
    ):
        self._streams = streams
        self._kept = kept
        self._pool = pool
        self._spread = spread
        self._observe = observe
        self._written = written
        self._confirm = confirm
        self._nodes = nodes
        self._patience = patience
        self._signer: CursorSigner | None = None
        self._survey = Survey()
        self._counts: Shared[int] = Shared()

    async def open(self) -> None:
        """Make ready for use: read the secret that signs the cursors, which is in the database, and what that is."""
        self._signer = CursorSigner(await secret(self._pool, "cursor"))
        async with self._pool.connection() as driver:
            self._survey.on_cluster = (
                await driver.fetchval("SELECT count(*) FROM pg_extension WHERE extname = 'citus'") > 0
            )

    def _session(self, bucket: int | None = None, *, anywhere: bool = False) -> "_Session":
        if self._signer is None:
            raise RuntimeError("the store is not open")
        lent: Lent | SpreadLent
        if anywhere and self._spread is not None:
            lent = self._spread.connection(self._nodes.group(bucket) if self._nodes is not None else None)
        else:
            lent = self._pool.connection()
        return _Session(
            lent, self._observe, self._signer, self._written, self._kept, self._confirm, self._nodes, self._streams,
            self._survey,
        )  # fmt: skip

    async def _on_one(
        self,
        work: Callable[[PostgresSession], Awaitable[T]],
        bucket: int | None = None,
        *,
        only_reads: bool = True,
        anywhere: bool = True,
    ) -> T:
        """What `work` does on a connection of its own; again, if the database is away for a moment.

        `bucket`: the only one that it is about, if that is known.
        """

        async def attempt() -> T:
            try:
                async with self._turn(bucket), self._session(bucket, anywhere=anywhere) as session:
                    return await work(session)
            except Unavailable:
                self._doubt()
                raise

        return await patiently(attempt, self._patience, only_reads=only_reads)

    async def read(self, resource_type: str, id: str, within: Node | None) -> StoredResource | None:
        return await self._on_one(lambda session: session.read(resource_type, id, within), home_bucket(id))

    async def read_many(
        self, targets: Sequence[tuple[str, str]], within: Within
    ) -> dict[tuple[str, str], StoredResource]:
        buckets = {home_bucket(id) for _, id in targets}
        return await self._on_one(lambda session: session.read_many(targets, within), _only(buckets))

    async def read_version(self, resource_type: str, id: str, version_id: int) -> StoredResource | None:
        return await self._on_one(lambda session: session.read_version(resource_type, id, version_id), home_bucket(id))

    async def read_versions(self, versions: Sequence[tuple[str, str, int, int]]) -> Sequence[StoredResource]:
        buckets = {bucket for *_, bucket in versions}
        return await self._on_one(lambda session: session.read_versions(versions), _only(buckets))

    async def write(self, changes: Sequence[NewVersion], events: Sequence[NewEvent] = ()) -> None:
        buckets = {change.version.bucket for change in changes}
        anywhere = all(change.version.resource_type not in FOLLOWED for change in changes)
        await self._on_one(
            lambda session: session.write(changes, events), _only(buckets), only_reads=False, anywhere=anywhere
        )

    async def search(self, request: SearchRequest) -> SearchPage:
        return await self._on_one(lambda session: session.search(request), _only(request.buckets))

    async def count(self, request: SearchRequest, *, estimate: bool = False) -> int:
        return await self._counts.get(
            (estimate, *searching.same_count(request)),
            lambda: self._on_one(lambda session: session.count(request, estimate=estimate), _only(request.buckets)),
        )

    async def is_outside(self, patient: str, types: Sequence[str]) -> bool:
        return await self._on_one(lambda session: session.is_outside(patient, types), home_bucket(patient))

    async def explain(self, request: SearchRequest) -> Explanation:
        return await self._on_one(lambda session: session.explain(request), _only(request.buckets))

    async def find(self, requests: Sequence[SearchRequest]) -> list[Sequence[tuple[str, str]]]:
        bucket = _only(requests[0].buckets) if len(requests) == 1 else None
        return await self._on_one(lambda session: session.find(requests), bucket)

    async def history(self, request: HistoryRequest) -> HistoryPage:
        return await self._on_one(lambda session: session.history(request), _only(_buckets_of(request)))

    async def lock(self, criteria: Sequence[str], shared: Sequence[str] = ()) -> None:
        raise RuntimeError("a lock is held until the end of a transaction: open one")

    async def receipt(self, digest: bytes) -> bool:
        return await self._on_one(lambda session: session.receipt(digest), only_reads=False)

    async def receipts(self, digests: Sequence[bytes]) -> set[bytes]:
        return await self._on_one(lambda session: session.receipts(digests))

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Session]:
        """A transaction: committed when the block ends, rolled back when it raises.

        `Interrupted` if the database was away before the commit: nothing was done, the same may succeed.
        """

        async def begin() -> tuple[PostgresSession, AsyncExitStack]:
            async with AsyncExitStack() as begun:
                session = await begun.enter_async_context(self._session())
                await begun.enter_async_context(session.transaction())
                return session, begun.pop_all()

        session, begun = await patiently(begin, self._patience, only_reads=True)
        undone: RolledBack | None = None
        try:
            async with begun:
                try:
                    yield session
                except (*DRIVER_ERRORS, Unavailable) as error:
                    found = error if isinstance(error, Unavailable) else translated(error)
                    if not isinstance(found, Unavailable):
                        raise
                    self._doubt()
                    undone = found if isinstance(found, RolledBack) else Interrupted(found.issues)
                    raise undone from error
        except Unavailable as error:  # the ROLLBACK may fail too
            if undone is not None and error is not undone:
                raise undone from error
            raise

    def _turn(self, bucket: int | None) -> AbstractAsyncContextManager[None]:
        return self._nodes.turn(bucket) if self._nodes is not None else nullcontext()

    def _doubt(self) -> None:
        if self._nodes is not None:
            self._nodes.doubt()


def _buckets_of(request: HistoryRequest) -> AbstractSet[int] | None:
    """The buckets that a history is asked of, as far as the request tells."""
    return request.buckets if request.id is None else frozenset((home_bucket(request.id),))


def _only(buckets: AbstractSet[int] | None) -> int | None:
    """The bucket, if it is one."""
    return next(iter(buckets)) if buckets is not None and len(buckets) == 1 else None


class _Session:
    """A session on a connection that is lent out for the time of the block."""

    __slots__ = (
        "_announce",
        "_confirm",
        "_kept",
        "_lent",
        "_nodes",
        "_observe",
        "_session",
        "_signer",
        "_streams",
        "_survey",
    )

    def __init__(
        self,
        lent: Lent | SpreadLent,
        observe: Observe,
        signer: CursorSigner,
        announce: Written | None,
        kept: Kept | None,
        confirm: Confirm | None,
        nodes: Nodes | None,
        streams: Streams | None,
        survey: Survey,
    ):
        self._nodes = nodes
        self._kept = kept
        self._streams = streams
        self._survey = survey
        self._confirm = confirm
        self._lent = lent
        self._observe = observe
        self._signer = signer
        self._announce = announce

    async def __aenter__(self) -> PostgresSession:
        statements = Statements(await self._lent.__aenter__(), self._observe)
        self._session = PostgresSession(
            statements, self._signer, self._confirm, self._nodes, self._streams, survey=self._survey
        )
        if self._nodes is not None:
            self._nodes.enter(self._session.visit)
        return self._session

    async def __aexit__(self, *error: Any) -> None:
        if self._nodes is not None:
            self._nodes.leave(self._session.visit)
        await self._lent.__aexit__(*error)
        if self._session.written and self._announce is not None:
            self._announce(self._session.written)
        if self._session.events and self._kept is not None:
            self._kept(self._session.events)
