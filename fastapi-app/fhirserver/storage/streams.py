"""The streams that a process writes events into: one for each connection, so that nobody waits for anybody.

What a connection does comes one after the other. So this process knows the head of its stream, and puts the next event
behind it without asking the database. When it is not sure whether a commit took place, that stream is left, and another
begun.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import randrange
from typing import Any
from weakref import WeakKeyDictionary

import asyncpg

from fhirserver.audit.chain import Chain, Head
from fhirserver.audit.facts import NewEvent
from fhirserver.fhir.datatypes.ids import BUCKETS
from fhirserver.interactions.store import WriteConflict
from fhirserver.storage.engine import Pool
from fhirserver.storage.repositories import auditing
from fhirserver.storage.statements import Observe, Statements


@dataclass(slots=True)
class Stream:
    """A stream of this process, and how far it is known to go."""

    number: int
    head: Head


class Streams:
    """All streams of a process. Their records are in one bucket. `pool` is that of the coordinator."""

    def __init__(self, chain: Chain, pool: Pool, observe: Observe):
        self._chain = chain
        self._pool = pool
        self._observe = observe
        self._bucket = randrange(BUCKETS)  # noqa: S311
        self._streams: WeakKeyDictionary[asyncpg.Connection[Any], Stream] = WeakKeyDictionary()
        self._moved: dict[int, Head] = {}

    @asynccontextmanager
    async def extended(
        self, statements: Statements, events: Sequence[NewEvent]
    ) -> AsyncIterator[Sequence[tuple[Any, ...]]]:
        """The rows of these events, which are to be inserted and committed by this connection within the block.

        If the block raises, what became of them is not known: the stream ends there. Of a `WriteConflict` it is known:
        nothing was written.
        """
        stream = self._streams.pop(statements.driver, None) or await self._begin()
        head, rows = stream.head, []
        for event in events:
            head = self._chain.next(stream.number, head, event.id, event.recorded, event.content)
            rows.append(auditing.event_row(event, stream.number, head))
        try:
            yield rows
        except WriteConflict:
            self._streams[statements.driver] = stream
            raise
        stream.head = head
        self._streams[statements.driver] = stream
        self._moved[stream.number] = head

    async def _begin(self) -> Stream:
        """A new stream, by a transaction of its own: the numbers have no gaps, and nobody is kept waiting for one."""
        async with self._pool.connection() as driver, driver.transaction():
            statements = Statements(driver, self._observe)
            await statements.row(auditing.LOCK)
            number: int = (await statements.row(auditing.LAST))[0] + 1
            head = self._chain.start(number)
            await statements.run(auditing.OPEN, self._bucket, number, head.sequence, head.hash, self._chain.fingerprint)
        return Stream(number, head)

    async def note(self) -> None:
        """Note how far the streams go."""
        moved, self._moved = self._moved, {}
        if not moved:
            return
        numbers, heads = list(moved), list(moved.values())
        sequences, hashes = [head.sequence for head in heads], [head.hash for head in heads]
        try:
            async with self._pool.connection() as driver:
                statements = Statements(driver, self._observe)
                await statements.run(auditing.NOTE, self._bucket, numbers, sequences, hashes)
        except BaseException:
            self._moved = moved | self._moved
            raise
