"""The folder of backups: what is in it, and what of it may go.

FOLDER/20261125T093000Z/backup.json      what the backup is, with the SHA-256 of each file
FOLDER/20261125T093000Z/NODE/base/       base.tar.gz and PostgreSQL's own manifest
FOLDER/20261125T093000Z/NODE/wal/        the write-ahead log up to the point that all nodes have in common
FOLDER/wal/NODE/                         the write-ahead log since then, where `backup archive` runs
"""

import fcntl
import hashlib
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

NAME = re.compile(r"\d{8}T\d{6}Z")
SEGMENT = re.compile(r"[0-9A-F]{24}")
_ARCHIVE, _UNTIL, _POINTS = "wal", "archived.json", "points"
_MANIFEST = "backup.json"


class BackupError(Exception):
    """A backup can't be made, read or brought back; the message says why and what to do."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class NodeCopy(_Frozen):
    """The copy of a node. `first_segment` … `last_segment` of its write-ahead log lead to the common point."""

    folder: str
    host: str
    port: int
    version: int
    segment_bytes: int
    first_segment: str
    last_segment: str
    settings: dict[str, str]

    def is_called(self, name: str) -> bool:
        """Whether somebody who says `name` means this node: HOST, HOST:PORT or the folder."""
        return name in (self.folder, self.host, f"{self.host}:{self.port}")

    @property
    def major(self) -> int:
        """The version of PostgreSQL whose programs can run it."""
        return self.version // 10000


class File(_Frozen):
    """A file of a backup."""

    bytes: int
    sha256: str


class Backup(_Frozen):
    """What `backup.json` says. `moment`: when the common point was made. `user`: a superuser of the database."""

    format: int = 1
    name: str
    moment: datetime
    point: str
    schema_revision: str | None
    database: str
    user: str
    nodes: tuple[NodeCopy, ...]
    files: dict[str, File]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.bytes for file in self.files.values())

    def node(self, name: str) -> NodeCopy:
        """The node that is called so. Raises BackupError."""
        found = [node for node in self.nodes if node.is_called(name)]
        if len(found) != 1:
            known = ", ".join(f"{node.host}:{node.port}" for node in self.nodes)
            raise BackupError(f"{self.name} has {'no' if not found else 'several'} node {name}; it has {known}")
        return found[0]


class _Archived(_Frozen):
    until: datetime


class Catalog:
    """The backups of a folder."""

    def __init__(self, folder: Path):
        self.folder = folder.absolute()

    def path(self, backup: Backup | str) -> Path:
        """The folder of a backup."""
        return self.folder / (backup if isinstance(backup, str) else backup.name)

    def names(self) -> list[str]:
        """The backups that are whole, oldest first."""
        if not self.folder.is_dir():
            return []
        entries = (entry for entry in self.folder.iterdir() if NAME.fullmatch(entry.name))
        return sorted(entry.name for entry in entries if (entry / _MANIFEST).is_file())

    def read(self, name: str) -> Backup:
        """A backup by its name. Raises BackupError."""
        if name not in self.names():
            raise BackupError(f"{self.folder} has no backup {name}")
        try:
            return Backup.model_validate_json((self.path(name) / _MANIFEST).read_bytes())
        except (ValidationError, OSError) as error:
            raise BackupError(f"{self.path(name) / _MANIFEST} can't be read: {error}") from error

    def newest(self, before: datetime | None = None) -> Backup:
        """The newest backup, or the newest whose point lies before a moment. Raises BackupError."""
        for name in reversed(self.names()):
            backup = self.read(name)
            if before is None or backup.moment <= before:
                return backup
        when = f" from before {before.isoformat()}" if before is not None else ""
        raise BackupError(f"{self.folder} has no backup{when}")

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Within the block nobody else makes or deletes backups here. Raises BackupError if somebody does."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            file = (self.folder / "lock").open("w")
        except OSError as error:
            raise BackupError(f"{self.folder} can't be written: {error}") from error
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise BackupError(f"another backup into {self.folder} is under way") from None
            yield

    def archive(self, node: str) -> Path:
        """Where the write-ahead log of a node goes that is archived all the time."""
        return self.folder / _ARCHIVE / node

    @property
    def archived_until(self) -> datetime | None:
        """Up to when the write-ahead log of all nodes is archived."""
        file = self.folder / _ARCHIVE / _UNTIL
        return _Archived.model_validate_json(file.read_bytes()).until if file.exists() else None

    @archived_until.setter
    def archived_until(self, moment: datetime) -> None:
        write(self.folder / _ARCHIVE / _UNTIL, _Archived(until=moment).model_dump_json())

    def point(self, name: str) -> datetime | None:
        """When a named point was made; None if there is none of the name."""
        file = self.folder / _POINTS / name
        return datetime.fromisoformat(file.read_text()) if file.exists() else None

    def add_point(self, name: str, moment: datetime) -> None:
        """Remember a named point."""
        (self.folder / _POINTS).mkdir(parents=True, exist_ok=True)
        write(self.folder / _POINTS / name, moment.isoformat())

    def complete(self, made: Path, backup: Backup) -> None:
        """Let a backup whose files are in the folder `made` be one, at once and for good."""
        write(made / _MANIFEST, backup.model_dump_json(indent=1))
        for entry in made.rglob("*"):
            _to_disk(entry)
        _to_disk(made)
        made.rename(self.path(backup))
        _to_disk(self.folder)

    def prune(self, keep: int) -> list[str]:
        """Delete all but the newest `keep` backups, and what of the archive no backup leads to; their names."""
        names = self.names()
        gone = names[:-keep]
        for name in gone:
            doomed = self.path(name).with_suffix(".gone")
            self.path(name).rename(doomed)
            shutil.rmtree(doomed)
        for rest in (*self.folder.glob("*.part"), *self.folder.glob("*.gone")):
            shutil.rmtree(rest)
        if len(names) > len(gone):
            for node in self.read(names[len(gone)]).nodes:
                for segment in segments(self.archive(node.folder)):
                    if segment[8:] < node.first_segment[8:]:
                        (self.archive(node.folder) / segment).unlink()
        return gone


def new_name() -> str:
    """The name of a backup that begins now."""
    return datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")


def files_of(folder: Path) -> dict[str, File]:
    """All files of a folder but the manifest, by their path in it."""
    return {
        str(path.relative_to(folder)): File(bytes=path.stat().st_size, sha256=sha256(path))
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path != folder / _MANIFEST
    }


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def segments(folder: Path) -> list[str]:
    """The complete segments of write-ahead log in a folder, in order of their place in the log."""
    if not folder.is_dir():
        return []
    names = (entry.name for entry in folder.iterdir() if SEGMENT.fullmatch(entry.name))
    return sorted(names, key=lambda name: name[8:])


def segment_of(timeline: int, lsn: int, segment_bytes: int) -> str:
    """The name of the segment that holds a place of the log."""
    number, per_id = lsn // segment_bytes, (1 << 32) // segment_bytes
    return f"{timeline:08X}{number // per_id:08X}{number % per_id:08X}"


def gap(names: Iterable[str], first: str, last: str, segment_bytes: int) -> str | None:
    """The first segment that is missing between two; None if all are there, of whatever timeline."""
    per_id = (1 << 32) // segment_bytes
    there = {_number(name, per_id) for name in names}
    for number in range(_number(first, per_id), _number(last, per_id) + 1):
        if number not in there:
            return f"{first[:8]}{number // per_id:08X}{number % per_id:08X}"
    return None


def _number(segment: str, per_id: int) -> int:
    return int(segment[8:16], 16) * per_id + int(segment[16:], 16)


def write(file: Path, text: str) -> None:
    """Write a file so that there is never half of it."""
    part = file.with_name(f"{file.name}.new")
    part.write_text(text)
    _to_disk(part)
    part.rename(file)


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def described(nodes: Sequence[NodeCopy]) -> str:
    """The nodes of a backup, for people."""
    return ", ".join(f"{node.host}:{node.port}" if node.port else node.host for node in nodes)
