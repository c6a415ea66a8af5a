"""What the audit log costs: `python -m bench.audit [--seconds N] [--rounds N] [--clients N]`. Prints Markdown.

Three servers on three databases: without the audit log, with it, and with reads in batches. They take turns, so that
what else the machine does falls on all of them.
"""

import argparse
import asyncio
import json
import os
import secrets
import tempfile
from collections.abc import Callable
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
from bench.serving import COMMAND, for_seconds, process, ready
from fhirserver.storage.embedded import EmbeddedPostgres
from fhirserver.storage.migrate import upgrade

_PORT = 8381
_ADMIN, _PASSWORD = "bench", secrets.token_urlsafe(16)
_SERVERS = {
    "off": {"FHIR_AUDIT__ENABLED": "false"},
    "before": {"FHIR_AUDIT__READS": "before"},
    "batch": {"FHIR_AUDIT__READS": "batch"},
}
_PATIENTS = 200
_ENTRIES = 50


class _Server:
    """A server that runs: its port, its token, and what is stored on it."""

    def __init__(self, port: int, group: int) -> None:
        self.port, self.group = port, group
        form = urlencode({"username": _ADMIN, "password": _PASSWORD}).encode()
        with urlopen(f"http://127.0.0.1:{port}/auth/login", form) as answer:
            self.token = str(json.load(answer)["access_token"])
        self.patients: list[str] = []
        self.observations: list[str] = []

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


async def _measure(servers: dict[str, _Server], seconds: float, rounds: int, clients: int) -> None:
    for server in servers.values():
        await server.fill()
    print(f"| what | {' | '.join(f'{name}, req/s | {name}, ms CPU' for name in servers)} | before | batch |")
    print("|---|" + "---|" * (2 * len(servers) + 2), flush=True)
    random = Random(1)
    for what, make in _KINDS.items():
        rates: dict[str, list[float]] = {name: [] for name in servers}
        costs = dict.fromkeys(servers, 0.0)
        for _ in range(rounds):
            for name in random.sample(list(servers), len(servers)):
                server = servers[name]
                Request.token = server.token
                before = _cpu(name, server.group)
                figures = await hammer(server.port, for_seconds(seconds, partial(make, server)), clients)
                rates[name].append(figures.rate)
                costs[name] += (_cpu(name, server.group) - before) / len(figures.latencies) / rounds
        shown = " | ".join(f"{median(rates[name]):,.0f} | {costs[name] * 1000:.2f}" for name in servers)
        shares = " | ".join(f"{median(rates[name]) / median(rates['off']) - 1:+.0%}" for name in ("before", "batch"))
        print(f"| {what} | {shown} | {shares} |", flush=True)


async def _databases(dsn: str) -> dict[str, str]:
    """A database for each server."""
    found = {}
    connection = await asyncpg.connect(dsn)
    parts = urlsplit(dsn)
    for name in _SERVERS:
        await connection.execute(f"CREATE DATABASE bench_{name}")
        found[name] = urlunsplit(parts._replace(path=f"/bench_{name}"))
    await connection.close()
    return found


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=1.0, help="for each turn")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--clients", type=int, default=16)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fhirserver-bench-") as folder, ExitStack() as stack:
        Path(folder).chmod(0o755)
        embedded = EmbeddedPostgres(Path(folder))
        dsn = embedded.start()
        stack.callback(embedded.stop)
        servers = {}
        for port, (name, database) in enumerate(asyncio.run(_databases(dsn)).items(), _PORT):
            upgrade(database)
            environment = {"FHIR_DATABASE_URL": database, "FHIR_LIMITS__REQUESTS_PER_MINUTE": "0", **_SERVERS[name]}
            environment |= {"FHIR_ADMIN_USERNAME": _ADMIN, "FHIR_ADMIN_PASSWORD": _PASSWORD}
            started = stack.enter_context(process(*COMMAND, "serve", "--port", str(port), environment=environment))
            asyncio.run(ready(port, "/health/ready"))
            servers[name] = _Server(port, started.pid)
        asyncio.run(_measure(servers, arguments.seconds, arguments.rounds, arguments.clients))


if __name__ == "__main__":
    main()
