"""Reading what is indexed by old rules, and replacing its index entries."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from fhirserver.interactions.index_store import Indexed, Outdated, Reindexed
from fhirserver.search.keys import MOST_PLACES
from fhirserver.search.query.contained import contained_key
from fhirserver.storage.compile.sql import Arguments
from fhirserver.storage.repositories.outside import note
from fhirserver.storage.repositories.reading import stored
from fhirserver.storage.repositories.writing import index_values
from fhirserver.storage.statements import Statement, Statements

_COLUMNS = "resource_type, id, version_id, last_updated, deleted, content, bucket, ref_target"
_MOST_BYTES = 4_000_000
"""Of stored (compressed) content that is read at once; a larger resource comes alone."""

READ = Statement("read_index", f"SELECT {_COLUMNS} FROM resource WHERE bucket = $1 AND resource_type = $2 AND id = $3")
NOW = Statement("now", "SELECT clock_timestamp() AS now")
OLDER_TRANSACTIONS = Statement(
    "older_transactions",
    "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'fhirserver'"
    " AND state <> 'idle' AND xact_start < $1 AND pid <> pg_backend_pid() LIMIT 1",
)
HAS_NODES = Statement("has_nodes", "SELECT to_regclass('pg_dist_node') IS NOT NULL AS found")
# Writes may be on any node (`storage/spread.py`). One that does not answer may have a transaction.
OLDER_ON_NODES = Statement(
    "older_on_nodes",
    "SELECT 1 FROM run_command_on_all_nodes(format("
    "  'SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    "   AND application_name = ''fhirserver'' AND state <> ''idle'' AND xact_start < %L', $1::timestamptz))"
    " WHERE NOT success OR result <> '0' LIMIT 1",
)
# Lists of several lengths can't be unnested side by side: each row is told where its own begin and end.
REPLACE = Statement(
    "reindex",
    "UPDATE resource SET keys = ($1::bigint[])[k0:k1],"
    " range_key = ($2::bigint[])[r0:r1], range_low = ($3::float8[])[r0:r1], range_high = ($4::float8[])[r0:r1],"
    " ref_key = ($5::bigint[])[f0:f1], ref_target = ($6::bigint[])[f0:f1],"
    " self_key = s, strings = st, texts = tx, words = w, sort_date = d, index_version = n"
    " FROM unnest($7::text[], $8::text[], $9::bigint[], $10::int[], $11::int[], $12::int[], $13::int[], $14::int[],"
    " $15::int[], $16::bigint[], $17::text[], $18::text[], $19::tsvector[], $20::timestamptz[], $21::int[], $22::int[])"
    " AS entry(t, i, v, k0, k1, r0, r1, f0, f1, s, st, tx, w, d, n, b)"
    " WHERE bucket = b AND resource_type = t AND id = i AND version_id = v AND content IS NOT NULL"
    " AND index_version <= n",
)
REPLACE_IN_BUCKET = Statement("reindex", REPLACE.sql + " AND bucket = $23")


def _where(scope: Sequence[Outdated], arguments: Arguments) -> str:
    """The condition for what is outdated."""
    parts = []
    for outdated in scope:
        condition = f"index_version < {arguments.add(outdated.since, 'int')}"
        if outdated.types is not None:
            types = arguments.add(list(outdated.types), "text[]")
            keys = [contained_key(name, number) for name in outdated.types for number in range(MOST_PLACES)]
            containing = arguments.add(keys, "bigint[]")
            condition += f" AND (resource_type = ANY({types}) OR keys && {containing})"
        parts.append(f"({condition})")
    return f"content IS NOT NULL AND ({' OR '.join(parts) or 'false'})"


async def count_outdated(
    statements: Statements, scope: Sequence[Outdated], first_bucket: int
) -> Sequence[tuple[int, str, int]]:
    """(bucket, type, number) of what is outdated, in order."""
    arguments = Arguments()
    sql = (
        f"SELECT bucket, resource_type, count(*) AS number FROM resource WHERE {_where(scope, arguments)}"
        f" AND bucket >= {arguments.add(first_bucket, 'int')} GROUP BY bucket, resource_type ORDER BY 1, 2"
    )
    rows = await statements.rows(Statement("count_outdated", sql), *arguments.values)
    return [(row["bucket"], row["resource_type"], row["number"]) for row in rows]


async def outdated(
    statements: Statements, scope: Sequence[Outdated], buckets: Sequence[int], after: tuple[int, str, str], limit: int
) -> Sequence[Indexed]:
    """The next ones in these buckets, by bucket, type and id; one shard is asked if it is one bucket."""
    arguments = Arguments()
    if len(buckets) == 1:
        place = f"bucket = {arguments.add(buckets[0], 'int')}"
    else:
        place = f"bucket = ANY({arguments.add(list(buckets), 'int[]')})"
    where = _where(scope, arguments)
    position = ", ".join(arguments.add(*value) for value in zip(after, ("int", "text", "text"), strict=True))
    order = "ORDER BY bucket, resource_type, id"
    sql = (
        f"SELECT {_COLUMNS} FROM (SELECT {_COLUMNS}, pg_column_size(content) AS size,"
        f" sum(pg_column_size(content)) OVER ({order}) AS bytes FROM (SELECT {_COLUMNS} FROM resource"
        f" WHERE {place} AND {where} AND (bucket, resource_type, id) > ({position}) {order} LIMIT {limit})"
        f" AS following) AS sized WHERE bytes - size < {_MOST_BYTES} {order}"
    )
    return [_indexed(row) for row in await statements.rows(Statement("outdated", sql), *arguments.values)]


async def has_outdated(statements: Statements, scope: Outdated) -> bool:
    """Whether anything is outdated."""
    arguments = Arguments()
    sql = f"SELECT 1 FROM resource WHERE {_where([scope], arguments)} LIMIT 1"
    return await statements.row(Statement("has_outdated", sql), *arguments.values) is not None


async def indexed(statements: Statements, bucket: int, resource_type: str, id: str) -> Indexed | None:
    """One resource that lives in this bucket."""
    row = await statements.row(READ, bucket, resource_type, id)
    return _indexed(row) if row is not None and row["content"] is not None else None


def _indexed(row: Any) -> Indexed:
    return Indexed(stored(row, row["resource_type"], row["id"]), row["ref_target"])


async def reindex(statements: Statements, entries: Sequence[Reindexed]) -> int:
    """Replace the entries of these versions, as far as they are the current ones; how many were."""
    # Notes come before the entries: those about what is not so do no harm.
    await note(statements, ((patient, entry.version.resource_type) for entry in entries for patient in entry.elsewhere))
    rows = [index_values(entry.entry) for entry in entries]
    keys, range_key, range_low, range_high, ref_key, ref_target, *single = zip(*rows, strict=True)
    buckets = [entry.version.bucket for entry in entries]
    arguments = (
        *(_joined(lists) for lists in (keys, range_key, range_low, range_high, ref_key, ref_target)),
        [entry.version.resource_type for entry in entries],
        [entry.version.id for entry in entries],
        [entry.version.version_id for entry in entries],
        *(bounds for lists in (keys, range_key, ref_key) for bounds in _bounds(lists)),
        *(list(values) for values in single),
        buckets,
    )
    if len(set(buckets)) == 1:
        return await statements.run(REPLACE_IN_BUCKET, *arguments, buckets[0])
    return await statements.run(REPLACE, *arguments)


def _joined(lists: Iterable[Sequence[Any]]) -> list[Any]:
    return [item for values in lists for item in values]


def _bounds(lists: Iterable[Sequence[Any]]) -> tuple[list[int], list[int]]:
    """The place of the first and of the last item of each list when they are joined, counted from 1."""
    starts, ends, end = [], [], 0
    for values in lists:
        starts.append(end + 1)
        end += len(values)
        ends.append(end)
    return starts, ends


async def now(statements: Statements) -> datetime:
    """The database's time."""
    moment: datetime = (await statements.row(NOW))["now"]
    return moment


async def has_older_transactions(statements: Statements, moment: datetime) -> bool:
    """Whether another connection of this server is in a transaction that began before."""
    if await statements.row(OLDER_TRANSACTIONS, moment) is not None:
        return True
    if not (await statements.row(HAS_NODES))["found"]:
        return False
    return await statements.row(OLDER_ON_NODES, moment) is not None
