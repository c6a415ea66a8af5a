"""Queries on several nodes: on a plain PostgreSQL the same one stands for all of them."""

import pytest

from fhirserver.fhir.outcomes import Unavailable
from fhirserver.interactions.create import create as create_resource
from fhirserver.storage.engine import Pool
from fhirserver.storage.spread import Spread, listed, workers_of
from fhirserver.storage.unit_of_work import PostgresStore

NOBODY = "postgresql://nobody@127.0.0.1:1/nothing"


def spread_over(pool, *dsns):
    return Spread(pool, listed(dsns), lambda dsn: Pool(dsn, size=8, connect_timeout=3))


async def test_the_node_with_the_most_free_connections(dsn, pool):
    spread = spread_over(pool, dsn)
    await spread.look()
    async with spread.connection() as one, spread.connection() as other:
        assert await one.fetchval("SELECT 1") == await other.fetchval("SELECT 1") == 1
        assert pool.in_use()[0] == 1
        assert spread.in_use() == (2, 16)
    assert spread.in_use() == (0, 16)
    await spread.close()


async def test_who_is_away_is_left_out_and_taken_again(dsn, pool):
    dsns = [NOBODY]
    spread = Spread(pool, lambda: listed(dsns)(), lambda given: Pool(given, size=8))
    await spread.look()
    assert spread.nodes() == {NOBODY: False}
    async with spread.connection() as driver:
        assert await driver.fetchval("SELECT 1") == 1
    assert pool.in_use()[0] == 0
    dsns.append(dsn)
    await spread.look()
    assert spread.nodes() == {NOBODY: False, dsn: True}
    dsns.remove(NOBODY)
    await spread.look()
    assert spread.nodes() == {dsn: True}
    await spread.close()


async def test_a_node_that_breaks_under_a_query_is_left_out_until_it_answers(dsn):
    away = Pool(NOBODY, size=1)
    spread = spread_over(away, dsn)
    await spread.look()
    with pytest.raises(Unavailable):
        async with spread.connection() as driver:
            await driver.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    assert spread.nodes() == {dsn: False}
    await spread.look()
    assert spread.nodes() == {dsn: True}
    await spread.close()


async def test_when_all_are_away_it_is_told(dsn):
    spread = spread_over(Pool(NOBODY, size=1), NOBODY)
    await spread.look()
    with pytest.raises(Unavailable):
        async with spread.connection():
            pass


async def test_transactions_and_what_changes_the_server_stay_on_the_coordinator(dsn, pool, server, call):
    used = []

    class Told(Spread):
        def connection(self, group=None):
            used.append(1)
            return super().connection(group)

    spread = Told(pool, listed([dsn]), lambda given: Pool(given, size=8))
    await spread.look()
    store = PostgresStore(pool, lambda *_: None, spread=spread)
    await store.open()
    async with store.transaction() as session:
        await session.lock(["a"])
        await session.receipts([b"x"])
    assert used == []
    await store.receipts([b"x"])
    assert used == [1]
    await spread.close()


async def test_all_workers_of_a_cluster_answer(dsn, pool, on_citus, server, call):
    if not on_citus:
        assert await workers_of(pool, dsn)() == []
        return
    written = await create_resource(server, call, "Patient", {"resourceType": "Patient", "active": True})
    workers = await workers_of(pool, dsn)()
    assert len(workers) == 2
    for worker in workers:
        alone = Pool(worker, size=2)
        async with alone.connection() as driver:
            found = await driver.fetchval("SELECT count(*) FROM resource WHERE id = $1", written.stored.id)
        assert found == 1
        await alone.close()
