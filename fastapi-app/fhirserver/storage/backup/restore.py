"""Bringing nodes back: their files from the backup, their log up to a point or a moment, and new addresses."""

import asyncio
import os
import shutil
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from fhirserver.storage.backup import programs
from fhirserver.storage.backup.catalog import Backup, BackupError, Catalog, NodeCopy, gap, segments
from fhirserver.storage.backup.create import moment_of
from fhirserver.storage.backup.instance import Place, alone, place, running
from fhirserver.storage.backup.verify import verify

_LOG = "restored-wal"
_PORT = 5432


@dataclass(frozen=True, slots=True)
class Target:
    """What to go back to: a named point, or the last commit until a moment. `archived`: it is past the backup's."""

    point: str | None
    time: datetime | None
    archived: bool

    @property
    def settings(self) -> dict[str, str]:
        """PostgreSQL's, for the recovery."""
        to = {"recovery_target_name": self.point} if self.point else {"recovery_target_time": str(self.time)}
        return {"restore_command": f'cp "{_LOG}/%f" "%p"', **to, "recovery_target_action": "promote"}


def aim(catalog: Catalog, name: str | None, to: str | None) -> tuple[Backup, Target]:
    """The backup to begin with, and where to go from there. `to`: a point, or a time; None: the backup's own point.

    Raises BackupError if the archive doesn't reach that far.
    """
    if to is None:
        backup = catalog.read(name) if name else catalog.newest()
        return backup, Target(backup.point, None, archived=False)
    named = catalog.point(to)
    moment = named or moment_of(to)
    backup = catalog.read(name) if name else catalog.newest(moment)
    if moment < backup.moment:
        raise BackupError(f"{backup.name} is younger than {to}: take one from before {moment.isoformat()}")
    until = catalog.archived_until
    if until is None or until < moment:
        reach = f"reaches to {until.isoformat()}" if until else "was never begun (`fhirserver backup archive`)"
        raise BackupError(f"{to} can't be reached: the archive {reach}")
    return backup, Target(to if named else None, None if named else moment, archived=True)


def put(catalog: Catalog, backup: Backup, node: NodeCopy, target: Target, data: Path) -> None:
    """Put the files of a node into the empty folder `data`, ready to be started: it recovers then.

    Raises BackupError, with nothing left behind.
    """
    if data.exists() and any(data.iterdir()):
        raise BackupError(f"{data} is not empty")
    verify(catalog, backup, node)
    part = data.with_name(f"{data.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        _extract(catalog, backup, node, target, part)
        with (part / "postgresql.auto.conf").open("a") as file:
            for name, value in target.settings.items():
                file.write(f"{name} = '{value}'\n")
        place_of = Place(part, programs.owner())
        place_of.give(part)
        _settle(part, data)
    finally:
        shutil.rmtree(part, ignore_errors=True)


async def recover(
    catalog: Catalog,
    backup: Backup,
    target: Target,
    into: Mapping[str, Path],
    addresses: Mapping[str, str],
    given: Path | None,
) -> None:
    """Bring all nodes back into empty folders (`into`, by the node's folder in the backup), and let them recover here.

    Nodes that will have other addresses (`addresses`, HOST:PORT → HOST:PORT) are told each other's. Raises BackupError,
    with nothing left behind.
    """
    moves = _moves(backup, addresses)
    for data in into.values():
        if data.exists() and any(data.iterdir()):
            raise BackupError(f"{data} is not empty")
    verify(catalog, backup)
    owner = programs.owner()
    parts = {folder: data.with_name(f"{data.name}.part") for folder, data in into.items()}
    try:
        with place(owner) as where:
            async with asyncio.TaskGroup() as group:
                for node in backup.nodes:
                    work = _recover(catalog, backup, node, target, parts[node.folder], where, moves, given)
                    group.create_task(work)
        for folder, data in into.items():
            _settle(parts[folder], data)
    except* BackupError as problems:
        raise problems.exceptions[0] from None
    finally:
        for part in parts.values():
            shutil.rmtree(part, ignore_errors=True)


async def _recover(
    catalog: Catalog,
    backup: Backup,
    node: NodeCopy,
    target: Target,
    part: Path,
    where: Place,
    moves: Sequence[str],
    given: Path | None,
) -> None:
    tools = programs.for_running(given, node.major, node.settings.get("shared_preload_libraries", ""))
    shutil.rmtree(part, ignore_errors=True)
    base = catalog.path(backup) / node.folder / "base"
    await asyncio.to_thread(_extract, catalog, backup, node, target, part)
    checked = [tools.path("pg_verifybackup"), "-n", "-m", str(base / "backup_manifest"), "-i", _LOG, str(part)]
    await programs.run(*checked, environment={})
    await asyncio.to_thread(where.give, part)
    port = _PORT + backup.nodes.index(node)
    async with running(tools, node, part, where, backup.user, port, target.settings):
        pass
    if moves:
        await asyncio.to_thread(alone, tools, node, part, where, backup.database, list(moves))
    shutil.rmtree(part / _LOG)


def _extract(catalog: Catalog, backup: Backup, node: NodeCopy, target: Target, part: Path) -> None:
    part.mkdir(parents=True)
    with tarfile.open(catalog.path(backup) / node.folder / "base" / "base.tar.gz", "r:gz") as archive:
        archive.extractall(part, filter="tar")  # a filter refuses what leads out of the folder  # nosec B202
    (part / "recovery.signal").touch()
    part.chmod(0o700)
    log = part / _LOG
    shutil.copytree(catalog.path(backup) / node.folder / "wal", log)
    if target.archived:
        _add_archived(catalog.archive(node.folder), log, node)


def _add_archived(archive: Path, log: Path, node: NodeCopy) -> None:
    """What of the archive follows the backup; the segment that is written at present too, as far as it goes."""
    for file in archive.iterdir():
        name = file.name.removesuffix(".partial")
        follows = file.suffix == ".history" or name[8:] >= node.first_segment[8:]
        if follows and not (log / name).exists() and not (file.name != name and (archive / name).exists()):
            shutil.copyfile(file, log / name)
    there = segments(log)
    missing = gap(there, node.first_segment, there[-1], node.segment_bytes)
    if missing:
        raise BackupError(f"the archive of {node.host} lacks {missing}")


def _settle(part: Path, data: Path) -> None:
    """Let the folder take its place, for good."""
    if data.exists():
        data.rmdir()
    os.sync()
    part.rename(data)


def _moves(backup: Backup, addresses: Mapping[str, str]) -> list[str]:
    """Statements that tell a node the new addresses of all."""
    statements = []
    for old, new in addresses.items():
        node = backup.node(old)
        host, mark, port = new.rpartition(":")
        if not (mark and host and port.isdigit()):
            raise BackupError(f"{new!r} is no HOST:PORT")
        quoted = host.replace("'", "''")
        statements.append(
            f"UPDATE pg_dist_node SET nodename = '{quoted}', nodeport = {port}"
            f" WHERE nodename = '{node.host}' AND nodeport = {node.port}"
        )
    return statements
