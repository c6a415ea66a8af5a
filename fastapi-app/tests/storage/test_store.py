"""What is written comes back: versions, deletions, moves between buckets, many at once, and conflicts."""

import asyncio
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from fhirserver.fhir.datatypes.ids import home_bucket, uuid8
from fhirserver.interactions.store import HistoryRequest, NewVersion, StoredResource, WriteConflict
from fhirserver.search.extract import IndexEntry
from fhirserver.storage.unit_of_work import PostgresStore

NOW = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)


def new_id(bucket: int) -> str:
    return uuid8(bucket, 1_700_000_000_000, random.getrandbits(62))


def client_id() -> str:
    return f"client-{random.getrandbits(60)}"


def entry() -> IndexEntry:
    return IndexEntry(
        keys=[-3, 1, 2],
        range_key=[5],
        range_low=[1.5],
        range_high=[2.5],
        ref_key=[7],
        ref_target=[8],
        self_key=9,
        strings="\x1ename=x\x1e",
        sort_date=NOW,
    )


def first(id: str, bucket: int) -> NewVersion:
    content = b'{"resourceType":"Observation","value":1.00,"text":"\xc3\xa9"}'
    return NewVersion(StoredResource("Observation", id, 1, NOW, False, content, bucket), entry(), None)


def after(previous: StoredResource, *, bucket: int | None = None, deleted: bool = False) -> NewVersion:
    version = replace(
        previous,
        version_id=previous.version_id + 1,
        last_updated=previous.last_updated + timedelta(seconds=1),
        bucket=previous.bucket if bucket is None else bucket,
        deleted=deleted,
        content=None if deleted else b'{"resourceType":"Observation"}',
    )
    return NewVersion(version, None if deleted else entry(), previous)


async def read(store: PostgresStore, id: str) -> StoredResource:
    found = await store.read("Observation", id, None)
    assert found is not None
    return found


async def test_a_new_resource_is_one_statement_and_comes_back_to_the_byte(store, statements):
    change = first(new_id(77), 77)
    await store.write([change])
    assert await store.read("Observation", change.version.id, None) == change.version
    assert statements.names == ["insert", "read"]


async def test_unknown_is_none(store):
    assert await store.read("Observation", new_id(1), None) is None
    assert await store.read_version("Observation", new_id(1), 1) is None


async def test_an_update_is_one_statement_and_keeps_the_old_version(store, statements):
    change = first(new_id(77), 77)
    await store.write([change])
    update = after(change.version)
    await store.write([update])
    assert statements.names == ["insert", "replace"]
    assert await read(store, change.version.id) == update.version
    assert await store.read_version("Observation", change.version.id, 1) == change.version
    assert await store.read_version("Observation", change.version.id, 2) == update.version
    assert await store.read_version("Observation", change.version.id, 3) is None


async def test_an_id_is_given_once(store):
    change = first(new_id(77), 77)
    await store.write([change])
    with pytest.raises(WriteConflict):
        await store.write([change])


async def test_an_update_of_an_outdated_version_is_refused(store):
    change = first(new_id(77), 77)
    await store.write([change])
    await store.write([after(change.version)])
    with pytest.raises(WriteConflict):
        await store.write([after(change.version)])
    assert (await read(store, change.version.id)).version_id == 2


