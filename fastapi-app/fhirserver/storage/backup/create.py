"""Making a backup: base backups of all nodes at once, and their log up to a common point."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from pathlib import Path

from sqlalchemy.engine import make_url

from fhirserver.storage.backup import programs
from fhirserver.storage.backup.catalog import Backup, BackupError, Catalog, NodeCopy, files_of, new_name, segment_of
from fhirserver.storage.backup.nodes import Node, Source, drop_slots, finish_segment, make_point, nodes_of

_SLOT = "fhir_backup_"
_LOG_SECONDS = 300  # for the rest of the log to come


async def create(source: Source, catalog: Catalog, given: Path | None) -> Backup:
    """A new backup; `given`: the folder of PostgreSQL's programs. Writes go on meanwhile. Raises BackupError."""
    with catalog.alone():
        async with nodes_of(source) as nodes:
            await drop_slots(nodes, f"^{_SLOT}")  # of a backup that was interrupted
            name = new_name()
            made = catalog.folder / f"{name}.part"
            shutil.rmtree(made, ignore_errors=True)
            try:
                return await _create(source, nodes, catalog, made, name, given)
            finally:
                shutil.rmtree(made, ignore_errors=True)


async def _create(
    source: Source, nodes: Sequence[Node], catalog: Catalog, made: Path, name: str, given: Path | None
) -> Backup:
    tools = programs.for_copying(
        given, max(node.version for node in nodes) // 10000, encrypted=any(node.encrypted for node in nodes)
    )
    async with AsyncExitStack() as receivers:
        for node in nodes:
            into = received(tools, node, made / node.folder / "wal", f"{_SLOT}{name.lower()}")
            await receivers.enter_async_context(into)
        try:
            async with asyncio.TaskGroup() as group:
                for node in nodes:
                    group.create_task(_copy(tools, node, made / node.folder / "base"))
        except* BackupError as problems:
            raise problems.exceptions[0] from None
        moment = await make_point(nodes, name)
        last = [await finish_segment(node) for node in nodes]
        for node, segment in zip(nodes, last, strict=True):
            await _came(made / node.folder / "wal" / segment, node)
    await drop_slots(nodes, f"^{_SLOT}")
    _drop_partial(made)
    coordinator = nodes[0].connection
    has_schema = await coordinator.fetchval("SELECT to_regclass('alembic_version') IS NOT NULL")
    backup = Backup(
        name=name,
        moment=moment,
        point=name,
        schema_revision=await coordinator.fetchval("SELECT version_num FROM alembic_version") if has_schema else None,
        database=await coordinator.fetchval("SELECT current_database()"),
        user=make_url(source.dsn).username or await coordinator.fetchval("SELECT current_user"),
        nodes=tuple(_described(node, made, segment) for node, segment in zip(nodes, last, strict=True)),
        files=await asyncio.to_thread(files_of, made),
    )
    await asyncio.to_thread(catalog.complete, made, backup)
    return backup


def _drop_partial(made: Path) -> None:
    for part in made.rglob("*.partial"):
        part.unlink()


async def _came(segment: Path, node: Node) -> None:
    try:
        async with asyncio.timeout(_LOG_SECONDS):
            while not segment.exists():  # noqa: ASYNC110, ASYNC240
                await asyncio.sleep(0.2)
    except TimeoutError:
        raise BackupError(f"the write-ahead log of {node.host} did not come: is its role allowed to copy?") from None


async def _copy(tools: programs.Programs, node: Node, folder: Path) -> None:
    os.makedirs(folder)
    await programs.run(
        tools.path("pg_basebackup"), "-d", node.conninfo, "-w", "-D", str(folder), "-X", "none", "-c", "fast",
        "-F", "tar", "-z", "--manifest-checksums=SHA256", environment=node.environment,
    )  # fmt: skip


def _described(node: Node, made: Path, last: str) -> NodeCopy:
    manifest = json.loads((made / node.folder / "base" / "backup_manifest").read_bytes())
    begin = manifest["WAL-Ranges"][0]
    high, low = (int(part, 16) for part in begin["Start-LSN"].split("/"))
    return NodeCopy(
        folder=node.folder,
        host=node.host,
        port=node.port,
        version=node.version,
        segment_bytes=node.segment_bytes,
        first_segment=segment_of(begin["Timeline"], (high << 32) + low, node.segment_bytes),
        last_segment=last,
        settings=node.settings,
    )


@asynccontextmanager
async def received(tools: programs.Programs, node: Node, folder: Path, slot: str) -> AsyncIterator[None]:
    """The log of a node comes into the folder within the block. What was lost by a break is fetched again."""
    os.makedirs(folder, exist_ok=True)
    await node.connection.execute(
        "SELECT pg_create_physical_replication_slot($1, true)"
        " WHERE NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = $1)",
        slot,
    )
    process = await asyncio.create_subprocess_exec(
        tools.path("pg_receivewal"), "-d", node.conninfo, "-w", "-S", slot, "-D", str(folder), "--synchronous",
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={**os.environ, **node.environment}, preexec_fn=programs.end_with_parent,
    )  # fmt: skip
    try:
        yield
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
        await process.wait()


def moment_of(text: str) -> datetime:
    """The instant that somebody wrote, with its time zone. Raises BackupError."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BackupError(f"{text!r} is no time such as 2026-11-25T09:30:00Z") from None
    if moment.tzinfo is None:
        raise BackupError(f"{text!r} has no time zone: write 2026-11-25T09:30:00Z or …+01:00")
    return moment
