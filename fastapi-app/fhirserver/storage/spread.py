"""Queries spread over the nodes of a cluster, each of which can answer all (decisions/0015).

What is about one bucket is asked of the node that has it, which answers without another one. A node that does not
answer is left out until it answers again. What has to be on the coordinator asks its pool.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from random import random
from typing import Any

import asyncpg
from sqlalchemy.engine import make_url
from sqlalchemy.exc import TimeoutError as PoolTimeout

from fhirserver.fhir.outcomes import FhirError, Unavailable
from fhirserver.storage.engine import Pool

_LOOK_SECONDS = 5.0
_FIND = (
    "SELECT nodename, nodeport FROM pg_dist_node WHERE groupid <> 0 AND noderole = 'primary' AND isactive"
    " AND hasmetadata AND metadatasynced"
)
_IS_NODE = "SELECT to_regclass('pg_dist_local_group') IS NOT NULL"
_GROUP = "SELECT groupid FROM pg_dist_local_group"
COORDINATOR_GROUP = 0


class _Node:
    """A node besides the coordinator: its pool, its group as it tells itself, and whether it is away."""

    __slots__ = ("group", "is_away", "pool")

    def __init__(self, pool: Pool):
        self.pool = pool
        self.group: int | None = None
        self.is_away = False


class Spread:
    """The coordinator's pool, and one for each of the other nodes.

    `find` gives their DSNs, and is asked again and again, so that nodes come and go; `open_pool` makes a pool for one.
    """

    def __init__(
        self, coordinator: Pool, find: Callable[[], Awaitable[Sequence[str]]], open_pool: Callable[[str], Pool]
    ):
        self._coordinator = coordinator
        self._find = find
        self._open_pool = open_pool
        self._nodes: dict[str, _Node] = {}
        self._doubted = asyncio.Event()

    def connection(self, group: int | None = None) -> "SpreadLent":
        """A connection for the time of an `async with` block: to the node of this group if it can be had, else to any.

        One block is on one node.
        """
        return SpreadLent(self, group)

    def choose(self, group: int | None = None) -> _Node | None:
        """The node of this group; where it is away or not known, the one with the most free connections. None: the
        coordinator."""
        if group == COORDINATOR_GROUP:
            return None
        for node in self._nodes.values():
            if group is not None and node.group == group and not node.is_away:
                return node
        best, most = None, _free(self._coordinator)
        for node in self._nodes.values():
            if not node.is_away and (free := _free(node.pool)) > most:
                best, most = node, free
        return best

    @property
    def coordinator(self) -> Pool:
        """The pool of the coordinator."""
        return self._coordinator

    def in_use(self) -> tuple[int, int]:
        """How many connections are lent out, of all nodes, and how many there may be."""
        counts = [self._coordinator.in_use(), *(node.pool.in_use() for node in self._nodes.values())]
        return sum(lent for lent, _ in counts), sum(size for _, size in counts)

    def nodes(self) -> Mapping[str, bool]:
        """The other nodes, by DSN: whether they are asked at present."""
        return {dsn: not node.is_away for dsn, node in self._nodes.items()}

    async def follow(self) -> None:
        """Look for nodes that come, go and return, until cancelled."""
        while True:
            await self.look()
            self._doubted.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_SECONDS):
                    await self._doubted.wait()

    def leave_out(self, node: _Node) -> None:
        """Don't ask a node until it is known that it answers, which is looked for at once."""
        node.is_away = True
        self._doubted.set()

    async def look(self) -> None:
        """Look for nodes once."""
        try:
            found = await self._find()
        except FhirError:  # the coordinator is away: what is known stays
            found = list(self._nodes)
        for gone in self._nodes.keys() - set(found):
            await self._nodes.pop(gone).pool.close()
        for dsn in found:
            if dsn not in self._nodes:
                self._nodes[dsn] = _Node(self._open_pool(dsn))
                self._nodes[dsn].is_away = True
        await asyncio.gather(*(self._ask(node) for node in self._nodes.values() if node.is_away))

    async def _ask(self, node: _Node) -> None:
        try:
            async with node.pool.connection() as driver:
                if await driver.fetchval(_IS_NODE):
                    node.group = await driver.fetchval(_GROUP)
        except FhirError:
            return
        node.is_away = False

    async def close(self) -> None:
        """Close the connections to the other nodes."""
        for node in self._nodes.values():
            await node.pool.close()


def _free(pool: Pool) -> float:
    lent, size = pool.in_use()
    return size - lent + random()  # noqa: S311  Among equals any


class SpreadLent:
    """Takes a connection to a node and gives it back; another node, if the first can't be reached."""

    __slots__ = ("_group", "_lent", "_node", "_spread")

    def __init__(self, spread: Spread, group: int | None = None):
        self._spread, self._group = spread, group

    async def __aenter__(self) -> "asyncpg.Connection[Any]":
        self._node: _Node | None
        while (node := self._spread.choose(self._group)) is not None:
            self._node, self._lent = node, node.pool.connection()
            try:
                return await self._lent.__aenter__()
            except Unavailable as error:
                if isinstance(error.__cause__, PoolTimeout):
                    raise
                self._spread.leave_out(node)
        self._node, self._lent = None, self._spread.coordinator.connection()
        return await self._lent.__aenter__()

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if self._node is not None and error is not None and self._lent.is_lost():
            self._spread.leave_out(self._node)
        await self._lent.__aexit__(kind, error, trace)


def workers_of(coordinator: Pool, dsn: str) -> Callable[[], Awaitable[Sequence[str]]]:
    """What finds the DSNs of all workers that know what the coordinator knows; none without Citus."""
    url = make_url(dsn)

    async def find() -> Sequence[str]:
        async with coordinator.connection() as driver:
            if not await driver.fetchval("SELECT to_regclass('pg_dist_node') IS NOT NULL"):
                return []
            rows = await driver.fetch(_FIND)
        there = url.difference_update_query(("host", "port"))
        return [
            there.set(host=row["nodename"], port=row["nodeport"]).render_as_string(hide_password=False) for row in rows
        ]

    return find


def listed(dsns: Sequence[str]) -> Callable[[], Awaitable[Sequence[str]]]:
    """What finds the nodes that the settings list."""

    async def find() -> Sequence[str]:
        return dsns

    return find
