"""What the driver's errors become, and that a broken connection is not lent out again."""

import asyncpg
import pytest

from fhirserver.fhir.outcomes import Conflict, InternalError, RolledBack, TooCostly, Unavailable
from fhirserver.storage.engine import Pool
from fhirserver.storage.errors import translated


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (asyncpg.DeadlockDetectedError("x"), RolledBack),
        (asyncpg.SerializationError("x"), RolledBack),
        (asyncpg.UniqueViolationError("x"), Conflict),
        (asyncpg.QueryCanceledError("x"), TooCostly),
        (asyncpg.AdminShutdownError("x"), Unavailable),
        (asyncpg.CannotConnectNowError("x"), Unavailable),
        (asyncpg.ConnectionDoesNotExistError("x"), Unavailable),
        (asyncpg.TooManyConnectionsError("x"), Unavailable),
        (asyncpg.InterfaceError("x"), Unavailable),
        (asyncpg.InternalClientError("x"), Unavailable),
        (ConnectionRefusedError(), Unavailable),
        (TimeoutError(), Unavailable),
        (asyncpg.InvalidSavepointSpecificationError("x"), Unavailable),  # it was on a node that is gone
        (asyncpg.InternalServerError("failure on connection marked as essential: w1:5432"), Unavailable),
        (asyncpg.InternalServerError("server closed the connection unexpectedly"), Unavailable),
        (asyncpg.InternalServerError("x"), InternalError),
        (asyncpg.UndefinedTableError("x"), InternalError),
    ],
)
def test_what_an_error_becomes(error, expected):
    assert type(translated(error)) is expected


async def test_a_statement_that_takes_too_long_is_stopped(dsn):
    pool = Pool(dsn, size=1, statement_timeout_ms=50)
    with pytest.raises(TooCostly):
        async with pool.connection() as driver:
            await driver.execute("SELECT pg_sleep(5)")
    await pool.close()


async def test_a_connection_that_was_ended_is_replaced(dsn, pool):
    async with pool.connection() as driver:
        first = await driver.fetchval("SELECT pg_backend_pid()")
    other = await asyncpg.connect(dsn)
    await other.execute("SELECT pg_terminate_backend($1::int)", first)
    await other.close()
    for _ in range(3):
        try:
            async with pool.connection() as driver:
                assert await driver.fetchval("SELECT pg_backend_pid()") != first
        except Unavailable:  # the end of the connection had not arrived yet
            continue
        return
    pytest.fail("the ended connection is lent out again and again")


async def test_a_connection_left_in_a_transaction_is_not_lent_out_again(dsn):
    pool = Pool(dsn, size=1)
    async with pool.connection() as driver:
        first = await driver.fetchval("SELECT pg_backend_pid()")
        await driver.execute("BEGIN")
    async with pool.connection() as driver:
        assert await driver.fetchval("SELECT pg_backend_pid()") != first
        assert not driver.is_in_transaction()
    await pool.close()


async def test_a_server_that_is_not_there_is_unavailable():
    pool = Pool("postgresql://nobody@127.0.0.1:1/nothing", size=1)
    with pytest.raises(Unavailable):
        async with pool.connection():
            pass
    await pool.close()
