"""Nodes of a real Citus cluster are killed and cut off: nothing acknowledged is lost, and the rest goes on.

The cluster is made for these tests, where PostgreSQL with Citus is installed; nodes are cut off where root may make
network namespaces. `--fault-rounds 20` is what the README's figures are of (`python -m drill.faults`).
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import pytest
from test_cli import free_port

from bench.serving import ready
from drill.api import Api
from drill.faults import DURING, VICTIMS, Server, faults
from drill.own_cluster import NoCitus, OwnCluster, can_be_apart, own_cluster
from fhirserver.storage.cluster import cluster as citus_at
from fhirserver.storage.migrate import upgrade

# Of each victim and each work something, if it is not more rounds that are asked for.
FEW = {
    "coordinator": [
        ("worker", "transactions"),
        ("coordinator", "creates"),
        ("api", "transactions"),
        ("network", "transactions"),
    ],
    "all": [("worker", "creates"), ("worker", "rebalancing")],
}
PATIENCE = 4


@pytest.fixture(scope="module")
def citus() -> Iterator[OwnCluster]:
    try:
        with own_cluster(3, apart=can_be_apart(), durable=False) as made:
            upgrade(made.dsn)
            yield made
    except NoCitus as reason:
        pytest.skip(f"SKIPPED: {reason}")


@pytest.mark.parametrize("query_nodes", ["coordinator", "all"])
async def test_nothing_acknowledged_is_lost(request, citus, query_nodes):
    rounds = request.config.getoption("--fault-rounds")
    kinds = FEW[query_nodes] if rounds == 1 else [(victim, during) for victim in VICTIMS for during in DURING]
    kinds = [kind for kind in kinds if kind[0] != "network" or citus.is_apart]
    async for outcome in faults(citus, free_port(), 2, kinds, rounds, f"test-{query_nodes}", query_nodes):
        print(outcome.row())
        assert len(outcome.acknowledged) > rounds


@dataclass
class Served:
    """A server that waits for nodes no longer than `PATIENCE`, and a patient on each of two workers."""

    api: Api
    there: str
    elsewhere: str


@pytest.fixture
async def served(citus, query_nodes) -> AsyncIterator[Served]:
    settings = {"FHIR_DATABASE__PATIENCE_SECONDS": str(PATIENCE), "FHIR_DATABASE__QUERY_NODES": query_nodes}
    server = Server(citus.dsn, free_port(), 1, **settings)
    server.start()
    api = Api(f"http://127.0.0.1:{server.port}")
    try:
        await ready(server.port, "/health/ready")
        places: dict[str, str] = {}
        async with citus_at(citus.dsn) as known:
            while len(places) < 2:
                answer = await api.send("POST", "/fhir/Patient", {"resourceType": "Patient"})
                id = json.loads(answer.body)["id"]
                place = await known.locate("Patient", id)
                if place.host == citus.nodes["worker-1"].host and place.port == citus.nodes["worker-1"].port:
                    places["there"] = id
                else:
                    places["elsewhere"] = id
        yield Served(api, **places)
    finally:
        api.close()
        server.kill()


def observation(who: str) -> dict[str, object]:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "x"},
        "subject": {"reference": f"Patient/{who}"},
    }


@pytest.mark.parametrize(("strike", "mend", "query_nodes"), [("kill", "start", "coordinator"), ("cut", "heal", "all")])
async def test_a_worker_away_is_told_and_the_others_go_on(citus, served, strike, mend):
    if strike == "cut" and not citus.is_apart:
        pytest.skip("SKIPPED: NO NETWORK NAMESPACES HERE, nodes can't be cut off")
    api = served.api
    asked = {
        "read": ("GET", "/fhir/Patient/{}", False),
        "create": ("POST", "/fhir/Observation", True),
        "search": ("GET", "/fhir/Observation?patient={}", False),
        "history": ("GET", "/fhir/Patient/{}/_history", False),
        "transaction": ("POST", "/fhir", True),
    }

    async def ask(name: str, who: str) -> tuple[int, float, str | None]:
        method, path, writes = asked[name]
        body = observation(who) if writes else None
        if name == "transaction":
            entry = {"resource": body, "request": {"method": "POST", "url": "Observation"}}
            body = {"resourceType": "Bundle", "type": "transaction", "entry": [entry] * 2}
        begin = time.perf_counter()
        answer = await api.send(method, path.format(who), body)
        return answer.status, time.perf_counter() - begin, answer.headers.get("retry-after")

    async def health() -> dict[str, object]:
        for path in ("/health", "/health/ready"):
            answer = await api.send("GET", path)
            assert answer.status == 200  # what works is of use
        return json.loads(answer.body)

    worker = citus.nodes["worker-1"]
    await asyncio.to_thread(getattr(citus, strike), worker.name)
    try:
        # Before anybody knows: more requests than there are connections, all for what is there.
        stuck = [asyncio.create_task(ask("read", served.there)) for _ in range(20)]
        await asyncio.sleep(0.5)
        for name in asked:
            if name != "transaction":  # that one begins on a connection of all
                status, seconds, _ = await ask(name, served.elsewhere)
                assert (status < 300, seconds < 3) == (True, True), name
        for status, seconds, retry_after in await asyncio.gather(*stuck):
            assert (status, retry_after) == (503, "5")
            assert seconds < PATIENCE + 6
        told = await health()
        assert told["status"] == "impaired"
        assert told["parts"][f"database {worker.host}:{worker.port}"] == "no answer"
        answers = await asyncio.gather(*(ask(name, served.there) for name in asked))
        for status, seconds, retry_after in answers:
            assert (status, retry_after) == (503, "5")
            assert PATIENCE - 1 < seconds < PATIENCE + 1
        for name in asked:
            status, seconds, _ = await ask(name, served.elsewhere)
            assert (status < 300, seconds < 3) == (True, True), name
    finally:
        await asyncio.to_thread(getattr(citus, mend), worker.name)
    waiting = await asyncio.gather(*(ask(name, served.there) for name in asked))
    assert [status for status, *_ in waiting] == [200, 201, 200, 200, 200]
    assert (await health())["status"] == "ready"
