"""Archiving the log of all nodes for as long as this runs, so that any moment can be gone back to."""

import asyncio
import time
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path

from fhirserver.storage.backup import programs
from fhirserver.storage.backup.catalog import Catalog
from fhirserver.storage.backup.create import received
from fhirserver.storage.backup.nodes import Node, Source, drop_slots, nodes_of
from fhirserver.storage.errors import DRIVER_ERRORS

SLOT = "fhir_archive"
_PAUSE = 5.0  # seconds after which nodes that were away are asked again
_REACH_SECONDS = 60


async def archive(source: Source, catalog: Catalog, given: Path | None, *, seconds: float) -> None:
    """Archive until cancelled; every `seconds` it is noted how far all nodes are. Nodes that join are taken in."""
    while True:
        try:
            await _archive(source, catalog, given, seconds)
        except* DRIVER_ERRORS as problem:
            reason = str(problem.exceptions[0]) or "their log does not come in time"
            print(f"archiving waits for the nodes: {reason}", flush=True)
            await asyncio.sleep(_PAUSE)


async def _archive(source: Source, catalog: Catalog, given: Path | None, seconds: float) -> None:
    """As long as the nodes are the same, and all can be reached."""
    async with nodes_of(source) as nodes, AsyncExitStack() as receivers:
        tools = programs.for_copying(
            given, max(node.version for node in nodes) // 10000, encrypted=any(node.encrypted for node in nodes)
        )
        for node in nodes:
            await receivers.enter_async_context(received(tools, node, catalog.archive(node.folder), SLOT))
        known = {(node.host, node.port) for node in nodes}
        while True:
            begin = time.monotonic()
            moment: datetime = await nodes[0].connection.fetchval("SELECT clock_timestamp()")
            async with asyncio.timeout(_REACH_SECONDS):
                for node in nodes:
                    await _reaches(node)
            catalog.archived_until = moment
            await asyncio.sleep(max(0.0, seconds - (time.monotonic() - begin)))
            async with nodes_of(source) as now:
                if {(node.host, node.port) for node in now} != known:
                    return


async def _reaches(node: Node) -> None:
    """Wait until all that was written so far is archived; after a commit, as a time is only met by one after it."""
    await node.connection.execute("SELECT pg_current_xact_id()")
    place = await node.connection.fetchval("SELECT pg_current_wal_lsn()")
    reached = (
        "SELECT count(*) FROM pg_stat_replication r JOIN pg_replication_slots s ON s.active_pid = r.pid"
        " WHERE s.slot_name = $1 AND r.flush_lsn >= $2"
    )
    while not await node.connection.fetchval(reached, SLOT, place):  # noqa: ASYNC110
        await asyncio.sleep(0.1)


async def forget(source: Source) -> None:
    """Let the nodes no longer keep their log for an archive that ended."""
    async with nodes_of(source) as nodes:
        await drop_slots(nodes, f"^{SLOT}$")
