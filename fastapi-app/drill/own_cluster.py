"""A Citus cluster of processes on this machine, whose nodes may be killed, started, added and cut off.

It runs on an installed PostgreSQL with Citus (Debian's, PGDG's, or the one of PG_CONFIG), with the settings of
postgres-citus/postgresql.conf. With `apart` each node has a network namespace of its own, on a bridge that is in one
too, so that a node can be cut off; that needs root.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from socket import socket
from tempfile import TemporaryDirectory

from drill.targets import REPO

DATABASE = "clinical_records"
COORDINATOR = "coordinator"
_NETWORK = f"10.231.{os.getpid() % 250}"  # a cluster of another process has another one
_BETWEEN_NODES = (
    "sslmode=disable connect_timeout=3 tcp_user_timeout=5000 keepalives_idle=3 keepalives_interval=1 keepalives_count=3"
)
# Of the images only: what is encrypted, who may log in, how large the machine is.
_NOT_HERE = ("include", "hba_file", "ssl", "listen_addresses", "shared_preload_libraries", "password_encryption")
_FOLDERS = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin")


class NoCitus(Exception):
    """There is no PostgreSQL with Citus on this machine; the message says where one was looked for."""


def binaries() -> Path:
    """The programs of an installed PostgreSQL that has Citus. Raises NoCitus."""
    known = [Path(found).parent for name in (os.environ.get("PG_CONFIG"), "pg_config") if (found := _which(name))]
    for folder in (
        *known,
        *(path for pattern in _FOLDERS for path in sorted(Path("/").glob(pattern[1:]), reverse=True)),
    ):
        if (folder / "pg_config").exists():
            shared = subprocess.run([folder / "pg_config", "--sharedir"], capture_output=True, text=True, check=True)
            if Path(shared.stdout.strip(), "extension", "citus.control").exists() and (folder / "postgres").exists():
                return folder
    raise NoCitus(f"no PostgreSQL with Citus in PATH, PG_CONFIG, {', '.join(_FOLDERS)}")


def _which(name: str | None) -> str | None:
    return shutil.which(name) if name else None


def can_be_apart() -> bool:
    """Whether network namespaces can be made here."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        return False
    name = f"fhir-try-{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False).returncode == 0
    if made:
        made = subprocess.run(
            ["ip", "-n", name, "link", "add", "lan", "type", "bridge"], capture_output=True, check=False
        ).returncode == 0  # fmt: skip
        subprocess.run(["ip", "netns", "del", name], check=False)
    return made


@dataclass(frozen=True)
class Node:
    """A node: its folder, its address, and its namespace if it has one."""

    name: str
    folder: Path
    host: str
    port: int
    namespace: str | None

    @property
    def dsn(self) -> str:
        """How it is reached from this machine."""
        return f"postgresql://postgres@{self.host}:{self.port}/{DATABASE}"


