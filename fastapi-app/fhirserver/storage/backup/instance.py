"""Running a restored node by itself: reachable over a socket that only its owner can enter, and by no network."""

import asyncio
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg

from fhirserver.storage.backup.catalog import BackupError, NodeCopy
from fhirserver.storage.backup.programs import Programs

_NOT_YET = (ConnectionError, FileNotFoundError, asyncpg.CannotConnectNowError)


@dataclass(frozen=True, slots=True)
class Place:
    """A folder for sockets and logs, and the account that owns it (None: this process's)."""

    folder: Path
    owner: pwd.struct_passwd | None

    def give(self, path: Path) -> None:
        """Let all of `path` belong to the owner."""
        if self.owner is not None:
            for each in (path, *path.rglob("*")):
                os.chown(each, self.owner.pw_uid, self.owner.pw_gid, follow_symlinks=False)

    @property
    def identity(self) -> dict[str, Any]:
        """Arguments that start a program as the owner."""
        if self.owner is None:
            return {}
        return {"user": self.owner.pw_uid, "group": self.owner.pw_gid, "extra_groups": []}


@contextmanager
def place(owner: pwd.struct_passwd | None) -> Iterator[Place]:
    """A place that is gone after the block."""
    folder = Path(tempfile.mkdtemp(prefix="fhirserver-"))
    try:
        (folder / "pg_hba.conf").write_text("local all all trust\n")
        for empty in ("postgresql.conf", "pg_ident.conf"):
            (folder / empty).touch()
        made = Place(folder, owner)
        made.give(folder)
        yield made
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def command(
    tools: Programs, node: NodeCopy, data: Path, where: Place, more: Mapping[str, str], *mode: str
) -> list[str]:
    """What runs the node, whatever configuration the folder of its data or /etc has."""
    settings = {
        **node.settings,
        "config_file": f"{where.folder}/postgresql.conf",
        "hba_file": f"{where.folder}/pg_hba.conf",
        "ident_file": f"{where.folder}/pg_ident.conf",
        "external_pid_file": "",
        "ssl": "off",
        "archive_mode": "off",
        "listen_addresses": "",
        "unix_socket_directories": str(where.folder),
        "logging_collector": "off",
        "log_destination": "stderr",
        **more,
    }
    return [
        tools.path("postgres"), *mode, "-D", str(data),
        *(part for name, value in settings.items() for part in ("-c", f"{name}={value}")),
    ]  # fmt: skip


@asynccontextmanager
async def running(
    tools: Programs, node: NodeCopy, data: Path, where: Place, user: str, port: int, more: Mapping[str, str]
) -> AsyncIterator[None]:
    """The node runs within the block, from when it has recovered. Raises BackupError if it doesn't start."""
    log = where.folder / f"{port}.log"
    with log.open("w") as output:
        process = await asyncio.create_subprocess_exec(
            *command(tools, node, data, where, {"port": str(port), "hot_standby": "off", **more}),
            stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd="/", **where.identity,
        )  # fmt: skip
    try:
        while not await _accepts(where, user, port):
            if process.returncode is not None:
                raise BackupError(f"{node.host} can't be recovered: {_reason(log)}")
            await asyncio.sleep(0.1)
        yield
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
        await process.wait()


async def _accepts(where: Place, user: str, port: int) -> bool:
    """Whether it takes connections, to a database without Citus, whose daemon would ask the other nodes at once."""
    with suppress(*_NOT_YET):
        connection = await asyncpg.connect(host=str(where.folder), port=port, user=user, database="postgres")
        await connection.close()
        return True
    return False


def alone(tools: Programs, node: NodeCopy, data: Path, where: Place, database: str, statements: list[str]) -> None:
    """Run statements on a node that is stopped. Raises BackupError."""
    done = subprocess.run(  # noqa: S603
        [*command(tools, node, data, where, {}, "--single"), database],
        input="".join(f"{statement}\n" for statement in statements),
        capture_output=True, text=True, check=False, cwd="/", **where.identity,
    )  # fmt: skip
    if done.returncode or "ERROR:" in done.stderr or "FATAL:" in done.stderr:
        raise BackupError(f"{node.host} can't be told the new addresses: {_last(done.stderr)}")


def _reason(log: Path) -> str:
    return _last(log.read_text(errors="replace"))


def _last(text: str) -> str:
    lines = text.strip().splitlines() or ["no reason was given"]
    for line in reversed(lines):
        for mark in ("FATAL:", "ERROR:", "PANIC:"):
            if mark in line:
                return line.partition(mark)[2].strip()
    return lines[-1]
