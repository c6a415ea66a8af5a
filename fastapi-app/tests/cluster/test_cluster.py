"""`fhirserver cluster`: nodes, shards, places; a worker leaves and joins while others write.

On plain PostgreSQL all but one are skipped, loudly. The worker that leaves comes back.
"""

import asyncio

import pytest

from fhirserver.interactions.create import create
from fhirserver.interactions.read import read
from fhirserver.storage.cluster import ClusterError, balance, cluster


@pytest.fixture
def citus_only(on_citus):
    if not on_citus:
        pytest.skip("SKIPPED: NO CITUS. Run with --database on a cluster")


async def test_without_citus_there_is_no_cluster(dsn, on_citus):
    if on_citus:
        pytest.skip("this is a cluster")
    with pytest.raises(ClusterError, match="no Citus"):
        async with cluster(dsn):
            pass


@pytest.mark.usefixtures("citus_only")
async def test_nodes_and_shards(dsn, server, call):
    async with cluster(dsn) as citus:
        nodes = await citus.nodes()
        assert [node.is_coordinator for node in nodes] == [True, False, False]
        assert all(node.is_reachable for node in nodes)
        shards = await citus.shards()
        on_workers = [shard for shard in shards if shard.table == "resource"]
        assert len({(shard.host, shard.port) for shard in on_workers}) == 2
        assert sum(node.shards for node in nodes) == len(shards)
        assert balance(nodes).endswith("shards a node")


@pytest.mark.usefixtures("citus_only")
async def test_a_patients_resources_are_located_on_one_shard(dsn, server, call):
    patient = (await create(server, call, "Patient", {"resourceType": "Patient"})).stored.id
    body = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}
    body["subject"] = {"reference": f"Patient/{patient}"}
    observation = (await create(server, call, "Observation", body)).stored.id
    async with cluster(dsn) as citus:
        assert await citus.locate("Patient", patient) == await citus.locate("Observation", observation)
        with pytest.raises(ClusterError, match="not known"):
            await citus.locate("Patient", "nobody")


@pytest.mark.usefixtures("citus_only")
async def test_a_worker_leaves_and_joins_while_others_write(dsn, server, call):
    written = []
    stop = asyncio.Event()

    async def write() -> None:
        while not stop.is_set():
            written.append((await create(server, call, "Patient", {"resourceType": "Patient"})).stored.id)
            await asyncio.sleep(0.01)

    writing = asyncio.create_task(write())
    async with cluster(dsn) as citus:
        worker = (await citus.nodes())[-1]
        assert not await citus.add_worker(worker.host, worker.port)  # it is there
        steps = [step async for step in citus.remove_worker(worker.host, worker.port)]
        assert (steps[-1].state, steps[-1].done) == ("finished", steps[-1].total)
        assert len(await citus.nodes()) == 2
        assert await citus.add_worker(worker.host, worker.port)
        assert [step.state async for step in citus.rebalance()][-1] == "finished"
        counts = [node.shards for node in await citus.nodes() if not node.is_coordinator]
        assert max(counts) - min(counts) <= max(counts) // 4
        with pytest.raises(ClusterError, match="no node"):
            async for _ in citus.remove_worker("nowhere", 5432):
                pass
    stop.set()
    await writing
    assert len(written) > 10
    for id in written:
        assert (await read(server, call, "Patient", id)).id == id
