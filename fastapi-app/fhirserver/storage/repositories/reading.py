"""Reading current versions and older ones. A read is one statement that one shard answers.

For a resource away from home it is two: the second goes where the forwarding row of the first points. When the
resource moves between the two, there is nothing any more, and the search for it starts again. On Citus the commit of a
move reaches one shard before the other, so that the resource is for a moment at neither.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from fhirserver.fhir.datatypes.ids import home_bucket
from fhirserver.fhir.outcomes import RolledBack
from fhirserver.interactions.store import StoredResource
from fhirserver.search.query.tree import Node
from fhirserver.search.rewrite.narrow import narrowed
from fhirserver.search.rewrite.restrict import Within
from fhirserver.storage.compile.conditions import condition
from fhirserver.storage.compile.sql import Arguments
from fhirserver.storage.statements import Statement, Statements

_ATTEMPTS = 20
_LONGEST_PAUSE = 0.1  # seconds; all of them together: about 1.5
_COLUMNS = "version_id, last_updated, deleted, content, bucket, forward_to"

READ = Statement("read", f"SELECT {_COLUMNS} FROM resource WHERE bucket = $1 AND resource_type = $2 AND id = $3")
READ_MANY_IN_BUCKET = Statement(
    "read_many",
    f"SELECT resource_type, id, {_COLUMNS} FROM resource"
    " JOIN unnest($2::text[], $3::text[]) AS target(t, i) ON resource_type = t AND id = i WHERE bucket = $1",
)
READ_MANY = Statement(
    "read_many",
    f"SELECT resource_type, id, {_COLUMNS} FROM resource"
    " JOIN unnest($1::int[], $2::text[], $3::text[]) AS target(b, t, i)"
    " ON bucket = b AND resource_type = t AND id = i",
)
READ_VERSIONS = Statement(
    "read_versions",
    "SELECT resource_type, id, version_id, last_updated, deleted, content, bucket FROM resource_history"
    " JOIN unnest($1::text[], $2::text[], $3::bigint[], $4::int[]) AS target(t, i, v, b)"
    " ON bucket = b AND resource_type = t AND id = i AND version_id = v WHERE bucket = ANY($4::int[])",
)
# The current version is among the rows whatever its number: it tells that the resource lives there.
READ_VERSION = Statement(
    "read_version",
    f"SELECT {_COLUMNS} FROM resource WHERE bucket = $1 AND resource_type = $2 AND id = $3"
    " UNION ALL SELECT version_id, last_updated, deleted, content, bucket, NULL FROM resource_history"
    " WHERE bucket = $1 AND resource_type = $2 AND id = $3 AND version_id = $4",
)


def stored(row: Any, resource_type: str, id: str, *, permitted: bool = True) -> StoredResource:
    """The version that this row of `_COLUMNS` holds."""
    return StoredResource(
        resource_type,
        id,
        row["version_id"],
        row["last_updated"],
        row["deleted"],
        row["content"],
        row["bucket"],
        permitted,
    )


def moved_on() -> RolledBack:
    """The error for a resource that moves faster than it can be read."""
    return RolledBack("the resource is being moved again and again")


async def where_it_lives(home: int, ask: Callable[[int], Awaitable[Sequence[Any]]]) -> Sequence[Any]:
    """The rows that `ask` finds in the bucket where a resource lives, which the rows at `home` may point to."""
    bucket = home
    for attempt in range(_ATTEMPTS):
        rows = await ask(bucket)
        if rows and rows[0]["forward_to"] is not None:
            bucket = int(rows[0]["forward_to"])
            rows = await ask(bucket)
        if bucket == home or (rows and rows[0]["forward_to"] is None):
            return rows
        bucket = home
        await asyncio.sleep(pause(attempt))
    raise moved_on()


def pause(attempt: int) -> float:
    """Seconds to wait for a resource that is on its way."""
    return min(_LONGEST_PAUSE, 0.001 * 2.0**attempt)


async def read(statements: Statements, resource_type: str, id: str, within: Node | None) -> StoredResource | None:
    """The current version, wherever it lives; None if the id was never used. `permitted` is whether it is `within`."""

    async def ask(bucket: int) -> Sequence[Any]:
        if within is None:
            return await statements.rows(READ, bucket, resource_type, id)
        arguments = Arguments([bucket, resource_type, id])
        permitted = f"SELECT {condition(narrowed(within, (bucket,)), arguments)} AS permitted, "
        return await statements.rows(Statement("read", READ.sql.replace("SELECT ", permitted, 1)), *arguments.values)

    rows = await where_it_lives(home_bucket(id), ask)
    if not rows:
        return None
    return stored(rows[0], resource_type, id, permitted=within is None or bool(rows[0]["permitted"]))


async def read_many(
    statements: Statements, targets: Sequence[tuple[str, str]], within: Within
) -> dict[tuple[str, str], StoredResource]:
    """The current versions of these (type, id), with one statement, and a second where some live elsewhere."""
    found: dict[tuple[str, str], StoredResource] = {}
    places = [(home_bucket(id), resource_type, id) for resource_type, id in dict.fromkeys(targets)]
    for attempt in range(_ATTEMPTS):
        if not places:
            return found
        asked = {(resource_type, id): bucket for bucket, resource_type, id in places}
        places = []
        for row in await _rows_at(statements, [(bucket, *target) for target, bucket in asked.items()], within):
            target = row["resource_type"], row["id"]
            del asked[target]
            if row["forward_to"] is not None:
                places.append((row["forward_to"], *target))
            else:
                found[target] = stored(row, *target, permitted=bool(row["permitted"]))
        lost = [(home_bucket(id), type, id) for (type, id), bucket in asked.items() if bucket != home_bucket(id)]
        places += lost
        if lost:
            await asyncio.sleep(pause(attempt // 2))
    raise moved_on()


async def _rows_at(statements: Statements, places: Sequence[tuple[int, str, str]], within: Within) -> Sequence[Any]:
    buckets, types, ids = ([*column] for column in zip(*places, strict=True))
    arguments = Arguments([buckets[0] if len(set(buckets)) == 1 else buckets, types, ids])
    cases = [
        f"WHEN resource_type = {arguments.add(name, 'text')} THEN {condition(narrowed(tree, set(buckets)), arguments)}"
        for name in sorted(set(types))
        if (tree := within(name)) is not None
    ]
    permitted = f"CASE {' '.join(cases)} ELSE true END" if cases else "true"
    statement = READ_MANY_IN_BUCKET if len(set(buckets)) == 1 else READ_MANY
    sql = statement.sql.replace("SELECT ", f"SELECT {permitted} AS permitted, ", 1)
    return await statements.rows(Statement("read_many", sql), *arguments.values)


async def read_versions(
    statements: Statements, versions: Sequence[tuple[str, str, int, int]]
) -> Sequence[StoredResource]:
    """These older versions (type, id, number, bucket), as far as they are there."""
    columns = [list(column) for column in zip(*versions, strict=True)]
    rows = await statements.rows(READ_VERSIONS, *columns)
    return [stored(row, row["resource_type"], row["id"]) for row in rows]


async def read_version(statements: Statements, resource_type: str, id: str, version_id: int) -> StoredResource | None:
    """One version, current or older; None if there is none with that number."""
    rows = await where_it_lives(
        home_bucket(id), lambda bucket: statements.rows(READ_VERSION, bucket, resource_type, id, version_id)
    )
    return next((stored(row, resource_type, id) for row in rows if row["version_id"] == version_id), None)
