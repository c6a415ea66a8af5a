"""A database that is away for a moment: what is tried again, and what is not."""

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory

import asyncpg
import pytest

from fhirserver.fhir.outcomes import RolledBack, TooCostly, Unavailable
from fhirserver.storage.embedded import EmbeddedPostgres
from fhirserver.storage.engine import Pool
from fhirserver.storage.errors import NothingDone
from fhirserver.storage.migrate import upgrade
from fhirserver.storage.patience import patiently, was_nothing_done
from fhirserver.storage.unit_of_work import PostgresStore

REFUSED = "connection to the remote node db@w1:5432 failed with the following error: Connection refused"
LOST = "connection to the remote node db@w1:5432 failed with the following error: server closed the connection"


def unavailable(cause: BaseException) -> Unavailable:
    error = Unavailable("away")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("cause", "expected"),
    [
        (ConnectionResetError(), False),  # it was sent, and then the connection broke
        (asyncpg.ConnectionFailureError(REFUSED), True),  # the coordinator did not reach the worker
        (asyncpg.ConnectionFailureError(LOST), False),  # the worker may have done it
        (asyncpg.AdminShutdownError("x"), False),
        (TimeoutError(), False),
    ],
)
def test_whether_nothing_was_done(cause, expected):
    assert was_nothing_done(unavailable(cause)) is expected


async def test_nothing_is_done_without_a_connection(embedded):
    dsn = await asyncio.to_thread(embedded.start)
    pool = Pool(dsn, size=1)
    await asyncio.to_thread(embedded.stop)
    with pytest.raises(NothingDone):
        async with pool.connection():
            pass
    await pool.close()


@pytest.mark.parametrize(
    ("error", "only_reads", "attempts"),
    [
        (unavailable(asyncpg.AdminShutdownError("x")), True, 3),  # a read may be repeated
        (unavailable(asyncpg.AdminShutdownError("x")), False, 1),  # a write may have been done
        (NothingDone("x"), False, 3),  # not this one
        (RolledBack("x"), True, 1),  # who began the transaction begins it again
        (TooCostly("x"), True, 1),  # it would take as long again
    ],
)
async def test_what_is_tried_again(error, only_reads, attempts):
    made = []

    async def attempt() -> str:
        made.append(1)
        if len(made) < 3:
            raise error
        return "done"

    if attempts == 3:
        assert await patiently(attempt, 60, only_reads=only_reads) == "done"
    else:
        with pytest.raises(type(error)):
            await patiently(attempt, 60, only_reads=only_reads)
    assert len(made) == attempts


async def test_without_patience_nothing_is_tried_again():
    async def attempt() -> None:
        raise NothingDone("x")

    with pytest.raises(Unavailable):
        await patiently(attempt, 0, only_reads=True)


@pytest.fixture
def embedded():
    """A PostgreSQL of its own, which the test may stop and start."""
    with TemporaryDirectory(prefix="fhirserver-tests-") as folder:
        Path(folder).chmod(0o755)
        embedded = EmbeddedPostgres(Path(folder))
        yield embedded
        embedded.stop()


async def test_a_restart_of_the_database_is_waited_for(embedded):
    dsn = await asyncio.to_thread(embedded.start)
    await asyncio.to_thread(upgrade, dsn)
    pool = Pool(dsn, size=2)
    store = PostgresStore(pool, lambda *_: None, patience=60)
    await store.open()
    await asyncio.to_thread(embedded.stop)
    reading = asyncio.create_task(store.receipts([b"x"]))
    await asyncio.sleep(0.3)
    assert not reading.done()
    await asyncio.to_thread(embedded.start)
    assert await reading == set()
    await asyncio.to_thread(embedded.stop)
    beginning = asyncio.create_task(_noted(store))
    await asyncio.sleep(0.3)
    assert not beginning.done()
    await asyncio.to_thread(embedded.start)
    assert await beginning
    await pool.close()


async def _noted(store: PostgresStore) -> bool:
    async with store.transaction() as session:
        return await session.receipt(b"xx")