async def test_of_many_updates_at_once_one_wins(store):
    change = first(new_id(77), 77)
    await store.write([change])
    outcomes = await asyncio.gather(*(store.write([after(change.version)]) for _ in range(8)), return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["NoneType"] + ["WriteConflict"] * 7


async def test_a_resource_away_from_home_is_found_by_its_forwarding_row(store):
    id = client_id()
    bucket = (home_bucket(id) + 1) % 4096
    change = first(id, bucket)
    await store.write([change])
    assert await read(store, id) == change.version
    with pytest.raises(WriteConflict):
        await store.write([first(id, (bucket + 1) % 4096)])
    with pytest.raises(WriteConflict):
        await store.write([first(id, home_bucket(id))])


@pytest.mark.parametrize("path", [[10, 20], [10, 20, 30], [10, 20, 10], [20, 10, 20], [20, 30, 20]])
async def test_a_resource_moves_with_its_history(store, path):
    id = new_id(10)
    change = first(id, path[0])
    await store.write([change])
    versions = [change.version]
    for bucket in path[1:]:
        change = after(versions[-1], bucket=bucket)
        await store.write([change])
        versions.append(change.version)
    assert await read(store, id) == versions[-1]
    for version in versions[:-1]:
        moved = await store.read_version("Observation", id, version.version_id)
        assert moved == replace(version, bucket=path[-1])
    page = await store.history(HistoryRequest("Observation", id, 100))
    assert [version.version_id for version in page.versions] == list(range(len(path), 0, -1))


async def test_of_many_moves_at_once_one_wins(store):
    id = new_id(10)
    change = first(id, 10)
    await store.write([change])
    outcomes = await asyncio.gather(
        *(store.write([after(change.version, bucket=bucket)]) for bucket in range(11, 17)),
        return_exceptions=True,
    )
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["NoneType"] + ["WriteConflict"] * 5
    assert (await read(store, id)).version_id == 2


async def test_a_deletion_is_a_version_and_can_be_followed(store):
    change = first(new_id(77), 77)
    await store.write([change])
    deleted = after(change.version, deleted=True)
    await store.write([deleted])
    assert await read(store, change.version.id) == deleted.version
    revived = after(deleted.version)
    await store.write([revived])
    assert await store.read_version("Observation", change.version.id, 2) == deleted.version
    assert await read(store, change.version.id) == revived.version


@pytest.mark.parametrize("buckets", [[5] * 50, list(range(50))], ids=["one bucket", "many buckets"])
async def test_many_changes_are_a_fixed_number_of_statements(store, statements, buckets):
    changes = [first(new_id(bucket), bucket) for bucket in buckets]
    async with store.transaction() as session:
        await session.write(changes)
    assert statements.names == ["copy"]
    targets = [("Observation", change.version.id) for change in changes]
    found = await store.read_many(targets, lambda _: None)
    assert {target: found[target] for target in targets} == {
        target: change.version for target, change in zip(targets, changes, strict=True)
    }
    statements.names.clear()
    async with store.transaction() as session:
        await session.write([after(change.version) for change in changes])
    assert statements.names == ["archive_many", "remove_many", "copy"]
    async with store.transaction() as session:
        with pytest.raises(WriteConflict):
            await session.write([after(change.version) for change in changes])
    assert {stored.version_id for stored in (await store.read_many(targets, lambda _: None)).values()} == {2}


async def test_a_failed_transaction_leaves_nothing(store):
    change = first(new_id(77), 77)

    async def fail() -> None:
        async with store.transaction() as session:
            await session.write([change])
            await session.write([first(new_id(78), 78), first(client_id(), 5)])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()
    assert await store.read("Observation", change.version.id, None) is None


async def test_two_creators_of_one_client_id_with_different_patients(store):
    id = client_id()
    buckets = [bucket for bucket in range(20) if bucket != home_bucket(id)][:6]
    outcomes = await asyncio.gather(*(store.write([first(id, bucket)]) for bucket in buckets), return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["NoneType"] + ["WriteConflict"] * 5


async def test_history_pages_of_a_type_give_every_version_once(store, empty):
    changes = [first(new_id(bucket), bucket) for bucket in range(5)]
    await store.write(changes)
    updates = [after(change.version) for change in changes]
    await store.write(updates)
    seen = []
    cursor = None
    while True:
        page = await store.history(HistoryRequest("Observation", None, 3, cursor=cursor))
        seen += [(version.id, version.version_id) for version in page.versions]
        cursor = page.next
        if cursor is None:
            break
    expected = {(change.version.id, change.version.version_id) for change in [*changes, *updates]}
    assert len(seen) == 10
    assert set(seen) == expected
    assert [version for _, version in seen] == [2] * 5 + [1] * 5


async def test_history_since_and_at(store):
    change = first(new_id(77), 77)
    await store.write([change])
    update = after(change.version)
    await store.write([update])

    async def numbers(**conditions):
        request = HistoryRequest("Observation", change.version.id, 10, **conditions)
        return [version.version_id for version in (await store.history(request)).versions]

    second = timedelta(seconds=1)
    assert await numbers(since=NOW) == [2, 1]
    assert await numbers(since=NOW + second) == [2]
    assert await numbers(at=(NOW, NOW)) == [1]
    assert await numbers(at=(NOW, NOW + second)) == [2, 1]
    assert await numbers(at=(NOW + second, NOW + second)) == [2]
    assert await numbers(at=(NOW - second, NOW - second)) == []


async def test_a_receipt_is_given_once(store):
    digest = random.randbytes(32)
    assert await store.receipts([digest]) == set()
    assert await store.receipt(digest) is True
    assert await store.receipt(digest) is False
    assert await store.receipts([digest, b"other"]) == {digest}


async def test_who_waits_for_a_move_archives_nothing_where_the_resource_was(store, pool):
    """The row that a late update would archive is locked by the move; when that is done, it is elsewhere."""
    id = new_id(10)
    change = first(id, 10)
    await store.write([change])
    async with store.transaction() as session:
        await session.write([after(change.version, bucket=20)])
        late = asyncio.create_task(store.write([after(change.version)]))
        await asyncio.sleep(0.05)
        assert not late.done()
    with pytest.raises(WriteConflict):
        await late
    async with pool.connection() as driver:
        where = await driver.fetch("SELECT bucket, version_id FROM resource_history WHERE id = $1", id)
    assert [tuple(row) for row in where] == [(20, 1)]
    moved = await read(store, id)
    await store.write([after(moved, bucket=10)])
    assert [version.version_id for version in (await store.history(HistoryRequest("Observation", id, 9))).versions] == [
        3,
        2,
        1,
    ]


async def test_reads_find_what_moves_meanwhile(store):
    id = new_id(10)
    change = first(id, 11)
    await store.write([change])
    current = change.version
    done = False

    async def look() -> None:
        while not done:
            assert await store.read("Observation", id, None) is not None
            assert await store.read_version("Observation", id, 1) is not None
            assert len(await store.read_many([("Observation", id)], lambda _: None)) == 1
            assert (await store.history(HistoryRequest("Observation", id, 100))).versions[-1].version_id == 1

    looking = [asyncio.create_task(look()) for _ in range(3)]
    for number in range(30):
        change = after(current, bucket=11 + number % 3)
        await store.write([change])
        current = change.version
    done = True
    await asyncio.gather(*looking)
