"""The registered search parameters, and the index of what is stored, on a pool of connections.

It is the `IndexStore` of `interactions/index_store.py`, the `Contents` of `interactions/structures.py` and the
`DenialStore` of `interactions/consents.py`, where its methods are described.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

from fhirserver.interactions.index_store import Indexed, Outdated, Registry, Reindexed
from fhirserver.storage.engine import Pool
from fhirserver.storage.repositories import conformance, consents, reading, reindexing
from fhirserver.storage.statements import Observe, Statements


class PostgresIndex:
    """`observe` hears of every statement. Each call is a transaction of its own."""

    def __init__(self, pool: Pool, observe: Observe):
        self._pool = pool
        self._observe = observe

    @asynccontextmanager
    async def _statements(self) -> AsyncIterator[Statements]:
        async with self._pool.connection() as driver:
            yield Statements(driver, self._observe)

    @asynccontextmanager
    async def _patient(self) -> AsyncIterator[Statements]:
        """Statements that may take long, as they look at everything."""
        async with self._statements() as statements, statements.driver.transaction():
            await statements.driver.execute("SET LOCAL statement_timeout = 0")
            yield statements

    async def changes(self) -> Mapping[str, int]:
        async with self._statements() as statements:
            return await conformance.changes(statements)

    async def denials(self, after: int) -> tuple[int, Mapping[str, bytes | None]]:
        async with self._statements() as statements:
            return await consents.denials(statements, after)

    async def registry(self) -> Registry:
        async with self._statements() as statements:
            return await conformance.registry(statements)

    async def versions(self, resource_type: str) -> Mapping[str, int]:
        async with self._statements() as statements:
            return await conformance.versions(statements, resource_type)

    async def contents(self, resource_type: str, ids: Sequence[str]) -> Mapping[str, tuple[int, bytes]]:
        async with self._statements() as statements:
            return await conformance.contents(statements, resource_type, ids)

    async def set_format(self, format: int) -> None:
        async with self._statements() as statements:
            await conformance.set_format(statements, format)

    async def doubt_format(self) -> None:
        async with self._statements() as statements:
            await conformance.doubt_format(statements)

    async def mark_ready(self, parameters: Sequence[tuple[str, int]], format_since: int | None) -> None:
        async with self._statements() as statements:
            await conformance.mark_ready(statements, parameters, format_since)

    async def count_outdated(self, scope: Sequence[Outdated], first_bucket: int) -> Sequence[tuple[int, str, int]]:
        async with self._patient() as statements:
            return await reindexing.count_outdated(statements, scope, first_bucket)

    async def outdated(
        self, scope: Sequence[Outdated], buckets: Sequence[int], after: tuple[int, str, str], limit: int
    ) -> Sequence[Indexed]:
        async with self._statements() as statements:
            return await reindexing.outdated(statements, scope, buckets, after, limit)

    async def has_outdated(self, scope: Outdated) -> bool:
        async with self._patient() as statements:
            return await reindexing.has_outdated(statements, scope)

    async def indexed(self, resource_type: str, id: str) -> Indexed | None:
        async with self._statements() as statements:
            found = await reading.read(statements, resource_type, id, None)
            return await reindexing.indexed(statements, found.bucket, resource_type, id) if found else None

    async def reindex(self, entries: Sequence[Reindexed]) -> int:
        async with self._statements() as statements:
            return await reindexing.reindex(statements, entries)

    async def now(self) -> datetime:
        async with self._statements() as statements:
            return await reindexing.now(statements)

    async def has_older_transactions(self, moment: datetime) -> bool:
        async with self._statements() as statements:
            return await reindexing.has_older_transactions(statements, moment)
