"""What changes how the server works: a count of changes for each type of resource, and the search parameters posted.

The count goes up in the transaction that writes, so whoever sees it sees the rest. These are small tables that every
node has as a whole.
"""

from collections.abc import Iterable, Mapping, Sequence

import asyncpg
import orjson

from fhirserver.fhir.outcomes import Conflict
from fhirserver.interactions.index_store import IndexFormat, Registered, Registry
from fhirserver.interactions.store import FOLLOWED, NewVersion
from fhirserver.search.custom_parameters import is_indexed_alike, registration
from fhirserver.storage.repositories import consents
from fhirserver.storage.repositories.changes import count
from fhirserver.storage.statements import Statement, Statements

CHANGES = Statement("conformance_changes", "SELECT resource_type, number FROM conformance_change")
# One statement, so that the count and what it counts go together.
REGISTRY = Statement(
    "search_parameters",
    "SELECT c.number, f.format, f.since AS format_since, f.ready AS format_ready, p.id, p.definition, p.since, p.ready"
    " FROM conformance_change c CROSS JOIN (SELECT * FROM index_format ORDER BY format DESC LIMIT 1) f"
    " LEFT JOIN search_parameter p ON true"
    " WHERE c.resource_type = 'SearchParameter' ORDER BY p.since, p.id",
)
VERSIONS = Statement(
    "conformance_versions", "SELECT id, version_id FROM resource WHERE resource_type = $1 AND content IS NOT NULL"
)
CONTENTS = Statement(
    "conformance_contents",
    "SELECT id, version_id, content FROM resource"
    " WHERE resource_type = $1 AND id = ANY($2::text[]) AND content IS NOT NULL",
)
FIND = Statement("search_parameter", "SELECT definition, since, ready FROM search_parameter WHERE id = $1")
REGISTER = Statement(
    "register",
    "INSERT INTO search_parameter (id, url, definition, since, ready) VALUES ($1, $2, $3, $4, $5)"
    " ON CONFLICT (id) DO UPDATE SET url = excluded.url, definition = excluded.definition, since = excluded.since,"
    " ready = excluded.ready",
)
UNREGISTER = Statement("unregister", "DELETE FROM search_parameter WHERE id = $1")
MARK_READY = Statement("mark_ready", "UPDATE search_parameter SET ready = true WHERE id = $1 AND since = $2")
MARK_FORMAT_READY = Statement("mark_format_ready", "UPDATE index_format SET ready = true WHERE since = $1")
ADD_FORMAT = Statement("add_format", "INSERT INTO index_format VALUES ($1, $2, false) ON CONFLICT DO NOTHING")
DOUBT_FORMAT = Statement("doubt_format", "UPDATE index_format SET ready = false")

_SEARCH_PARAMETER = "SearchParameter"


async def changes(statements: Statements) -> Mapping[str, int]:
    """How many changes there were, by type."""
    return {row["resource_type"]: row["number"] for row in await statements.rows(CHANGES)}


async def announce(statements: Statements, written: Iterable[NewVersion]) -> None:
    """Let all processes hear of these versions, as far as they have to, when the transaction commits.

    Raises `Conflict` for a search parameter with the URL of another.
    """
    by_type: dict[str, list[NewVersion]] = {}
    for change in written:
        by_type.setdefault(change.version.resource_type, []).append(change)
    # Always in the same order, so that two transactions don't wait for each other.
    for resource_type in sorted(FOLLOWED.intersection(by_type)):
        of_type = by_type[resource_type]
        if resource_type == "Consent":
            await consents.announce(statements, of_type)
            continue
        number = await count(statements, resource_type)
        if resource_type == _SEARCH_PARAMETER:
            for change in of_type:
                await _register(statements, change.version.id, change.version.content, number)


async def _register(statements: Statements, id: str, content: bytes | None, number: int) -> None:
    wanted = registration(orjson.loads(content)) if content is not None else None
    if wanted is None:
        await statements.run(UNREGISTER, id)
        return
    since, ready = number, False
    row = await statements.row(FIND, id)
    if row is not None and is_indexed_alike(orjson.loads(row["definition"]), wanted):
        since, ready = row["since"], row["ready"]
    try:
        await statements.run(REGISTER, id, wanted["url"], orjson.dumps(wanted), since, ready)
    except asyncpg.UniqueViolationError as error:
        problem = f"another SearchParameter has the URL {wanted['url'][:200]}"
        raise Conflict(problem, expression="SearchParameter.url", code="duplicate") from error


async def registry(statements: Statements) -> Registry:
    """The search parameters that were posted, oldest first, and what the index is like."""
    rows = await statements.rows(REGISTRY)
    first = rows[0]
    return Registry(
        first["number"],
        IndexFormat(first["format"], first["format_since"], first["format_ready"]),
        [
            Registered(row["id"], orjson.loads(row["definition"]), row["since"], row["ready"])
            for row in rows
            if row["id"] is not None
        ],
    )


async def set_format(statements: Statements, format: int) -> None:
    """From now on resources are indexed by this format; what was indexed before has to be indexed anew."""
    async with statements.driver.transaction():
        number = await count(statements, _SEARCH_PARAMETER)
        await statements.run(ADD_FORMAT, format, number)


async def doubt_format(statements: Statements) -> None:
    """Something may be indexed by an older format again."""
    async with statements.driver.transaction():
        await count(statements, _SEARCH_PARAMETER)
        await statements.run(DOUBT_FORMAT)


async def mark_ready(statements: Statements, parameters: Sequence[tuple[str, int]], format_since: int | None) -> None:
    """These parameters (id, since) can be searched by, unless they changed meanwhile; with `format_since`, all of the
    index is of the present format."""
    async with statements.driver.transaction():
        await count(statements, _SEARCH_PARAMETER)
        for parameter in parameters:
            await statements.run(MARK_READY, *parameter)
        if format_since is not None:
            await statements.run(MARK_FORMAT_READY, format_since)


async def versions(statements: Statements, resource_type: str) -> dict[str, int]:
    """The versions of all stored resources of a type, by id."""
    return {row["id"]: row["version_id"] for row in await statements.rows(VERSIONS, resource_type)}


async def contents(statements: Statements, resource_type: str, ids: Sequence[str]) -> dict[str, tuple[int, bytes]]:
    """Version and content of the resources with these ids, as far as they are there."""
    rows = await statements.rows(CONTENTS, resource_type, list(ids))
    return {row["id"]: (row["version_id"], row["content"]) for row in rows}
