"""The audit log in the database: keeping events, going along what is kept, and letting go of what is old."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg

from fhirserver.audit.chain import Chain, Head, Problem, Walk
from fhirserver.audit.facts import NewEvent
from fhirserver.storage.engine import Lent, Pool
from fhirserver.storage.nodes import Nodes, Visit
from fhirserver.storage.repositories import auditing, conformance
from fhirserver.storage.spread import Spread, SpreadLent
from fhirserver.storage.statements import Observe, Statements
from fhirserver.storage.streams import Streams
from fhirserver.storage.unit_of_work import Confirm

_AT_ONCE = 1000


class PostgresEvents:
    """Keeps the events that belong to no write. `confirm`, `nodes` and `spread` as in `PostgresStore`."""

    def __init__(
        self,
        pool: Pool,
        observe: Observe,
        streams: Streams,
        confirm: Confirm,
        nodes: Nodes,
        spread: Spread | None = None,
    ):
        self._pool = pool
        self._nodes, self._spread = nodes, spread
        self._observe = observe
        self._streams = streams
        self._confirm = confirm

    @asynccontextmanager
    async def _connection(self, bucket: int) -> "AsyncIterator[asyncpg.Connection[Any]]":
        lent: Lent | SpreadLent = self._pool.connection()
        if self._spread is not None:
            lent = self._spread.connection(self._nodes.group(bucket))
        async with lent as driver:
            visit = Visit(driver, (bucket,))
            self._nodes.enter(visit)
            try:
                yield driver
            finally:
                self._nodes.leave(visit)

    async def append(self, events: Sequence[NewEvent]) -> None:
        async with self._connection(events[0].bucket) as driver:
            statements = Statements(driver, self._observe)
            for version in {event.entry.index_version for event in events}:
                await self._confirm(version, lambda: conformance.changes(statements))
            try:
                async with self._streams.extended(statements, events) as rows:
                    await auditing.insert_events(statements, rows)
            except asyncpg.UniqueViolationError:
                return  # the connection was lost after the commit, before the answer: they are there

    async def note_heads(self) -> None:
        await self._streams.note()


@dataclass(frozen=True, slots=True)
class StoredStream:
    """A stream: what was before its first event that is still there, and how far it was noted to go."""

    bucket: int
    number: int
    opened: datetime
    start: Head
    head: Head
    fingerprint: bytes


class PostgresAuditLog:
    """What is kept, for who verifies it."""

    def __init__(self, pool: Pool, observe: Observe, chain: Chain):
        self._pool = pool
        self._observe = observe
        self._chain = chain

    async def streams(self) -> Sequence[StoredStream]:
        """All streams, by number."""
        async with self._pool.connection() as driver:
            rows = await Statements(driver, self._observe).rows(auditing.STREAMS)
        return [
            StoredStream(
                row["bucket"],
                row["number"],
                row["opened"],
                Head(row["first_sequence"], row["first_hash"]),
                Head(row["sequence"], row["hash"]),
                row["key"],
            )
            for row in rows
        ]

    async def problems(self, kept: Sequence[tuple[int, Head]] = ()) -> AsyncIterator[tuple[int, Sequence[Problem]]]:
        """For each stream the number of its events, and what is wrong; at the end what is wrong outside of them.

        `kept` are (stream, head) as they once were: they have to be on the streams still.
        """
        streams = await self.streams()
        numbers = [stream.number for stream in streams]
        for stream in streams:
            yield await self._walked(stream, [head for number, head in kept if number == stream.number])
        last = max([*numbers, *(number for number, _ in kept)], default=0)
        outside = [
            Problem(number, 0, "the whole stream is missing") for number in range(1, last + 1) if number not in numbers
        ]
        async with self._pool.connection() as driver:
            strays = await auditing.strays(Statements(driver, self._observe), numbers)
        yield 0, [*outside, *(Problem(0, 0, f"{name} is no event of any stream") for name in strays)]

    async def _walked(self, stream: StoredStream, kept: Sequence[Head]) -> tuple[int, Sequence[Problem]]:
        if stream.fingerprint != self._chain.fingerprint:
            return 0, [Problem(stream.number, 0, "it was made with another key")]
        if stream.start.sequence == 0 and stream.start != self._chain.start(stream.number):
            return 0, [Problem(stream.number, 0, "its beginning was changed")]
        walk = Walk(self._chain, stream.number, stream.start)
        expected = [head for head in (stream.head, *kept) if head.sequence > stream.start.sequence]
        sequence, id = -1, ""
        while True:
            async with self._pool.connection() as driver:
                statements = Statements(driver, self._observe)
                found = await auditing.links(statements, stream.number, sequence, id, _AT_ONCE)
            walk.take(found, expected)
            if len(found) < _AT_ONCE:
                break
            sequence, id = found[-1].sequence, found[-1].id
        walk.end(max([stream.head, *kept], key=lambda head: head.sequence))
        return walk.seen, walk.problems

    async def expire(self, before: datetime) -> int:
        """Delete the events that were recorded before this instant; how many. The streams go on being verifiable.

        Of each stream goes a beginning; its record keeps the hash that the rest builds on.
        """
        deleted = 0
        for stream in await self.streams():
            async with self._pool.connection() as driver, driver.transaction():
                statements = Statements(driver, self._observe)
                first_kept = (await statements.row(auditing.FIRST_KEPT, stream.number, before))[0]
                last = await statements.row(
                    auditing.LAST_EXPIRED, stream.number, first_kept if first_kept is not None else 2**62
                )
                if last is not None:
                    await statements.run(auditing.MOVE_START, stream.bucket, stream.number, *last)
                    deleted += await statements.run(auditing.EXPIRE, stream.number, last["audit_sequence"])
        return deleted
