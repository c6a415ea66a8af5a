"""The nodes of a database: one PostgreSQL, or a Citus coordinator and its workers; a point common to all of them."""

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg
from sqlalchemy.engine import URL, make_url

from fhirserver.storage.backup.catalog import BackupError

_LOCK_SECONDS = 60
_SETTINGS = (
    "shared_preload_libraries",
    "max_connections",
    "max_prepared_transactions",
    "max_worker_processes",
    "max_wal_senders",
    "max_locks_per_transaction",
)


@dataclass(frozen=True, slots=True)
class Source:
    """How the coordinator, or the only node, is reached: `dsn` as a superuser, and the role that copies."""

    dsn: str
    replication_user: str | None = None
    replication_password: str | None = None


@dataclass(frozen=True, slots=True)
class Node:
    """A node: what it is called, a connection to it, and how PostgreSQL's programs reach it."""

    folder: str
    host: str
    port: int
    connection: "asyncpg.Connection[Any]"
    conninfo: str
    environment: dict[str, str]
    encrypted: bool
    version: int
    segment_bytes: int
    settings: dict[str, str]


@asynccontextmanager
async def nodes_of(source: Source) -> AsyncIterator[Sequence[Node]]:
    """All nodes, the coordinator first, connected within the block. Raises BackupError and the driver's errors."""
    url = make_url(source.dsn)
    async with AsyncExitStack() as stack:
        first = await _connect(stack, url)
        if not await first.fetchval("SELECT rolsuper FROM pg_roles WHERE rolname = current_user"):
            raise BackupError(
                f"{url.username or 'this role'} is no superuser of the database: name one by FHIR_BACKUP__URL"
            )
        found = [await _node(url, first, source)]
        if await first.fetchval("SELECT to_regclass('pg_dist_node') IS NOT NULL"):
            rows = await first.fetch(
                "SELECT nodename, nodeport, groupid FROM pg_dist_node"
                " WHERE noderole = 'primary' AND isactive ORDER BY groupid"
            )
            if any(row["groupid"] == 0 for row in rows):
                row = rows.pop(0)
                found = [await _node(url, first, source, row["nodename"], row["nodeport"])]
            for row in rows:
                there = url.set(host=row["nodename"], port=row["nodeport"]).difference_update_query(("host", "port"))
                node = await _node(there, await _connect(stack, there), source, row["nodename"], row["nodeport"])
                found.append(node)
        yield found


async def _connect(stack: AsyncExitStack, url: URL) -> "asyncpg.Connection[Any]":
    connection = await asyncpg.connect(url.render_as_string(hide_password=False), timeout=30)
    stack.push_async_callback(connection.close, timeout=5)
    return connection


async def _node(
    url: URL, connection: "asyncpg.Connection[Any]", source: Source, host: str | None = None, port: int = 0
) -> Node:
    """A node, by the address that the cluster knows it by; the only node is called by where it listens."""
    if await connection.fetchval("SELECT count(*) FROM pg_tablespace") > 2:
        raise BackupError(f"{host or 'the database'} has tablespaces of its own, which are not copied")
    rows = await connection.fetch("SELECT name, setting FROM pg_settings WHERE name = ANY ($1)", list(_SETTINGS))
    # Its password stays out of the command line. (URL.set would keep that of the superuser.)
    as_user = URL.create(
        url.drivername, source.replication_user or url.username, None, url.host, url.port, url.database, url.query
    )
    password = source.replication_password if source.replication_user else url.password
    host = host or url.host or "localhost"
    return Node(
        folder=re.sub(r"[^A-Za-z0-9.-]", "_", f"{host}-{port}" if port else host),
        host=host,
        port=port,
        connection=connection,
        conninfo=as_user.render_as_string(hide_password=False),
        environment={"PGPASSWORD": password} if password else {},
        encrypted=await connection.fetchval("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"),
        version=int(await connection.fetchval("SHOW server_version_num")),
        segment_bytes=int(await connection.fetchval("SELECT setting FROM pg_settings WHERE name = 'wal_segment_size'")),
        settings={row["name"]: row["setting"] for row in rows},
    )


async def make_point(nodes: Sequence[Node], name: str) -> datetime:
    """Name a point in the log of all nodes at which none has decided on a transaction that another can't know of.

    Citus blocks only what its coordinator decides; a worker that takes writes too is blocked by the lock. Its moment.
    """
    coordinator = nodes[0].connection
    async with AsyncExitStack() as stack:
        for node in nodes[1:]:
            await stack.enter_async_context(node.connection.transaction())
            await node.connection.execute(f"SET LOCAL lock_timeout = '{_LOCK_SECONDS}s'")
            await node.connection.execute("LOCK TABLE pg_dist_transaction IN EXCLUSIVE MODE")
        create = "citus_create_restore_point" if len(nodes) > 1 else "pg_create_restore_point"
        await coordinator.execute(f"SELECT {create}($1)", name)
        moment: datetime = await coordinator.fetchval("SELECT clock_timestamp()")
    return moment


async def finish_segment(node: Node) -> str:
    """Let the segment that is written at present be the last of its kind, so that it is complete; its name."""
    name: str = await node.connection.fetchval("SELECT pg_walfile_name(pg_switch_wal())")
    return name


async def drop_slots(nodes: Sequence[Node], pattern: str) -> None:
    """Drop the replication slots of the pattern that nobody uses: they would keep the log for ever."""
    for node in nodes:
        await node.connection.execute(
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name ~ $1 AND NOT active",
            pattern,
        )
