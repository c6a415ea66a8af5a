"""`python -m drill.faults`: nodes and processes of a cluster are killed, and cut off, again and again under load.

It makes a Citus cluster of its own (drill/own_cluster.py) and a server on it, both on this machine. In each round one
victim is killed by SIGKILL, or cut off from the network, at a random instant, and comes back after a random time,
while clients create resources, send transactions that go to several shards, or do both while shards move. At the end
each acknowledged write has to be stored, each transaction as a whole or not at all, and nothing may be in doubt.
"""

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from random import Random
from tempfile import gettempdir

import asyncpg

from bench.serving import COMMAND, ready
from drill.api import Api, NoAnswer
from drill.load import Sent, percentile
from drill.own_cluster import COORDINATOR, OwnCluster, can_be_apart, own_cluster
from drill.patients import SYSTEM
from fhirserver.storage.migrate import upgrade

VICTIMS = ("worker", "coordinator", "api", "network")
DURING = ("creates", "transactions", "rebalancing")
_CLIENTS = 8
_SIZE = 9  # entries of a transaction
_PAUSE = 0.005
_UNTIL_STRUCK, _DOWN, _CUT = (0.3, 1.5), (0.2, 2.0), (1.0, 8.0)  # seconds, at random between these
_CALM, _RECOVERY_LIMIT, _SETTLED_LIMIT = 1.0, 90.0, 600.0
_STORED = (
    "SELECT content->'meta'->'tag'->0->>'code' AS name, count(*) AS n FROM resource"
    " WHERE content IS NOT NULL AND content->'meta'->'tag'->0->>'system' = $1 GROUP BY 1"
)
_MOVES = "SELECT count(*) FROM pg_dist_background_task WHERE status = 'done'"
_MOVING = _MOVES.replace("done", "running")
# Moves whose process went with the coordinator: Citus takes them up again soon, but can't cancel them until then.
_ORPHANED = (
    "SELECT count(*) FROM pg_dist_background_task"
    " WHERE status = 'running' AND pid NOT IN (SELECT pid FROM pg_stat_activity)"
)
_REBALANCING = "SELECT count(*) FROM pg_dist_background_job WHERE state NOT IN ('finished', 'cancelled', 'failed')"


class Violated(Exception):
    """What must never happen did; the message says what."""


@dataclass
class Outcome:
    """What the rounds of one kind showed."""

    victim: str
    during: str
    rounds: int = 0
    sent: list[Sent] = field(default_factory=list)
    stalls: list[float] = field(default_factory=list)
    """The longest time without an answer that was a success, of each round."""
    acknowledged: dict[str, int] = field(default_factory=dict)
    """How many resources each write that was acknowledged has stored, by its name."""
    unknown: set[str] = field(default_factory=set)
    """The names of the writes that failed."""
    stored: int = 0
    moves: int = 0
    """How many shards have moved."""

    def row(self) -> str:
        """A row of Markdown."""
        answered = sum(sent.succeeded for sent in self.sent) / max(len(self.sent), 1)
        longest = max((sent.seconds for sent in self.sent), default=0.0)
        during = f"{self.during}, {self.moves} moves" if self.moves else self.during
        return (
            f"| {self.victim} | {during} | {self.rounds} | {len(self.sent):,} | {answered:.2%} |"
            f" {percentile(self.stalls, 50):.1f} | {max(self.stalls):.1f} | {longest:.1f} |"
            f" {len(self.acknowledged):,} | 0 | 0 |"
        )


HEAD = (
    "| victim | during | rounds | requests | succeeded | stall p50, s | longest stall, s | longest request, s |"
    " acknowledged writes | lost | half |\n|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|"
)


class Server:
    """The API as a group of processes that can be killed."""

    def __init__(self, dsn: str, port: int, workers: int, **settings: str):
        self.port = port
        self._command = [*COMMAND, "serve", "--port", str(port), "--workers", str(workers)]
        self._environment = os.environ | {
            "FHIR_DATABASE_URL": dsn,
            "FHIR_AUTH__ENABLED": "false",
            "FHIR_LIMITS__REQUESTS_PER_MINUTE": "0",
            "FHIR_LIMITS__REQUESTS_PER_MINUTE_OF_ADDRESS": "0",
            **settings,
        }
        self._process: subprocess.Popen[bytes] | None = None
        self.log = Path(gettempdir(), f"fhirserver-{port}.log")
        self.log.write_bytes(b"")

    def start(self) -> None:
        """Start it; it need not answer yet."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, env=self._environment, stdout=log, stderr=log, start_new_session=True
            )

    def kill(self) -> None:
        """End all its processes by SIGKILL."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