class OwnCluster:
    """A coordinator and workers, made new in `folder`, which others have to be able to enter."""

    def __init__(self, folder: Path, *, apart: bool = False, durable: bool = True):
        self.is_apart = apart
        self._folder, self._durable = folder, durable
        self._bin = binaries()
        self._tag = f"fhir{os.getpid()}"
        self.nodes: dict[str, Node] = {}

    @property
    def dsn(self) -> str:
        """That of the coordinator."""
        return self.nodes[COORDINATOR].dsn

    def begin(self, workers: int) -> None:
        """Make and start all nodes."""
        if self.is_apart:
            self._make_network()
        coordinator = self.add()
        self.sql(coordinator, f"SELECT citus_set_coordinator_host('{coordinator.host}', {coordinator.port})")
        for _ in range(workers):
            self.register(self.add())

    def add(self) -> Node:
        """One more node, started; the first one is the coordinator."""
        number = len(self.nodes)
        name = f"worker-{number}" if number else COORDINATOR
        if self.is_apart:
            node = Node(name, self._folder / name, f"{_NETWORK}.{number + 10}", 5432, f"{self._tag}-{number}")
            self._connect(node)
        else:
            node = Node(name, self._folder / name, f"127.0.0.{number + 10}", _free_port(), None)
        self.nodes[name] = node
        node.folder.mkdir()
        if os.geteuid() == 0:
            shutil.chown(node.folder, "postgres", "postgres")
        self._run(node, "initdb", "-D", str(node.folder), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C")
        (node.folder / "pg_hba.conf").write_text("host all all all trust\nhost replication all all trust\n")
        with (node.folder / "postgresql.conf").open("a") as file:
            file.write(self._settings(node))
        self.start(name)
        self.sql(node, f"CREATE DATABASE {DATABASE}", database="postgres")
        self.sql(node, "CREATE EXTENSION citus")
        return node

    def register(self, node: Node) -> None:
        """Let a worker join."""
        self.sql(self.nodes[COORDINATOR], f"SELECT citus_add_node('{node.host}', {node.port})")

    def start(self, name: str) -> None:
        """Start a node that is down; it answers then."""
        node = self.nodes[name]
        (node.folder / "postmaster.pid").unlink(missing_ok=True)  # its number may be another process's by now
        self._run(node, "pg_ctl", "-D", str(node.folder), "-l", str(node.folder / "log"), "-w", "-t", "120", "start")

    def kill(self, name: str) -> None:
        """End all processes of a node by SIGKILL."""
        postmaster = int((self.nodes[name].folder / "postmaster.pid").read_text().splitlines()[0])
        children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
        for process in (postmaster, *map(int, children)):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)

    def cut(self, name: str) -> None:
        """Let nothing to or from a node pass any more: no answer, no refusal."""
        _ip("-n", self._lan, "link", "set", f"{self.nodes[name].namespace}", "nomaster")

    def heal(self, name: str) -> None:
        """Let all pass again."""
        _ip("-n", self._lan, "link", "set", f"{self.nodes[name].namespace}", "master", "lan")

    def is_running(self, name: str) -> bool:
        """Whether a node answers."""
        node = self.nodes[name]
        command = [str(self._bin / "pg_isready"), "-q", "-t", "3", "-h", node.host, "-p", str(node.port)]
        return subprocess.run(command, check=False).returncode == 0

    def log(self, name: str) -> str:
        """The last lines of a node's log."""
        lines = (self.nodes[name].folder / "log").read_text(errors="replace").splitlines()
        return "\n".join(lines[-40:])

    def remove(self, name: str) -> None:
        """End a node that has left the cluster, with its data."""
        self.kill(name)
        node = self.nodes.pop(name)
        if node.namespace is not None:
            _ip("netns", "del", node.namespace)
        shutil.rmtree(node.folder, ignore_errors=True)

    def database_without_citus(self, name: str) -> str:
        """The DSN of one more database on the coordinator's node, which is plain PostgreSQL."""
        coordinator = self.nodes[COORDINATOR]
        self.sql(coordinator, f"CREATE DATABASE {name}", database="postgres")
        return coordinator.dsn.removesuffix(DATABASE) + name

    def end(self) -> None:
        """Stop all, and remove the network."""
        for node in self.nodes.values():
            with suppress(FileNotFoundError, ProcessLookupError):
                self.kill(node.name)
        if self.is_apart:
            for namespace in (*(f"{node.namespace}" for node in self.nodes.values()), self._lan):
                subprocess.run(["ip", "netns", "del", namespace], capture_output=True, check=False)

    def sql(self, node: Node, statement: str, database: str = DATABASE) -> str:
        """What a statement gives, as psql prints it."""
        options = ("-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", node.host, "-p", str(node.port))
        return self._run(None, "psql", *options, "-U", "postgres", "-d", database, "-c", statement).strip()

    def _settings(self, node: Node) -> str:
        lines = (REPO / "postgres-citus" / "postgresql.conf").read_text().splitlines()
        shared = [line for line in lines if not line.startswith(_NOT_HERE)]
        own = [
            "shared_preload_libraries = 'citus'",
            f"listen_addresses = '{node.host}'",
            f"port = {node.port}",
            "unix_socket_directories = ''",
            f"citus.local_hostname = '{node.host}'",  # by which it moves shards
            f"citus.node_conninfo = '{_BETWEEN_NODES}'",
            "shared_buffers = '256MB'",
            f"fsync = {'on' if self._durable else 'off'}",
        ]
        return "\n".join(["", *shared, *own, ""])

    def _run(self, node: Node | None, program: str, *arguments: str) -> str:
        """The output of one of PostgreSQL's programs, run where a node is."""
        command = [str(self._bin / program), *arguments]
        if os.geteuid() == 0:
            command = ["runuser", "-u", "postgres", "--", *command]
        if node is not None and node.namespace is not None:
            command = ["ip", "netns", "exec", node.namespace, *command]
        # pg_ctl leaves its output open to the server that it starts, so it is a file, not a pipe.
        output = self._folder / "output"
        with output.open("w") as file:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT, cwd="/", check=False
            )
        if done.returncode != 0:
            raise RuntimeError(f"{program}: {output.read_text()[-2000:]}")
        return output.read_text()

    @property
    def _lan(self) -> str:
        return f"{self._tag}-lan"

    def _make_network(self) -> None:
        """A bridge in a namespace of its own, where no firewall of this machine is; this machine is at .1."""
        _ip("netns", "add", self._lan)
        _ip("-n", self._lan, "link", "add", "lan", "type", "bridge")
        _ip("-n", self._lan, "link", "set", "lan", "up")
        self._plug(None, f"{self._tag}-0h", 1)

    def _connect(self, node: Node) -> None:
        _ip("netns", "add", f"{node.namespace}")
        _ip("-n", f"{node.namespace}", "link", "set", "lo", "up")
        self._plug(node.namespace, f"{node.namespace}", int(node.host.rpartition(".")[2]))

    def _plug(self, namespace: str | None, name: str, number: int) -> None:
        """A cable from a namespace (None: this machine's) to the bridge, with an address."""
        _ip("-n", self._lan, "link", "add", name, "type", "veth", "peer", "name", f"{name}e")
        place = namespace if namespace is not None else "1"
        _ip("-n", self._lan, "link", "set", f"{name}e", "netns", place)
        inside = ("-n", namespace) if namespace is not None else ()
        _ip(*inside, "address", "add", f"{_NETWORK}.{number}/24", "dev", f"{name}e")
        _ip(*inside, "link", "set", f"{name}e", "up")
        _ip("-n", self._lan, "link", "set", name, "master", "lan", "up")


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")


def _free_port() -> int:
    with socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


@contextmanager
def own_cluster(workers: int = 2, *, apart: bool = False, durable: bool = True) -> Iterator[OwnCluster]:
    """A cluster while the block runs. Raises NoCitus."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # nothing stays behind
    with TemporaryDirectory(prefix="fhirserver-cluster-") as folder:
        Path(folder).chmod(0o755)
        cluster = OwnCluster(Path(folder), apart=apart, durable=durable)
        try:
            cluster.begin(workers)
            yield cluster
        finally:
            cluster.end()
            signal.signal(signal.SIGTERM, before)
