"""The benchmark: `python -m bench.run [--seconds N] [--workers N] [--synthea DIR] [--database URL]`.

Starts a database and the server, measures CRUD, searches and the load of transactions, each beside its ceiling: an
empty route, a bare read route (`bench/ceiling.py`), a loop of the same statement by asyncpg alone. Prints Markdown.
"""

import argparse
import asyncio
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from itertools import count
from pathlib import Path
from random import Random
from urllib.parse import urlencode
from urllib.request import urlopen

import asyncpg

from bench.bodies import ORDER, body
from bench.client import Answer, Connection, Figures, Request, hammer
from bench.serving import COMMAND, for_seconds, process, ready
from fhirserver.fhir.datatypes.ids import home_bucket
from fhirserver.storage.embedded import EmbeddedPostgres
from fhirserver.storage.migrate import upgrade
from fhirserver.storage.repositories.reading import READ
from fhirserver.storage.repositories.writing import COLUMNS, INSERT

_PORT, _CEILING_PORT = 8371, 8372
_ADMIN, _PASSWORD = "bench", secrets.token_urlsafe(16)


class _Table:
    """Rows of Markdown, printed as they come."""

    def __init__(self) -> None:
        print("| what | clients | req/s | p50 ms | p95 ms | p99 ms | ceiling req/s | of ceiling |")
        print("|---|---|---|---|---|---|---|---|", flush=True)

    def row(self, what: str, clients: int, figures: Figures, ceiling: float | None = None) -> None:
        shown = f"{ceiling:,.0f} | {figures.rate / ceiling:.0%}" if ceiling else "|"
        print(
            f"| {what} | {clients} | {figures.rate:,.0f} | {figures.percentile(50):.2f} | {figures.percentile(95):.2f}"
            f" | {figures.percentile(99):.2f} | {shown} |",
            flush=True,
        )