def _tagged(name: str) -> dict[str, object]:
    return {"tag": [{"system": SYSTEM, "code": name}]}


def _patient(name: str) -> dict[str, object]:
    return {"resourceType": "Patient", "meta": _tagged(name), "gender": "unknown"}


def _transaction(name: str) -> dict[str, object]:
    """Three patients, whom chance puts on several shards, and two observations of each."""
    entries: list[dict[str, object]] = []
    for number in range(_SIZE // 3):
        url = f"urn:uuid:00000000-0000-4000-8000-00000000000{number}"
        entries.append({"fullUrl": url, "resource": _patient(name), "request": {"method": "POST", "url": "Patient"}})
        observation = {
            "resourceType": "Observation",
            "meta": _tagged(name),
            "status": "final",
            "code": {"text": "x"},
            "subject": {"reference": url},
        }
        entries += [{"resource": observation, "request": {"method": "POST", "url": "Observation"}}] * 2
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


@asynccontextmanager
async def _load(api: Api, outcome: Outcome, seed: str) -> AsyncIterator[list[Sent]]:
    """Clients that write and read what they wrote, for the time of the block; what they sent, as it grows."""
    sent: list[Sent] = []
    ended = asyncio.Event()
    known: list[str] = []

    async def client(number: int) -> None:
        random = Random(f"{seed}-{number}")
        transacts = outcome.during == "transactions" or (outcome.during == "rebalancing" and number % 2)
        count = 0
        while not ended.is_set():
            count += 1
            begin, status = time.perf_counter(), 0
            with suppress(NoAnswer):
                if known and random.random() < 0.3:
                    status = (await api.send("GET", f"/fhir/Patient/{random.choice(known)}")).status
                else:
                    status = await write(f"{seed}-{number}-{count}", bool(transacts))
            sent.append(Sent(begin, time.perf_counter() - begin, status))
            await asyncio.sleep(_PAUSE if status else 0.2)

    async def write(name: str, transacts: bool) -> int:
        body = _transaction(name) if transacts else _patient(name)
        outcome.unknown.add(name)
        answer = await api.send("POST", "/fhir" if transacts else "/fhir/Patient", body)
        if answer.status == (200 if transacts else 201):
            outcome.unknown.discard(name)
            outcome.acknowledged[name] = _SIZE if transacts else 1
            if not transacts:
                known.append(json.loads(answer.body)["id"])
        return answer.status

    tasks = [asyncio.create_task(client(number)) for number in range(_CLIENTS)]
    try:
        yield sent
    finally:
        ended.set()
        await asyncio.gather(*tasks)


def _stall(sent: list[Sent], begin: float, end: float) -> float:
    """The longest time in which no request ended well."""
    ends = sorted(s.begin + s.seconds for s in sent if s.succeeded)
    times = [begin, *(at for at in ends if begin <= at <= end), end]
    return max(after - before for before, after in pairwise(times))


async def _until_calm(sent: list[Sent], begin: float) -> None:
    while True:
        troubled = [s.begin + s.seconds for s in sent if s.begin + s.seconds >= begin and not s.succeeded]
        last = max((s.begin + s.seconds for s in sent if s.succeeded), default=0.0)
        calm = time.perf_counter() - max([begin, *troubled])
        if calm > _CALM and last > begin + _CALM / 2:
            return
        if time.perf_counter() - begin > _RECOVERY_LIMIT:
            late = Counter(s.status for s in sent if s.begin > begin + _RECOVERY_LIMIT / 2)
            raise Violated(f"not recovered after {_RECOVERY_LIMIT:.0f} s; how requests ended lately: {dict(late)}")
        await asyncio.sleep(0.1)


class Faults:
    """Rounds of faults on one cluster and one server."""

    def __init__(self, cluster: OwnCluster, server: Server, seed: str):
        self._cluster, self._server, self._seed = cluster, server, seed
        self._random = Random(seed)
        self._api = Api(f"http://127.0.0.1:{server.port}")
        self._workers = [name for name in cluster.nodes if name != COORDINATOR]

    async def rounds(self, victim: str, during: str, number: int) -> Outcome:
        """So many rounds, and a look at what is stored. Raises Violated."""
        outcome = Outcome(victim, during)
        before = await self._moves() if during == "rebalancing" else 0
        moving = asyncio.create_task(self._keep_moving(outcome)) if during == "rebalancing" else None
        try:
            for round_ in range(number):
                await self._round(outcome, f"{self._seed}-{victim}-{during}-{round_}")
        finally:
            if moving is not None:
                moving.cancel()
                await asyncio.gather(moving, return_exceptions=True)
        if during == "rebalancing":
            outcome.moves = await self._moved() - before
        await self._nothing_in_doubt()
        await self._check(outcome)
        return outcome

    async def _round(self, outcome: Outcome, seed: str) -> None:
        async with _load(self._api, outcome, seed) as sent:
            if outcome.during == "rebalancing":
                await self._until_one_moves()
            await asyncio.sleep(self._random.uniform(*_UNTIL_STRUCK))
            begin = time.perf_counter()
            await self._strike(outcome.victim)
            back = time.perf_counter()
            await _until_calm(sent, back)
            outcome.stalls.append(_stall(sent, begin, time.perf_counter()))
        outcome.sent += [s for s in sent if s.begin + s.seconds >= begin]
        outcome.rounds += 1
        if defects := Counter(s.status for s in sent if not s.succeeded and s.status not in (0, 503)):
            raise Violated(f"answers that are neither success nor 503: {dict(defects)}; see {self._server.log}")

    async def _strike(self, victim: str) -> None:
        """The fault, and its end."""
        down = self._random.uniform(*(_CUT if victim == "network" else _DOWN))
        if victim == "api":
            self._server.kill()
            await asyncio.sleep(down)
            self._server.start()
            return
        name = COORDINATOR if victim == "coordinator" else self._random.choice(self._workers)
        strike, mend = self._cluster.kill, self._cluster.start
        if victim == "network":
            strike, mend = self._cluster.cut, self._cluster.heal
        await asyncio.to_thread(strike, name)
        await asyncio.sleep(down)
        await asyncio.to_thread(mend, name)

    async def _keep_moving(self, outcome: Outcome) -> None:
        """Shards move to the last worker, and away from it, one rebalancing after the other."""
        last = self._cluster.nodes[self._workers[-1]]
        while True:
            with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
                async with _connected(self._cluster.dsn) as connection:
                    await _until_none(connection, _REBALANCING)
                    takes = await connection.fetchval(
                        "SELECT shouldhaveshards FROM pg_dist_node WHERE (nodename, nodeport) = ($1::text, $2::int)",
                        last.host,
                        last.port,
                    )
                    await connection.execute(
                        "SELECT citus_set_node_property($1, $2, 'shouldhaveshards', $3)",
                        last.host,
                        last.port,
                        not takes,
                    )
                    await connection.execute("SELECT citus_rebalance_start(shard_transfer_mode := 'auto')")
            await asyncio.sleep(0.3)

    async def _moves(self) -> int:
        """How many shards have moved so far, each with those that are placed like it."""
        async with _connected(self._cluster.dsn) as connection:
            return int(await connection.fetchval(_MOVES))

    async def _until_one_moves(self) -> None:
        begin = time.perf_counter()
        async with _connected(self._cluster.dsn) as connection:
            while not await connection.fetchval(_MOVING):
                if time.perf_counter() - begin > _RECOVERY_LIMIT:
                    raise Violated(f"no shard moves after {_RECOVERY_LIMIT:.0f} s")
                await asyncio.sleep(0.1)

    async def _moved(self) -> int:
        """End what moves; how many shards have moved so far."""
        async with _connected(self._cluster.dsn) as connection:
            await _until_none(connection, _ORPHANED)
            with suppress(asyncpg.PostgresError):  # none is under way
                await connection.execute("SELECT citus_rebalance_stop()")
            await _until_none(connection, _REBALANCING)
        return await self._moves()

    async def _nothing_in_doubt(self) -> None:
        """Wait until the cluster has settled each prepared transaction by itself."""
        for node in self._cluster.nodes.values():
            async with _connected(node.dsn) as connection:
                await _until_none(connection, "SELECT count(*) FROM pg_prepared_xacts")

    async def _check(self, outcome: Outcome) -> None:
        prefix = f"{self._seed}-{outcome.victim}-{outcome.during}-"
        async with _connected(self._cluster.dsn) as connection:
            rows = await connection.fetch(_STORED, SYSTEM)
        stored = {row["name"]: row["n"] for row in rows if row["name"].startswith(prefix)}
        outcome.stored = sum(stored.values())
        lost = [name for name, size in outcome.acknowledged.items() if stored.get(name, 0) < size]
        sizes = Counter(n for name, n in stored.items() if name not in outcome.acknowledged)
        if lost:
            raise Violated(f"{len(lost)} acknowledged writes are lost: {lost[:5]}")
        if set(sizes) - {1, _SIZE} or (outcome.during == "transactions" and set(sizes) - {_SIZE}):
            raise Violated(f"half transactions: {dict(sizes)}")
        unheard = stored.keys() - outcome.acknowledged.keys() - outcome.unknown
        twice = [name for name, size in outcome.acknowledged.items() if stored[name] > size]
        if unheard or twice:
            raise Violated(f"stored, but never sent: {sorted(unheard)[:5]}; stored twice: {twice[:5]}")

    def close(self) -> None:
        """Close all connections."""
        self._api.close()


@asynccontextmanager
async def _connected(dsn: str) -> AsyncIterator["asyncpg.Connection"]:
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        yield connection
    finally:
        with suppress(TimeoutError, OSError):
            await connection.close(timeout=5)


async def _until_none(connection: "asyncpg.Connection", count: str) -> None:
    begin = time.perf_counter()
    while await connection.fetchval(count):
        if time.perf_counter() - begin > _SETTLED_LIMIT:
            raise Violated(f"not settled after {_SETTLED_LIMIT:.0f} s: {count}")
        await asyncio.sleep(0.3)


async def faults(
    cluster: OwnCluster,
    port: int,
    workers: int,
    kinds: list[tuple[str, str]],
    rounds: int,
    seed: str,
    query_nodes: str = "coordinator",
) -> AsyncIterator[Outcome]:
    """The outcome of the rounds of each kind, as it comes. Raises Violated."""
    await asyncio.to_thread(upgrade, cluster.dsn)
    server = Server(cluster.dsn, port, workers, FHIR_DATABASE__QUERY_NODES=query_nodes)
    server.start()
    run = Faults(cluster, server, seed)
    try:
        await ready(port, "/health/ready")
        for victim, during in kinds:
            yield await run.rounds(victim, during, rounds)
    finally:
        run.close()
        server.kill()


async def _run(arguments: argparse.Namespace) -> None:
    apart = can_be_apart()
    victims = [victim for victim in arguments.victims if victim != "network" or apart]
    if not apart and "network" in arguments.victims:
        print("Nodes can't be cut off here: that needs root, ip and network namespaces.\n")
    kinds = [(victim, during) for victim in victims for during in arguments.during]
    print(HEAD, flush=True)
    with own_cluster(3 if "rebalancing" in arguments.during else 2, apart=apart) as cluster:
        async for outcome in faults(
            cluster,
            arguments.port,
            arguments.workers,
            kinds,
            arguments.rounds,
            arguments.seed,
            arguments.query_nodes,
        ):
            print(outcome.row(), flush=True)


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(prog="python -m drill.faults", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--victims", nargs="+", choices=VICTIMS, default=list(VICTIMS))
    parser.add_argument("--during", nargs="+", choices=DURING, default=list(DURING))
    parser.add_argument("--workers", type=int, default=2, help="processes of the server")
    parser.add_argument("--port", type=int, default=8391)
    parser.add_argument("--query-nodes", choices=("coordinator", "all"), default="coordinator", help="whom it asks")
    parser.add_argument("--seed", default=f"{time.time_ns() % 1_000_000}", help="of what is random")
    arguments = parser.parse_args()
    try:
        asyncio.run(_run(arguments))
    except Violated as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
