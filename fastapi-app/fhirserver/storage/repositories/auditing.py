"""The audit log: events as rows of `resource` that stand in a stream, and how far each stream goes."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import asyncpg

from fhirserver.audit.chain import Head, Link
from fhirserver.audit.codes import RECORDED
from fhirserver.audit.facts import NewEvent
from fhirserver.fhir.datatypes.ids import home_bucket
from fhirserver.interactions.store import FOLLOWED, NewVersion, WriteConflict
from fhirserver.storage import binary_copy
from fhirserver.storage.binary_copy import (
    Encode,
    doubles,
    flag,
    instant,
    integer,
    long,
    longs,
    octets,
    text,
    words,
)
from fhirserver.storage.repositories.writing import COLUMNS, GUARD, REPLACE, index_values, row
from fhirserver.storage.statements import Statement, Statements

AUDIT_COLUMNS = (*COLUMNS, "audit_stream", "audit_sequence", "audit_hash")
_ENCODE: Mapping[str, Encode] = {
    "bucket": integer,
    "resource_type": text,
    "id": text,
    "version_id": long,
    "last_updated": instant,
    "deleted": flag,
    "forward_to": integer,
    "content": octets,
    "keys": longs,
    "range_key": longs,
    "range_low": doubles,
    "range_high": doubles,
    "ref_key": longs,
    "ref_target": longs,
    "self_key": long,
    "strings": text,
    "texts": text,
    "words": words,
    "sort_date": instant,
    "index_version": integer,
    "audit_stream": integer,
    "audit_sequence": long,
    "audit_hash": octets,
}
_ENCODES = [_ENCODE[name] for name in AUDIT_COLUMNS]
_WIDTH = len(AUDIT_COLUMNS)


def _placeholders(first: int, count: int) -> str:
    return ", ".join(f"${number}" for number in range(first, first + count))


INSERT_EVENT = Statement(
    "audit_insert", f"INSERT INTO resource ({', '.join(AUDIT_COLUMNS)}) VALUES ({_placeholders(1, _WIDTH)})"
)
INSERT_WITH_EVENT = Statement(
    "insert",
    f"INSERT INTO resource ({', '.join(AUDIT_COLUMNS)})"
    f" VALUES ({_placeholders(1, len(COLUMNS))}, NULL, NULL, NULL), ({_placeholders(len(COLUMNS) + 1, _WIDTH)})",
)
_EVENT_VALUES = _placeholders(len(COLUMNS) + 2, _WIDTH - 1)
# The event goes with the row that is replaced, from which it has its bucket: so Citus sees that all is on one shard.
REPLACE_WITH_EVENT = Statement(
    "replace",
    REPLACE.sql.replace(
        " UPDATE resource SET",
        f", event AS (INSERT INTO resource ({', '.join(AUDIT_COLUMNS)}) SELECT bucket, {_EVENT_VALUES} FROM resource"
        f" WHERE {GUARD} AND EXISTS (SELECT 1 FROM old) RETURNING 1) UPDATE resource SET",
    ),
)
LOCK = Statement("audit_lock", "SELECT pg_advisory_xact_lock(hashtextextended('audit streams', 0))")
LAST = Statement("audit_last", "SELECT coalesce(max(number), 0) FROM audit_stream")
OPEN = Statement(
    "audit_open",
    "INSERT INTO audit_stream (bucket, number, opened, first_sequence, first_hash, sequence, hash, key)"
    " VALUES ($1, $2, now(), $3, $4, $3, $4, $5)",
)
NOTE = Statement(
    "audit_note",
    "UPDATE audit_stream SET sequence = s, hash = h"
    " FROM unnest($2::int[], $3::bigint[], $4::bytea[]) AS head(n, s, h)"
    " WHERE bucket = $1 AND number = n AND sequence < s",
)
STREAMS = Statement(
    "audit_streams",
    "SELECT bucket, number, opened, first_sequence, first_hash, sequence, hash, key FROM audit_stream ORDER BY number",
)
LINKS = Statement(
    "audit_links",
    "SELECT audit_sequence, audit_hash, id, last_updated, content FROM resource"
    " WHERE audit_stream = $1 AND (audit_sequence, id) > ($2, $3) ORDER BY audit_sequence, id LIMIT $4",
)
STRAYS = Statement(
    "audit_strays",
    "SELECT resource_type, id FROM resource WHERE audit_stream IS NOT NULL"
    " AND (NOT audit_stream = ANY($1::int[]) OR resource_type <> 'AuditEvent')"
    " UNION ALL SELECT resource_type, id FROM resource WHERE resource_type = 'AuditEvent' AND audit_stream IS NULL"
    " AND content::text LIKE $2 LIMIT 100",
)
FIRST_KEPT = Statement(
    "audit_first_kept",
    "SELECT min(audit_sequence) FROM resource WHERE audit_stream = $1 AND last_updated >= $2",
)
LAST_EXPIRED = Statement(
    "audit_last_expired",
    "SELECT audit_sequence, audit_hash FROM resource WHERE audit_stream = $1 AND audit_sequence < $2"
    " ORDER BY audit_sequence DESC LIMIT 1",
)
EXPIRE = Statement("audit_expire", "DELETE FROM resource WHERE audit_stream = $1 AND audit_sequence <= $2")
MOVE_START = Statement(
    "audit_move_start",
    "UPDATE audit_stream SET first_sequence = $3, first_hash = $4,"
    " sequence = greatest(sequence, $3), hash = CASE WHEN sequence < $3 THEN $4 ELSE hash END"
    " WHERE bucket = $1 AND number = $2",
)
_TAG = f'%"{RECORDED.system}","code":"{RECORDED.code}"%'


WriteWithEvent = Callable[[Statements, NewVersion, tuple[Any, ...]], Awaitable[None]]


def event_row(event: NewEvent, stream: int, head: Head) -> tuple[Any, ...]:
    """The values of `AUDIT_COLUMNS`."""
    return (
        event.bucket, "AuditEvent", event.id, 1, event.recorded, False, None, event.content,
        *index_values(event.entry), stream, head.sequence, head.hash,
    )  # fmt: skip


async def insert_with_event(statements: Statements, change: NewVersion, event: tuple[Any, ...]) -> None:
    """Insert a new resource and the event of that by one statement. Raises `WriteConflict` if its id is taken."""
    try:
        await statements.run(INSERT_WITH_EVENT, *row(change), *event)
    except asyncpg.UniqueViolationError as error:
        raise WriteConflict from error


async def replace_with_event(statements: Statements, change: NewVersion, event: tuple[Any, ...]) -> None:
    """Replace a version and insert the event of that by one statement. Raises `WriteConflict` if it was replaced."""
    replaced = change.previous.version_id if change.previous is not None else None
    if await statements.run(REPLACE_WITH_EVENT, *row(change), replaced, *event[1:]) != 1:
        raise WriteConflict


def at_once(change: NewVersion) -> WriteWithEvent | None:
    """What writes the change and its event by one statement, if that can be done: one row, and nothing else."""
    version, previous = change.version, change.previous
    if change.elsewhere or version.resource_type in FOLLOWED:
        return None
    if previous is None:
        return insert_with_event if home_bucket(version.id) == version.bucket else None
    return replace_with_event if previous.bucket == version.bucket else None


async def insert_events(statements: Statements, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert events, all or none. They are of one bucket."""
    if len(rows) == 1:
        await statements.run(INSERT_EVENT, *rows[0])
    else:
        await statements.copy_encoded("audit_copy", "resource", AUDIT_COLUMNS, binary_copy.rows(_ENCODES, rows))


async def links(statements: Statements, stream: int, after: int, id: str, count: int) -> Sequence[Link]:
    """The next events of a stream, after the one with this number and id, in order."""
    return [Link(*one) for one in await statements.rows(LINKS, stream, after, id, count)]


async def strays(statements: Statements, streams: Sequence[int]) -> Sequence[str]:
    """What says to be an event of this server and is in none of these streams, a hundred at the most."""
    found = await statements.rows(STRAYS, list(streams), _TAG)
    return [f"{resource_type}/{id}" for resource_type, id in found]
