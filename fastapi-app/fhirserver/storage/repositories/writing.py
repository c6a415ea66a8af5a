"""Writing versions: one row for a new resource, one statement for an update, a few for any number of them.

Every statement that replaces a version is guarded by its number. The row at the home bucket of an id, which is the
resource itself or forwards to where it lives, keeps the id unique: who creates, moves or forwards goes through it.
"""

from collections.abc import Sequence
from typing import Any

import asyncpg

from fhirserver.fhir.datatypes.ids import home_bucket
from fhirserver.interactions.store import FOLLOWED, NewVersion, StoredResource, WriteConflict
from fhirserver.search.entry import IndexEntry
from fhirserver.storage.repositories.conformance import announce
from fhirserver.storage.repositories.outside import note
from fhirserver.storage.statements import Statement, Statements

COLUMNS = (
    "bucket",
    "resource_type",
    "id",
    "version_id",
    "last_updated",
    "deleted",
    "forward_to",
    "content",
    "keys",
    "range_key",
    "range_low",
    "range_high",
    "ref_key",
    "ref_target",
    "self_key",
    "strings",
    "texts",
    "words",
    "sort_date",
    "index_version",
)
_HISTORY_COLUMNS = (
    "bucket",
    "resource_type",
    "id",
    "version_id",
    "last_updated",
    "superseded",
    "deleted",
    "content",
)
_NO_ENTRY = IndexEntry()
_VALUES = ", ".join(f"${number}" for number in range(1, len(COLUMNS) + 1))
_AT = "bucket = $1 AND resource_type = $2 AND id = $3"
GUARD = f"{_AT} AND version_id = ${len(COLUMNS) + 1} AND forward_to IS NULL"

INSERT = Statement("insert", f"INSERT INTO resource ({', '.join(COLUMNS)}) VALUES ({_VALUES}) ON CONFLICT DO NOTHING")
# The old row is locked, archived and only then replaced. Without the lock, who waits for another writer would archive
# what that one has moved elsewhere; without EXISTS, PostgreSQL replaces first and then has nothing left to lock.
REPLACE = Statement(
    "replace",
    "WITH old AS (INSERT INTO resource_history"
    f" SELECT bucket, resource_type, id, version_id, last_updated, $5, deleted, content FROM resource WHERE {GUARD}"
    " FOR UPDATE ON CONFLICT (bucket, resource_type, id, version_id) DO UPDATE SET superseded = excluded.superseded"
    " RETURNING 1)"
    f" UPDATE resource SET ({', '.join(COLUMNS[3:])})"
    f" = ROW({', '.join(f'${number}' for number in range(4, len(COLUMNS) + 1))})"
    f" WHERE {GUARD} AND EXISTS (SELECT 1 FROM old)",
)
LOCK_HOME = Statement("lock_home", f"SELECT forward_to, version_id FROM resource WHERE {_AT} FOR UPDATE")
TAKE = Statement(
    "take",
    f"DELETE FROM resource WHERE {_AT} AND version_id = $4 AND forward_to IS NULL"
    " RETURNING version_id, last_updated, deleted, content",
)
TAKE_HISTORY = Statement(
    "take_history",
    f"DELETE FROM resource_history WHERE {_AT}"
    " RETURNING resource_type, id, version_id, last_updated, superseded, deleted, content",
)
DROP_FORWARD = Statement("drop_forward", f"DELETE FROM resource WHERE {_AT} AND forward_to IS NOT NULL")

_OUTDATED = (
    "unnest($1::int[], $2::text[], $3::text[], $4::bigint[], $5::timestamptz[]) AS old(b, t, i, v, s)"
    " WHERE bucket = b AND resource_type = t AND id = i AND version_id = v AND forward_to IS NULL"
)
ARCHIVE_MANY = Statement(
    "archive_many",
    "INSERT INTO resource_history"
    " SELECT bucket, resource_type, id, version_id, last_updated, s, deleted, content"
    f" FROM resource, {_OUTDATED} ON CONFLICT DO NOTHING",
)
REMOVE_MANY = Statement("remove_many", f"DELETE FROM resource USING {_OUTDATED}")
_IN_BUCKET = " AND bucket = $6"
ARCHIVE_MANY_IN_BUCKET = Statement(
    "archive_many",
    ARCHIVE_MANY.sql.replace(" ON CONFLICT", f"{_IN_BUCKET} ON CONFLICT"),
)
REMOVE_MANY_IN_BUCKET = Statement("remove_many", REMOVE_MANY.sql + _IN_BUCKET)


async def write(statements: Statements, changes: Sequence[NewVersion]) -> None:
    """Write these versions, all or none. Raises `WriteConflict`; what was done by then is undone."""
    if len(changes) == 1 and not changes[0].elsewhere and changes[0].version.resource_type not in FOLLOWED:
        await _write_one(statements, changes[0])
        return
    async with statements.driver.transaction():
        await (_write_many(statements, changes) if len(changes) > 1 else _write_one(statements, changes[0]))
        await note(
            statements, ((patient, change.version.resource_type) for change in changes for patient in change.elsewhere)
        )
        await announce(statements, changes)


