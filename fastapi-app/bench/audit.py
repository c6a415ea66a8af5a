"""What access control and the audit log cost: `python -m bench.audit [--synthea DIR …]`. Prints Markdown.

Servers on databases of their own: open to everyone, with access control, with the audit log too, and with its reads in
batches. They take turns, so that what else the machine does falls on all of them. Requests of one kind are sent to
nearly empty databases. With `--synthea`, a mix of requests is sent to copies of a database of `--size` resources
(`bench/population.py`), the same to each server: of ten, three are of the one and three of the other search workload
(`bench/shapes.py`), two are reads, one creates and one updates an observation.
"""

import argparse
import asyncio
import json
import os
import secrets
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from random import Random
from statistics import median
from urllib.parse import urlencode, urlsplit, urlunsplit
from urllib.request import urlopen

import asyncpg

from bench.bodies import body
from bench.client import Connection, Request, hammer
from bench.population import build
from bench.serving import COMMAND, for_seconds, process, ready
from bench.shapes import SEARCH_A, SEARCH_B, Values, sample
from fhirserver.storage.embedded import EmbeddedPostgres
from fhirserver.storage.migrate import upgrade

_PORT = 8391
_ADMIN, _PASSWORD = "bench", secrets.token_urlsafe(16)
_SERVERS = {
    "open": {"FHIR_AUTH__ENABLED": "false"},
    "off": {"FHIR_AUDIT__ENABLED": "false"},
    "before": {"FHIR_AUDIT__READS": "before"},
    "batch": {"FHIR_AUDIT__READS": "batch"},
}
_MIX = ("A", "B", "read", "A", "create", "B", "A", "read", "B", "update")
_PATIENTS = 200
_ENTRIES = 50


class _Server:
    """A server that runs: its port, its token, and what is stored on it."""

    def __init__(self, port: int, group: int, *, is_open: bool) -> None:
        self.port, self.group = port, group
        self.token = "" if is_open else self._login()
        self.patients: list[str] = []
        self.observations: list[str] = []

    def _login(self) -> str:
        form = urlencode({"username": _ADMIN, "password": _PASSWORD}).encode()
        with urlopen(f"http://127.0.0.1:{self.port}/auth/login", form) as answer:
            return str(json.load(answer)["access_token"])

    async def fill(self) -> None:
        """Patients, and an observation of each."""
        Request.token = self.token
        connection = Connection("127.0.0.1", self.port)
        await connection.open()
        for number in range(_PATIENTS):
            made = await connection.send(Request("POST", "/fhir/Patient", body("Patient", number, {}), 201))
            self.patients.append(json.loads(made.body)["id"])
            made = await connection.send(self.create(number))
            self.observations.append(json.loads(made.body)["id"])
        connection.close()

    def observation(self, number: int) -> bytes:
        """An observation of one of the patients, without an encounter."""
        ids = {"Patient": self.patients[number % len(self.patients)], "Encounter": "e"}
        made = json.loads(body("Observation", number, ids))
        made.pop("encounter", None)
        return json.dumps(made).encode()

    def create(self, number: int) -> Request:
        return Request("POST", "/fhir/Observation", self.observation(number), 201)

    def read(self, number: int) -> Request:
        return Request("GET", f"/fhir/Observation/{self.observations[number % _PATIENTS]}")

    def update(self, number: int) -> Request:
        id = self.observations[number % _PATIENTS]
        return Request(
            "PUT", f"/fhir/Observation/{id}", json.dumps(json.loads(self.observation(number)) | {"id": id}).encode()
        )

    def search(self, number: int) -> Request:
        return Request("GET", f"/fhir/Observation?patient={self.patients[number % _PATIENTS]}&_count=20")

    def transaction(self, number: int) -> Request:
        entries = [
            {"request": {"method": "POST", "url": "Observation"}, "resource": json.loads(self.observation(number))}
            for _ in range(_ENTRIES)
        ]
        return Request(
            "POST", "/fhir", json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries}).encode()
        )

    def mixed(self, values: Values, number: int) -> Request:
        """One of the mix; `number` tells which kind it is."""
        match _MIX[number % len(_MIX)]:
            case "create":
                return self.create(number)
            case "update":
                return self.update(number)
            case "read":
                resource_type = values.one_of("Patient", "Encounter")
                return Request("GET", f"/fhir/{resource_type}/{values.pick(resource_type)}")
            case search:
                shape = values.random.choice(SEARCH_A if search == "A" else SEARCH_B)
                return Request("GET", f"/fhir/{shape.path(values).replace(' ', '%20')}")


_KINDS: dict[str, Callable[[_Server, int], Request]] = {
    "read": _Server.read,
    "search of a patient's observations": _Server.search,
    "create": _Server.create,
    "update": _Server.update,
    f"transaction of {_ENTRIES}": _Server.transaction,
}


def _cpu(name: str, group: int) -> float:
    """Seconds of CPU so far of a server, and of the connections to its database."""
    seconds = 0.0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            is_connection = f" bench_{name} " in (folder / "cmdline").read_text()
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended
        if is_connection or int(fields[2]) == group:
            seconds += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return seconds


