"""What an operator does with a Citus cluster: look at it, let workers join and leave, spread the shards.

https://docs.citusdata.com/en/stable/admin_guide/cluster_management.html. Shards move online, by logical replication:
reads and writes go on. A move that is under way goes on in the database when this program is gone.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg

from fhirserver.fhir.datatypes.ids import home_bucket

_POLL_SECONDS = 0.5
_FINISHED = ("finished", "cancelled", "failed")
_UNDER_WAY = "SELECT max(job_id) FROM pg_dist_background_job WHERE state NOT IN ('finished', 'cancelled', 'failed')"
_NODES = """
    SELECT nodeid, n.nodename, n.nodeport, groupid, shouldhaveshards,
        count(s.shardid) AS shards, coalesce(sum(s.shard_size), 0)::bigint AS bytes
    FROM pg_dist_node AS n LEFT JOIN citus_shards AS s ON (s.nodename, s.nodeport) = (n.nodename, n.nodeport)
    WHERE noderole = 'primary' GROUP BY 1, 2, 3, 4, 5 ORDER BY groupid, n.nodename, n.nodeport
"""
_JOB = """
    SELECT state::text, count(t.task_id) AS total, count(t.task_id) FILTER (WHERE t.status = 'done') AS done,
        max(t.message) FILTER (WHERE t.status = 'error') AS message
    FROM pg_dist_background_job AS j LEFT JOIN pg_dist_background_task AS t USING (job_id)
    WHERE job_id = $1 GROUP BY state
"""


class ClusterError(Exception):
    """What was asked can't be done with this database; the text says why."""


@dataclass(frozen=True, slots=True)
class Node:
    """A node: whether the coordinator reaches it, and the shards on it with their bytes."""

    host: str
    port: int
    is_coordinator: bool
    takes_shards: bool
    is_reachable: bool
    shards: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Shard:
    """A shard of a table, where it is, and its bytes."""

    table: str
    id: int
    host: str
    port: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where a resource is: its bucket, whether a forwarding row led there, the shard and the node."""

    bucket: int
    is_forwarded: bool
    shard: int
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Progress:
    """How many of the moves of a rebalancing are done, and the state of the whole."""

    done: int
    total: int
    state: str


class Cluster:
    """A Citus cluster, through its coordinator."""

    def __init__(self, connection: "asyncpg.Connection[Any]"):
        self._connection = connection

    async def nodes(self) -> list[Node]:
        """All nodes, the coordinator first."""
        rows = await self._connection.fetch(_NODES)
        reachable = dict(
            await self._connection.fetch("SELECT nodeid, success FROM run_command_on_all_nodes('SELECT 1')")
        )
        return [
            Node(
                row["nodename"],
                row["nodeport"],
                row["groupid"] == 0,
                row["shouldhaveshards"],
                bool(reachable.get(row["nodeid"])),
                row["shards"],
                row["bytes"],
            )
            for row in rows
        ]

    async def shards(self) -> list[Shard]:
        """All shards, by table and id."""
        rows = await self._connection.fetch(
            "SELECT table_name::text, shardid, nodename, nodeport, shard_size FROM citus_shards ORDER BY 1, 2, 3, 4"
        )
        return [Shard(*row.values()) for row in rows]

    async def locate(self, resource_type: str, id: str) -> Place:
        """Where a resource is. `ClusterError` if there is none."""
        home = home_bucket(id)
        row = await self._at(home, resource_type, id)
        forwarded = row is not None and row["forward_to"] is not None
        bucket = int(row["forward_to"]) if row is not None and forwarded else home
        if row is None or (forwarded and await self._at(bucket, resource_type, id) is None):
            raise ClusterError(f"{resource_type}/{id} is not known")
        shard = await self._connection.fetchrow(
            "SELECT shardid, nodename, nodeport FROM citus_shards"
            " WHERE shardid = get_shard_id_for_distribution_column('resource', $1::int)",
            bucket,
        )
        return Place(bucket, forwarded, shard["shardid"], shard["nodename"], shard["nodeport"])

    async def _at(self, bucket: int, resource_type: str, id: str) -> Any:
        return await self._connection.fetchrow(
            "SELECT forward_to FROM resource WHERE bucket = $1 AND resource_type = $2 AND id = $3",
            bucket,
            resource_type,
            id,
        )

    async def add_worker(self, host: str, port: int) -> bool:
        """Let a worker join; False if it is there already. It has no shards until they are rebalanced."""
        if await self._is_known(host, port):
            return False
        await self._connection.execute("SELECT citus_add_node($1, $2)", host, port)
        return True

    async def remove_worker(self, host: str, port: int) -> AsyncIterator[Progress]:
        """Move all shards away from a worker, then let it leave. `ClusterError` if it is not known, or the last one."""
        if not await self._is_known(host, port):
            raise ClusterError(f"{host}:{port} is no node of this cluster")
        others = await self._connection.fetchval(
            "SELECT count(*) FROM pg_dist_node WHERE shouldhaveshards AND noderole = 'primary'"
            " AND (nodename, nodeport) <> ($1::text, $2::int)",
            host,
            port,
        )
        if not others:
            raise ClusterError(f"{host}:{port} is the last node that takes shards")
        await self._connection.execute("SELECT citus_set_node_property($1, $2, 'shouldhaveshards', false)", host, port)
        async for progress in self.rebalance(drain_only=True):
            yield progress
        left = await self._connection.fetchval(
            "SELECT count(*) FROM citus_shards"
            " WHERE citus_table_type <> 'reference' AND nodename = $1 AND nodeport = $2",
            host,
            port,
        )
        if left:
            raise ClusterError(f"{left} shards are still on {host}:{port}: it stays")
        await self._connection.execute("SELECT citus_remove_node($1, $2)", host, port)

    async def rebalance(self, *, drain_only: bool = False) -> AsyncIterator[Progress]:
        """Spread the shards evenly over the nodes that take some; what is under way already is followed.

        `ClusterError` if it fails, with what the database says.
        """
        job = await self._connection.fetchval(_UNDER_WAY)
        if job is None:  # and none again if there is nothing to move
            job = await self._connection.fetchval(
                "SELECT citus_rebalance_start(drain_only := $1, shard_transfer_mode := 'auto')", drain_only
            )
        while job is not None:
            row = await self._connection.fetchrow(_JOB, job)
            yield Progress(row["done"], row["total"], row["state"])
            if row["state"] in _FINISHED:
                if row["state"] != "finished":
                    raise ClusterError(f"the rebalancing {row['state']}: {row['message'] or 'no reason is known'}")
                return
            await asyncio.sleep(_POLL_SECONDS)

    async def _is_known(self, host: str, port: int) -> bool:
        return bool(
            await self._connection.fetchval(
                "SELECT count(*) FROM pg_dist_node WHERE nodename = $1 AND nodeport = $2", host, port
            )
        )


@asynccontextmanager
async def cluster(dsn: str) -> AsyncIterator[Cluster]:
    """The cluster whose coordinator is at `dsn`. `ClusterError` without Citus."""
    connection = await asyncpg.connect(dsn, statement_cache_size=0)
    try:
        if not await connection.fetchval("SELECT count(*) FROM pg_extension WHERE extname = 'citus'"):
            raise ClusterError("this database has no Citus: there is no cluster")
        yield Cluster(connection)
    finally:
        await connection.close()


def balance(nodes: Sequence[Node]) -> str:
    """How evenly the shards are spread: the fewest and the most on a node that takes some."""
    counts = [node.shards for node in nodes if node.takes_shards]
    return f"{min(counts)} to {max(counts)} shards a node" if counts else "no node takes shards"
