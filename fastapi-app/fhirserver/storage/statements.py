"""Running named statements on a driver connection, and telling the metrics about each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import asyncpg

Observe = Callable[[str, float], None]


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL with `$n` parameters, and the name it has in metrics."""

    name: str
    sql: str


class Statements:
    """A connection that runs statements. `observe(name, seconds)` is called after each of them."""

    __slots__ = ("_observe", "driver")

    def __init__(self, driver: "asyncpg.Connection[Any]", observe: Observe):
        self.driver = driver
        self._observe = observe

    async def rows(self, statement: Statement, *arguments: Any) -> Sequence[Any]:
        """All rows of the result."""
        start = perf_counter()
        try:
            rows: Sequence[Any] = await self.driver.fetch(statement.sql, *arguments)
            return rows
        finally:
            self._observe(statement.name, perf_counter() - start)

    async def row(self, statement: Statement, *arguments: Any) -> Any:
        """The first row of the result, or None."""
        start = perf_counter()
        try:
            return await self.driver.fetchrow(statement.sql, *arguments)
        finally:
            self._observe(statement.name, perf_counter() - start)

    async def run(self, statement: Statement, *arguments: Any) -> int:
        """Run it for its effect; the number of rows that it changed."""
        start = perf_counter()
        try:
            status: str = await self.driver.execute(statement.sql, *arguments)
        finally:
            self._observe(statement.name, perf_counter() - start)
        count = status.rpartition(" ")[2]
        return int(count) if count.isdigit() else 0

    async def copy(self, name: str, table: str, columns: Sequence[str], records: Sequence[tuple[Any, ...]]) -> None:
        """Add many rows at once by COPY."""
        start = perf_counter()
        try:
            await self.driver.copy_records_to_table(table, columns=columns, records=records)
        finally:
            self._observe(name, perf_counter() - start)

    async def copy_encoded(self, name: str, table: str, columns: Sequence[str], encoded: bytes) -> None:
        """Add many rows at once by COPY, given as `binary_copy.rows`."""
        start = perf_counter()
        try:
            await self.driver.copy_to_table(table, columns=columns, source=memoryview(encoded), format="binary")
        finally:
            self._observe(name, perf_counter() - start)
