"""Through a PgBouncer that lends the database's connections for transactions only: one for many clients."""

import asyncio

import pytest

from fhirserver.fhir.outcomes import Unavailable
from fhirserver.storage import migrate
from fhirserver.storage.engine import Pool
from fhirserver.storage.unit_of_work import PostgresStore
from tests.pgbouncer import pgbouncer


@pytest.fixture(scope="module")
def through(dsn):
    with pgbouncer(dsn, size=1) as pooled:
        yield pooled


async def test_statements_of_two_clients_in_turn_on_one_connection(through):
    pool = Pool(through, size=2, pooler="transaction")
    async with pool.connection() as one, pool.connection() as other:
        for i in range(10):
            assert await one.fetchval("SELECT $1::int + 1", i) == i + 1
            assert await other.fetchval("SELECT $1::text || '!'", str(i)) == f"{i}!"
        assert await one.fetchval("SELECT pg_backend_pid()") == await other.fetchval("SELECT pg_backend_pid()")
        async with one.transaction():
            assert await one.fetchval("SELECT count(*) FROM pg_prepared_statements") == 0
    await pool.close()


async def test_many_at_once(through):
    pool = Pool(through, size=8, pooler="transaction")

    async def ask(number):
        async with pool.connection() as driver, driver.transaction():
            await driver.execute("SELECT pg_advisory_xact_lock(1)")
            return await driver.fetchval("SELECT $1::int", number)

    assert await asyncio.gather(*(ask(number) for number in range(50))) == list(range(50))
    await pool.close()


async def test_what_the_pooler_does_not_set_is_told(dsn, through):
    pool = Pool(through, pooler="transaction")
    assert await pool.lacking() == []
    await pool.close()
    with pgbouncer(dsn, connect_query="SET jit = off") as other:
        pool = Pool(other, pooler="transaction", statement_timeout_ms=5000)
        assert await pool.lacking() == ["SET plan_cache_mode = force_custom_plan", "SET statement_timeout = 5000"]
        await pool.close()


async def test_without_the_setting_it_is_told(through):
    pool = Pool(through)
    with pytest.raises(Unavailable, match="FHIR_DATABASE__POOLER"):
        await pool.lacking()
    await pool.close()


async def test_migrations_leave_nothing_on_the_connection(through):
    await asyncio.to_thread(migrate.upgrade, through)
    await asyncio.to_thread(migrate.upgrade, through)
    assert await asyncio.to_thread(migrate.missing, through) is None


async def test_the_store_opens(through):
    pool = Pool(through, size=2, pooler="transaction")
    store = PostgresStore(pool, lambda *_: None)
    await store.open()
    async with store.transaction() as session:
        await session.lock(["a"], ["b"])
        assert await session.receipts([b"never"]) == set()
    await pool.close()
