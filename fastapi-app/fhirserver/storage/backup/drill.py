"""A restore that is tried out: the nodes of a backup run beside the living ones, and are counted and hashed."""

import os
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg

from fhirserver.storage.backup import programs
from fhirserver.storage.backup.catalog import Backup, BackupError, Catalog
from fhirserver.storage.backup.instance import place, running
from fhirserver.storage.backup.restore import Target, aim, recover

_PORT = 5432
_STILL_UNDER_WAY = timedelta(seconds=60)  # what got its instant before the point, and was committed after it
_DECIDE = "SELECT run_command_on_all_nodes('SELECT recover_prepared_transactions()')"
_CENSUS = """
SELECT resource_type, count(*) AS versions,
       sum(('x' || left(md5(
           concat_ws('/', id, version_id, extract(epoch FROM last_updated), deleted, content::text)
       ), 15))::bit(60)::bigint) AS digest
FROM {versions} AND last_updated <= $1 GROUP BY resource_type
"""


@dataclass(frozen=True, slots=True)
class Counted:
    """How many versions there are, and a digest of all they say, in whatever order."""

    versions: int
    digest: int


@dataclass(frozen=True, slots=True)
class Drill:
    """What a drill found: all versions of the restored, by type; and whether the living database has the same."""

    restored: Mapping[str, Counted]
    compared_until: datetime | None


async def census(connection: "asyncpg.Connection[Any]", until: datetime) -> dict[str, Counted]:
    """All versions of resources from until a moment, by type. They never change, wherever they are kept."""
    found: dict[str, Counted] = {}
    for versions in ("resource WHERE forward_to IS NULL", "resource_history WHERE true"):
        for row in await connection.fetch(_CENSUS.format(versions=versions), until):
            before = found.get(row["resource_type"], Counted(0, 0))
            found[row["resource_type"]] = Counted(before.versions + row["versions"], before.digest + int(row["digest"]))
    return found


@asynccontextmanager
async def restored(
    catalog: Catalog, backup: Backup, target: Target, given: Path | None, folder: Path | None
) -> AsyncIterator["asyncpg.Connection[Any]"]:
    """A connection to the database as it was, whose nodes run within the block, and know only each other.

    Raises BackupError.
    """
    owner = programs.owner()
    with (
        tempfile.TemporaryDirectory(prefix="fhirserver-drill-", dir=folder) as scratch,
        place(owner) as where,
    ):
        os.chmod(scratch, 0o755)  # noqa: S103  The owner has to get in; what is in it is for nobody else.  # nosec B103
        into = {node.folder: Path(scratch) / node.folder for node in backup.nodes}
        ports = {node.folder: _PORT + i for i, node in enumerate(backup.nodes)}
        addresses = {f"{node.host}:{node.port}": f"{where.folder}:{ports[node.folder]}" for node in backup.nodes}
        await recover(catalog, backup, target, into, addresses if len(backup.nodes) > 1 else {}, given)
        async with AsyncExitStack() as nodes:
            for node in backup.nodes:
                libraries = node.settings.get("shared_preload_libraries", "")
                tools = programs.for_running(given, node.major, libraries)
                citus = {"citus.node_conninfo": "sslmode=disable"} if "citus" in libraries else {}
                run = running(tools, node, into[node.folder], where, backup.user, ports[node.folder], citus)
                await nodes.enter_async_context(run)
            connection = await asyncpg.connect(
                host=str(where.folder), port=_PORT, user=backup.user, database=backup.database
            )
            nodes.push_async_callback(connection.close)
            if len(backup.nodes) > 1:
                # Each node decides on what it began; they would by themselves, within a minute.
                await connection.execute(_DECIDE)
            yield connection


async def drill(
    catalog: Catalog, name: str | None, given: Path | None, living: str | None, folder: Path | None
) -> Drill:
    """Restore a backup into a folder that is gone afterwards, and compare it with the database at the DSN `living`.

    Raises BackupError if they differ in what was written a minute before the backup's point, or earlier.
    """
    backup, target = aim(catalog, name, None)
    async with restored(catalog, backup, target, given, folder) as connection:
        found = await census(connection, backup.moment)
        if living is None:
            return Drill(found, None)
        until = backup.moment - _STILL_UNDER_WAY
        await _compare(backup, await census(connection, until), living, until)
        return Drill(found, until)


async def _compare(backup: Backup, restored: Mapping[str, Counted], living: str, until: datetime) -> None:
    connection = await asyncpg.connect(living)
    try:
        there = await census(connection, until)
    finally:
        await connection.close()
    differ = sorted(kind for kind in there.keys() | restored.keys() if there.get(kind) != restored.get(kind))
    if differ:
        raise BackupError(f"{backup.name}, restored, differs from the database in {', '.join(differ)}")
