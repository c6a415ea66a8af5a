"""Versions in the order they were written, newest first: of one resource, of a type, of everything."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from fhirserver.fhir.datatypes.ids import home_bucket
from fhirserver.interactions.store import HistoryPage, HistoryRequest, StoredResource
from fhirserver.storage.cursor import CursorSigner
from fhirserver.storage.repositories.reading import stored, where_it_lives
from fhirserver.storage.statements import Statement, Statements

_CURRENT = "resource_type, id, version_id, last_updated, deleted, content, bucket, forward_to"
_OLDER = "resource_type, id, version_id, last_updated, deleted, content, bucket, NULL::int AS forward_to"


async def history(statements: Statements, request: HistoryRequest, signer: CursorSigner) -> HistoryPage:
    """One page. Of a single resource it is one statement on one shard, else one for each of the two tables."""
    scope = f"history {request.resource_type} {request.id} {request.since} {request.at}"
    position = signer.decode(scope, request.cursor) if request.cursor is not None else None
    limit = request.count + 1
    if request.id is not None:
        versions = await _of_resource(statements, request, position, limit)
    else:
        versions = await _of_many(statements, request, position, limit)
    page, more = versions[: request.count], len(versions) > request.count
    if not (more and page):
        return HistoryPage(page, None)
    last = page[-1]
    return HistoryPage(page, signer.encode(scope, [last.last_updated.isoformat(), last.id, last.version_id]))


class _Where:
    """Conditions joined by AND, and their arguments."""

    def __init__(self) -> None:
        self.conditions: list[str] = []
        self.arguments: list[Any] = []

    def add(self, condition: str, *values: Any) -> None:
        """Add a condition in which each `?` stands for the next value."""
        for value in values:
            self.arguments.append(value)
            condition = condition.replace("?", f"${len(self.arguments)}", 1)
        self.conditions.append(condition)

    def __str__(self) -> str:
        return " AND ".join(self.conditions) or "true"


def _times(where: _Where, request: HistoryRequest) -> None:
    if request.since is not None:
        where.add("last_updated >= ?", request.since)
    if request.at is not None:
        where.add("last_updated <= ?", request.at[1])


async def _of_resource(
    statements: Statements, request: HistoryRequest, position: list[Any] | None, limit: int
) -> list[StoredResource]:
    rows = await where_it_lives(
        home_bucket(str(request.id)), lambda bucket: _rows_in(statements, request, position, limit, bucket)
    )
    return [stored(row, row["resource_type"], row["id"]) for row in rows if row["asked"]][:limit]


async def _rows_in(
    statements: Statements, request: HistoryRequest, position: list[Any] | None, limit: int, bucket: int
) -> Sequence[Any]:
    """The current version first, `asked` for or not: it tells that the resource lives there, or where else."""
    where = _Where()
    where.add("bucket = ? AND resource_type = ? AND id = ?", bucket, request.resource_type, request.id)
    plain = str(where)
    _times(where, request)
    if position is not None:
        where.add("version_id < ?", position[2])
    older = str(where)
    if request.at is not None:
        where.add("superseded > ?", request.at[0])
    return await statements.rows(
        Statement(
            "history_resource",
            f"SELECT {_CURRENT}, {older} AS asked FROM resource WHERE {plain}"
            f" UNION ALL SELECT {_OLDER}, true FROM resource_history WHERE {where}"
            f" ORDER BY version_id DESC LIMIT {limit + 1}",
        ),
        *where.arguments,
    )


async def _of_many(
    statements: Statements, request: HistoryRequest, position: list[Any] | None, limit: int
) -> list[StoredResource]:
    where = _Where()
    if request.resource_type is not None:
        where.add("resource_type = ?", request.resource_type)
    if request.types is not None:
        where.add("resource_type = ANY(?::text[])", list(request.types))
    if request.buckets is not None and len(request.buckets) == 1:
        where.add("bucket = ?", next(iter(request.buckets)))
    elif request.buckets is not None:
        where.add("bucket = ANY(?::int[])", sorted(request.buckets))
    _times(where, request)
    if position is not None:
        before = datetime.fromisoformat(position[0])
        where.add("(last_updated, id, version_id) < (?, ?, ?)", before, position[1], position[2])
    order = f"ORDER BY last_updated DESC, id DESC, version_id DESC LIMIT {limit}"
    current = await statements.rows(
        Statement(
            "history_current",
            f"SELECT {_CURRENT} FROM resource WHERE {where} AND forward_to IS NULL {order}",
        ),
        *where.arguments,
    )
    if request.at is not None:
        where.add("superseded > ?", request.at[0])
    older = await statements.rows(
        Statement("history_older", f"SELECT {_OLDER} FROM resource_history WHERE {where} {order}"),
        *where.arguments,
    )
    # What was superseded between the two statements is in both.
    versions = {
        (row["last_updated"], row["id"], row["version_id"], row["resource_type"]): row for row in (*current, *older)
    }
    return [stored(row, row["resource_type"], row["id"]) for _, row in sorted(versions.items(), reverse=True)[:limit]]