async def _crud(table: _Table, seconds: float, clients: int, dsn: str) -> list[str]:
    """Create, read, update, delete of the workload's bodies; the ids of observations that stay."""
    parents: dict[str, str] = {}
    async with _connected() as connection:
        for name in ORDER:
            answer = await connection.send(Request("POST", f"/fhir/{name}", body(name, 0, parents), 201))
            parents[name] = json.loads(answer.body)["id"]
    created: list[tuple[str, str, bytes]] = []

    def keep(answer: Answer) -> None:
        resource_type, id = answer.headers["location"].split("/")[-4:-2]
        created.append((resource_type, id, answer.body))

    statement_rate = await _insert_loop(dsn, seconds / 2, clients)
    made = await hammer(
        _PORT,
        for_seconds(
            seconds,
            lambda n: Request("POST", f"/fhir/{ORDER[n % 9]}", body(ORDER[n % 9], n, parents), 201),
        ),
        clients,
        keep,
    )
    table.row("create", clients, made, statement_rate)
    random = Random(1)
    reads = lambda n: Request("GET", "/fhir/{}/{}".format(*random.choice(created)[:2]))  # noqa: E731
    bare = await hammer(_CEILING_PORT, for_seconds(seconds, reads), clients)
    table.row("read", clients, await hammer(_PORT, for_seconds(seconds, reads), clients), bare.rate)
    print(f"| (bare Starlette + asyncpg read) | {clients} | {bare.rate:,.0f} | | | | | |")
    empty = await hammer(_CEILING_PORT, for_seconds(seconds / 2, lambda n: Request("GET", "/empty")), clients)
    print(f"| (empty Starlette route) | {clients} | {empty.rate:,.0f} | | | | | |")
    statements = await _read_loop(dsn, created, seconds / 2, clients)
    print(f"| (read statement by asyncpg alone) | {clients} | {statements:,.0f} | | | | | |")
    batch = created[: len(created) // 2]
    updates = (Request("PUT", f"/fhir/{t}/{i}", content.replace(b"2024-", b"2023-"), 200) for t, i, content in batch)
    table.row("update", clients, await hammer(_PORT, updates, clients), statement_rate)
    deletes = (Request("DELETE", f"/fhir/{t}/{i}", status=204) for t, i, _ in batch)
    table.row("delete", clients, await hammer(_PORT, deletes, clients), statement_rate)
    return [id for resource_type, id, _ in created if resource_type == "Patient"]


def _connected() -> "_Connected":
    return _Connected()


class _Connected:
    async def __aenter__(self) -> Connection:
        self._connection = Connection("127.0.0.1", _PORT)
        await self._connection.open()
        return self._connection

    async def __aexit__(self, *_: object) -> None:
        self._connection.close()


async def _insert_loop(dsn: str, seconds: float, clients: int) -> float:
    """Rows a second by the server's own INSERT, with the columns of a typical row, and nothing around it."""
    content = body("Observation", 1, {"Patient": "p", "Encounter": "e"})
    keys = [[Random(n).getrandbits(62) for _ in range(14)] for n in range(64)]

    async def one(pool: "asyncpg.Pool[asyncpg.Record]", number: int) -> None:
        id = f"bench-{number}-{time.time_ns()}"
        now = datetime.now(UTC)
        row = (home_bucket(id), "Basic", id, 1, now, False, None, content.decode())
        index = (keys[number % 64], [1], [2.0], [3.0], [4], [5], 6, "", "", "", now, 0)
        async with pool.acquire() as connection:
            await connection.execute(INSERT.sql, *row, *index)

    return await _loop(dsn, seconds, clients, one)


async def _read_loop(dsn: str, created: list[tuple[str, str, bytes]], seconds: float, clients: int) -> float:
    async def one(pool: "asyncpg.Pool[asyncpg.Record]", number: int) -> None:
        resource_type, id, _ = created[number % len(created)]
        async with pool.acquire() as connection:
            await connection.fetchrow(READ.sql, home_bucket(id), resource_type, id)

    return await _loop(dsn, seconds, clients, one)


async def _loop(dsn: str, seconds: float, clients: int, one: Callable[..., object]) -> float:
    done = 0
    async with asyncpg.create_pool(dsn, min_size=min(clients, 16), max_size=min(clients, 16)) as pool:
        end = time.perf_counter() + seconds

        async def work(offset: int) -> None:
            nonlocal done
            for number in count(offset, clients):
                if time.perf_counter() > end:
                    return
                await one(pool, number)  # type: ignore[misc]
                done += 1

        start = time.perf_counter()
        await asyncio.gather(*(work(offset) for offset in range(clients)))
        return done / (time.perf_counter() - start)


async def _searches(table: _Table, seconds: float, clients: int) -> None:
    async with _connected() as connection:
        found = json.loads((await connection.send(Request("GET", "/fhir/Patient?_count=200"))).body)
    patients = [entry["resource"]["id"] for entry in found["entry"]]
    random = Random(2)
    shapes: dict[str, Callable[[int], str]] = {
        "patient: Observation?patient&_count=20": lambda n: f"Observation?patient={random.choice(patients)}&_count=20",
        "patient: Condition?patient": lambda n: f"Condition?patient={random.choice(patients)}",
        "patient: Observation?patient&code": lambda n: (
            f"Observation?patient={random.choice(patients)}&code=http://loinc.org%7C8480-6"
        ),
        "all: Observation?code&_count=5": lambda n: "Observation?code=http://loinc.org%7C8302-2&_count=5",
        "all: Observation?date=ge2020&_count=5": lambda n: "Observation?date=ge2020-01-01&_count=5",
        "all: Patient?family&_count=5": lambda n: f"Patient?family={random.choice('ABCDFGHKLM')}&_count=5",
        "all: Patient?birthdate&gender": lambda n: f"Patient?birthdate=ge{random.randint(1930, 2015)}&gender=male",
        "all: a value nobody has": lambda n: f"Patient?identifier=nobody%7C{n}",
    }
    for name, make in shapes.items():
        requests = for_seconds(seconds / 2, partial(_search, make))
        table.row(name, clients, await hammer(_PORT, requests, clients))


def _search(make: Callable[[int], str], number: int) -> Request:
    return Request("GET", f"/fhir/{make(number)}")


def _memory(process: "subprocess.Popen[bytes]") -> list[str]:
    """Megabytes of each process of the server."""
    listed = subprocess.run(["ps", "-eo", "pid,pgid,rss,args"], capture_output=True, text=True, check=True).stdout
    return [
        f"{int(rss) / 1024:.0f} MB ({'worker' if 'spawn_main' in args else 'parent'})"
        for pid, pgid, rss, args in (line.split(None, 3) for line in listed.splitlines()[1:])
        if pgid == str(process.pid) and "resource_tracker" not in args
    ]


def _load(folders: list[str], dsn: str) -> None:
    """Load transaction bundles by the command, and print what it says."""
    start = time.perf_counter()
    environment = os.environ | {"FHIR_DATABASE_URL": dsn}
    done = subprocess.run([*COMMAND, "load", *folders], env=environment, capture_output=True, text=True, check=False)
    last = " ".join(done.stdout.splitlines()[-2].split())
    print(f"Transaction load: {last} (with the start of processes {time.perf_counter() - start:.1f} s)")
    ceiling = asyncio.run(_copy_loop(dsn))
    print(f"Its ceiling, COPY of the same rows by asyncpg alone, 400 a transaction: {ceiling:,.0f}/s\n")


async def _copy_loop(dsn: str) -> float:
    """Rows a second: what is stored copied into a second table with the same indexes, by two connections at once."""
    async with asyncpg.create_pool(dsn, min_size=2, max_size=2, init=_words_as_bytes) as pool:
        await pool.execute("CREATE TABLE bench_copy (LIKE resource INCLUDING ALL)")
        try:
            rows = [tuple(row) for row in await pool.fetch(f"SELECT {', '.join(COLUMNS)} FROM resource")]
            parts = iter([rows[first : first + 400] for first in range(0, len(rows), 400)])

            async def work() -> None:
                async with pool.acquire() as connection:
                    for part in parts:
                        await connection.copy_records_to_table("bench_copy", columns=COLUMNS, records=part)

            start = time.perf_counter()
            await asyncio.gather(work(), work())
            return len(rows) / (time.perf_counter() - start)
        finally:
            await pool.execute("DROP TABLE bench_copy")


async def _words_as_bytes(connection: "asyncpg.Connection") -> None:
    await connection.set_type_codec(
        "tsvector", schema="pg_catalog", format="binary", encoder=lambda value: value, decoder=lambda value: value
    )


async def _measure(arguments: argparse.Namespace, dsn: str) -> None:
    environment = {"FHIR_DATABASE_URL": dsn, "FHIR_BENCH_DSN": dsn, "FHIR_OBSERVABILITY__LOG_LEVEL": "INFO"}
    environment |= {"FHIR_AUTH__ENABLED": str(arguments.auth), "FHIR_LIMITS__REQUESTS_PER_MINUTE": "0"}
    environment |= {"FHIR_ADMIN_USERNAME": _ADMIN, "FHIR_ADMIN_PASSWORD": _PASSWORD}
    command = [sys.executable, "-m", "uvicorn", "bench.ceiling:app", "--port", str(_CEILING_PORT)]
    serve = [*COMMAND, "serve", "--port", str(_PORT)]
    workers = str(arguments.workers)
    with process(*serve, "--workers", workers, environment=environment) as server:
        print(f"Start until the first answer: {await ready(_PORT, '/health/ready'):.2f} s\n")
        if arguments.auth:
            Request.token = _login()
        with process(
            *command, "--workers", workers, "--no-access-log", "--log-level", "warning", environment=environment
        ):
            await ready(_CEILING_PORT, "/empty")
            table = _Table()
            for clients in arguments.clients:
                await _crud(table, arguments.seconds, clients, dsn)
        await _searches(table, arguments.seconds, arguments.clients[0])
        print(f"\nMemory: {', '.join(_memory(server))}")


def _login() -> str:
    """The access token of the administrator that the environment names."""
    form = urlencode({"username": _ADMIN, "password": _PASSWORD}).encode()
    with urlopen(f"http://127.0.0.1:{_PORT}/auth/login", form) as answer:
        return str(json.load(answer)["access_token"])


def _prepare(arguments: argparse.Namespace, dsn: str) -> None:
    upgrade(dsn)
    if arguments.synthea:
        _load(arguments.synthea, dsn)


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="for each measurement")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--clients", type=int, nargs="+", default=[16])
    parser.add_argument("--synthea", nargs="*", help="folders of transaction bundles to load first")
    parser.add_argument("--auth", action="store_true", help="with access control, as an administrator")
    parser.add_argument("--database", help="postgresql://… instead of an embedded one")
    arguments = parser.parse_args()
    if arguments.database:
        _prepare(arguments, arguments.database)
        asyncio.run(_measure(arguments, arguments.database))
        return
    with tempfile.TemporaryDirectory(prefix="fhirserver-bench-") as folder:
        Path(folder).chmod(0o755)
        embedded = EmbeddedPostgres(Path(folder))
        dsn = embedded.start()
        try:
            _prepare(arguments, dsn)
            asyncio.run(_measure(arguments, dsn))
        finally:
            embedded.stop()


if __name__ == "__main__":
    main()
