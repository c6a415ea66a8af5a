"""Where the buckets of a Citus cluster are, and which nodes don't answer.

A statement for a node that is cut off holds its connection until the network gives up, and a few of those would hold
all. So a node gets a part of a process's connections only; when it is known that it doesn't answer, those that wait for
it are given up, and who asks for what is there is told at once, until it answers again.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass
from typing import Any

import asyncpg

from fhirserver.fhir.outcomes import FhirError, Unavailable
from fhirserver.storage.engine import Pool
from fhirserver.storage.errors import NothingDone

_INTERVAL, _INTERVAL_WHILE_AWAY = 3.0, 0.25  # seconds
_SPARE = 2  # connections that no node may have alone
_IS_CLUSTER = "SELECT count(*) FROM pg_extension WHERE extname = 'citus'"
_AWAY = "SELECT nodename, nodeport FROM run_command_on_workers('SELECT 1') WHERE NOT success ORDER BY 1, 2"
# What it says of nodes and shards is another text when something has moved.
_LAYOUT = """
    SELECT (SELECT md5(string_agg(concat_ws(' ', shardid, groupid), ',' ORDER BY shardid)) FROM pg_dist_placement)
        || (SELECT md5(string_agg(concat_ws(' ', groupid, nodename, nodeport), ',' ORDER BY nodeid)) FROM pg_dist_node)
"""
_PLACES = """
    WITH places AS MATERIALIZED
        (SELECT b, get_shard_id_for_distribution_column('resource', b) AS shardid FROM generate_series(0, 4095) AS b)
    SELECT nodename, nodeport, groupid, array_agg(b) AS buckets
    FROM places JOIN pg_dist_placement USING (shardid) JOIN pg_dist_node AS n USING (groupid)
    WHERE noderole = 'primary' GROUP BY 1, 2, 3
"""


@dataclass(frozen=True, slots=True)
class _Away:
    """Nodes that don't answer, as `host:port`, and the buckets that are on them."""

    nodes: Sequence[str] = ()
    buckets: frozenset[int] = frozenset()


@dataclass(eq=False, slots=True)
class Visit:
    """A connection that is lent out, and the buckets that it works on at present (None: any)."""

    driver: "asyncpg.Connection[Any]"
    buckets: Collection[int] | None = ()


class Nodes:
    """What is known of the nodes, as long as `follow` runs; without it, all are taken to answer.

    It asks by `pool`; those that it looks after have `connections` together, and wait for one for `timeout` seconds.
    """

    def __init__(self, pool: Pool, connections: int, timeout: float):
        self._pool, self._timeout = pool, timeout
        self._each = max(connections - _SPARE, 1)
        self._known = _Away()
        self._turns: dict[str, asyncio.Semaphore] = {}
        self._places: dict[int | None, asyncio.Semaphore] = {}
        self._groups: dict[int | None, int] = {}
        self._layout: str | None = None
        self._visits: set[Visit] = set()
        self._doubted = asyncio.Event()

    @property
    def away(self) -> Sequence[str]:
        """The nodes that don't answer, as `host:port`."""
        return self._known.nodes

    def require(self, buckets: Collection[int] | None) -> None:
        """Raises `NothingDone` if one of these buckets (None: any) is on a node that doesn't answer."""
        away = self._known.buckets
        if away and (buckets is None or not away.isdisjoint(buckets)):
            raise NothingDone("a part of the database can't be reached")

    def reaches(self, bucket: int) -> bool:
        """Whether a bucket is on a node that answers, as far as that is known."""
        return bucket not in self._known.buckets

    def group(self, bucket: int | None) -> int | None:
        """The group of the node that a bucket is on, as far as that is known: 0 is that of the coordinator.

        After a move it is the former one for a few seconds.
        """
        return self._groups.get(bucket)

    def turn(self, bucket: int | None) -> AbstractAsyncContextManager[None]:
        """Waits until the node that a bucket is on (None: nobody knows) has connections left, and takes one of them
        for the block. Raises `Unavailable` if it has none for too long."""
        node = self._places.get(bucket)
        return nullcontext() if node is None else self._turn(node)

    @asynccontextmanager
    async def _turn(self, node: asyncio.Semaphore) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._timeout):
                await node.acquire()
        except TimeoutError as error:
            raise Unavailable("the database is too busy") from error
        try:
            yield
        finally:
            node.release()

    def enter(self, visit: Visit) -> None:
        """A connection is lent out."""
        self._visits.add(visit)

    def leave(self, visit: Visit) -> None:
        """It was given back."""
        self._visits.discard(visit)

    def doubt(self) -> None:
        """Look at once: a statement could not reach a node."""
        self._doubted.set()

    async def follow(self) -> None:
        """Look again and again; never ends, unless this is no cluster."""
        while True:
            with suppress(FhirError):  # the coordinator itself is away: who asks hears of it
                if not await self.look():
                    return
            await self._pause()

    async def look(self) -> bool:
        """Look once; False if this is no cluster."""
        async with self._pool.connection() as driver:
            if not await driver.fetchval(_IS_CLUSTER):
                return False
            away = [f"{row['nodename']}:{row['nodeport']}" for row in await driver.fetch(_AWAY)]
            layout = await driver.fetchval(_LAYOUT)
            if away or self._known.nodes or layout != self._layout:
                self._learn(away, await driver.fetch(_PLACES))
                self._layout = layout
        return True

    def _learn(self, away: Sequence[str], places: Sequence[Any]) -> None:
        buckets = {f"{row['nodename']}:{row['nodeport']}": row["buckets"] for row in places}
        self._known = _Away(away, frozenset(bucket for node in away for bucket in buckets.get(node, ())))
        self._turns = {node: self._turns.get(node) or asyncio.Semaphore(self._each) for node in buckets}
        self._places = {bucket: self._turns[node] for node, there in buckets.items() for bucket in there}
        self._groups = {bucket: row["groupid"] for row in places for bucket in row["buckets"]}
        for visit in self._visits if away else ():
            if visit.buckets is None or not self._known.buckets.isdisjoint(visit.buckets):
                visit.driver.terminate()

    async def _pause(self) -> None:
        if self.away:
            await asyncio.sleep(_INTERVAL_WHILE_AWAY)
            return
        self._doubted.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(_INTERVAL):
                await self._doubted.wait()