async def _write_one(statements: Statements, change: NewVersion) -> None:
    version, previous = change.version, change.previous
    if previous is None and home_bucket(version.id) == version.bucket:
        changed = await statements.run(INSERT, *row(change))
    elif previous is not None and previous.bucket == version.bucket:
        changed = await statements.run(REPLACE, *row(change), previous.version_id)
    else:
        async with statements.driver.transaction():
            await (_move(statements, change, previous) if previous else _insert_away(statements, change))
        return
    if changed != 1:
        raise WriteConflict


async def _write_many(statements: Statements, changes: Sequence[NewVersion]) -> None:
    """New rows by COPY; replaced ones go to the history and are copied anew; moves, which are rare, one by one."""
    fresh: list[tuple[Any, ...]] = []
    outdated: list[tuple[Any, ...]] = []
    moved: list[tuple[NewVersion, StoredResource]] = []
    for change in changes:
        version, previous = change.version, change.previous
        if previous is None:
            fresh.append(row(change))
            home = home_bucket(version.id)
            if home != version.bucket:
                fresh.append(_forward(version, home))
        elif previous.bucket == version.bucket:
            fresh.append(row(change))
            outdated.append(
                (version.bucket, version.resource_type, version.id, previous.version_id, version.last_updated)
            )
        else:
            moved.append((change, previous))
    # Always in the same order, so that two transactions don't wait for each other.
    for change, previous in sorted(moved, key=lambda move: (move[1].resource_type, move[1].id)):
        await _move(statements, change, previous)
    if outdated:
        columns = [list(column) for column in zip(*sorted(outdated), strict=True)]
        buckets = set(columns[0])
        if len(buckets) == 1:
            await statements.run(ARCHIVE_MANY_IN_BUCKET, *columns, buckets.pop())
            removed = await statements.run(REMOVE_MANY_IN_BUCKET, *columns, columns[0][0])
        else:
            await statements.run(ARCHIVE_MANY, *columns)
            removed = await statements.run(REMOVE_MANY, *columns)
        if removed != len(outdated):
            raise WriteConflict
    if fresh:
        try:
            await statements.copy("copy", "resource", COLUMNS, fresh)
        except asyncpg.UniqueViolationError as error:
            raise WriteConflict from error


async def _insert_away(statements: Statements, change: NewVersion) -> None:
    """A new id whose home is another bucket than the patient's: the forwarding row comes first, and decides."""
    version = change.version
    if await statements.run(INSERT, *_forward(version, home_bucket(version.id))) != 1:
        raise WriteConflict
    if await statements.run(INSERT, *row(change)) != 1:
        raise WriteConflict


async def _move(statements: Statements, change: NewVersion, previous: StoredResource) -> None:
    """The resource changes its bucket: it moves with its history, and the home row tells where it is now."""
    version = change.version
    address = (version.resource_type, version.id)
    home = home_bucket(version.id)
    if await statements.row(LOCK_HOME, home, *address) is None:
        raise WriteConflict
    old = await statements.row(TAKE, previous.bucket, *address, previous.version_id)
    if old is None:
        raise WriteConflict
    history = [
        (version.bucket, *row.values()) for row in await statements.rows(TAKE_HISTORY, previous.bucket, *address)
    ]
    history.append(
        (
            version.bucket,
            *address,
            old["version_id"],
            old["last_updated"],
            version.last_updated,
            old["deleted"],
            old["content"],
        )
    )
    await statements.copy("copy_history", "resource_history", _HISTORY_COLUMNS, history)
    if previous.bucket != home:
        await statements.run(DROP_FORWARD, home, *address)
    if version.bucket != home:
        await statements.run(INSERT, *_forward(version, home))
    if await statements.run(INSERT, *row(change)) != 1:
        raise WriteConflict


def _forward(version: StoredResource, home: int) -> tuple[Any, ...]:
    """The row at the home bucket of an id that lives elsewhere."""
    return (
        home,
        version.resource_type,
        version.id,
        0,
        version.last_updated,
        False,
        version.bucket,
        None,
        *index_values(_NO_ENTRY),
    )


def row(change: NewVersion) -> tuple[Any, ...]:
    """The values of `COLUMNS`."""
    version = change.version
    return (
        version.bucket,
        version.resource_type,
        version.id,
        version.version_id,
        version.last_updated,
        version.deleted,
        None,
        version.content,
        *index_values(change.entry or _NO_ENTRY),
    )


def index_values(entry: IndexEntry) -> tuple[Any, ...]:
    """The values of `COLUMNS` from `keys` on."""
    return (
        entry.keys,
        entry.range_key,
        entry.range_low,
        entry.range_high,
        entry.ref_key,
        entry.ref_target,
        entry.self_key,
        entry.strings,
        entry.texts,
        (entry.narrative, entry.words),
        entry.sort_date,
        entry.index_version,
    )