class _Turns:
    """What the servers did in their turns, and a row of Markdown about it."""

    def __init__(self, servers: dict[str, _Server], clients: int) -> None:
        self._servers, self._clients = servers, clients
        shown = " | ".join(f"{name}, req/s | {name}, ms CPU" for name in servers)
        print(f"| what | {shown} | access | before | batch |")
        print("|---|" + "---|" * (2 * len(servers) + 3), flush=True)

    async def row(self, what: str, rounds: int, requests: Callable[[_Server, int], Iterator[Request]]) -> None:
        """Send to each server what `requests` makes for it and the number of the round."""
        random = Random(1)
        rates: dict[str, list[float]] = {name: [] for name in self._servers}
        costs = dict.fromkeys(self._servers, 0.0)
        for number in range(rounds):
            for name in random.sample(list(self._servers), len(self._servers)):
                server = self._servers[name]
                Request.token = server.token
                before = _cpu(name, server.group)
                figures = await hammer(server.port, requests(server, number), self._clients)
                rates[name].append(figures.rate)
                costs[name] += (_cpu(name, server.group) - before) / len(figures.latencies) / rounds
        medians = {name: median(found) for name, found in rates.items()}
        shown = " | ".join(f"{medians[name]:,.0f} | {costs[name] * 1000:.2f}" for name in self._servers)
        shares = " | ".join(
            f"{medians[name] / medians[than] - 1:+.0%}"
            for name, than in (("off", "open"), ("before", "off"), ("batch", "off"))
        )
        print(f"| {what} | {shown} | {shares} |", flush=True)


def _of_kind(
    make: Callable[[_Server, int], Request], seconds: float, server: _Server, _round: int
) -> Iterator[Request]:
    return for_seconds(seconds, partial(make, server))


async def _measure(servers: dict[str, _Server], values: Values | None, arguments: argparse.Namespace) -> None:
    for server in servers.values():
        await server.fill()
    turns = _Turns(servers, arguments.clients)
    if values is not None:

        def mixed(server: _Server, number: int) -> Iterator[Request]:
            values.random.seed(number)
            return (server.mixed(values, place) for place in range(arguments.requests))

        await turns.row("mixed", arguments.rounds, mixed)
        return
    for what, make in _KINDS.items():
        await turns.row(what, arguments.rounds, partial(_of_kind, make, arguments.seconds))


def _serve_and_measure(dsn: str, arguments: argparse.Namespace, values: Values | None) -> None:
    """With servers on copies of the database."""
    with ExitStack() as stack:
        servers = {}
        for port, (name, database) in enumerate(asyncio.run(_databases(dsn)).items(), _PORT):
            environment = {"FHIR_DATABASE_URL": database, "FHIR_LIMITS__REQUESTS_PER_MINUTE": "0", **_SERVERS[name]}
            environment |= {"FHIR_ADMIN_USERNAME": _ADMIN, "FHIR_ADMIN_PASSWORD": _PASSWORD}
            started = stack.enter_context(process(*COMMAND, "serve", "--port", str(port), environment=environment))
            asyncio.run(ready(port, "/health/ready"))
            servers[name] = _Server(port, started.pid, is_open=name == "open")
        asyncio.run(_measure(servers, values, arguments))


async def _databases(dsn: str) -> dict[str, str]:
    """A copy of the database for each server."""
    found = {}
    parts = urlsplit(dsn)
    connection = await asyncpg.connect(urlunsplit(parts._replace(path="/template1")))
    for name in _SERVERS:
        await connection.execute(f"DROP DATABASE IF EXISTS bench_{name}")
        await connection.execute(f'CREATE DATABASE bench_{name} TEMPLATE "{parts.path[1:]}"')
        found[name] = urlunsplit(parts._replace(path=f"/bench_{name}"))
    await connection.close()
    return found


async def _sampled(dsn: str) -> Values:
    connection = await asyncpg.connect(dsn)
    try:
        return await sample(connection, 1)
    finally:
        await connection.close()


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=1.0, help="for each turn with requests of one kind")
    parser.add_argument("--requests", type=int, default=1000, help="in each turn with the mix")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--synthea", type=Path, nargs="+", help="folders of transaction bundles, for the mix")
    parser.add_argument("--size", type=int, default=100_000, help="resources that the mix is sent to")
    parser.add_argument("--mixed-only", action="store_true", help="without the requests of one kind")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fhirserver-bench-") as folder, ExitStack() as stack:
        Path(folder).chmod(0o755)
        embedded = EmbeddedPostgres(Path(folder))
        dsn = embedded.start()
        stack.callback(embedded.stop)
        upgrade(dsn)
        if not arguments.mixed_only:
            _serve_and_measure(dsn, arguments, None)
        if arguments.synthea:
            build(dsn, arguments.synthea, arguments.size, 2)
            values = asyncio.run(_sampled(dsn))
            print(f"\nThe mix, {arguments.size:,} resources:\n")
            _serve_and_measure(dsn, arguments, values)


if __name__ == "__main__":
    main()
