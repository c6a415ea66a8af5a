"""Searches: one statement a page; counting; finding what criteria stand for."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from fhirserver.interactions.store import Explanation, SearchPage
from fhirserver.search.query.tree import EVERYTHING, And, KeyMatch, Node
from fhirserver.search.request import SearchRequest
from fhirserver.storage.compile.conditions import between, condition, where
from fhirserver.storage.compile.order import Key, beyond, keys_of, order_by
from fhirserver.storage.compile.shares import Statistics
from fhirserver.storage.compile.sql import Arguments
from fhirserver.storage.compile.ways import Way, balance, dates, none_lasts, to_all, ways
from fhirserver.storage.cursor import CursorSigner
from fhirserver.storage.repositories.reading import stored
from fhirserver.storage.repositories.survey import Survey
from fhirserver.storage.statements import Statement, Statements

_COLUMNS = "resource_type, id, version_id, last_updated, deleted, content, bucket"
_ENOUGH = 2

FIND_BY_KEY = (
    "SELECT k AS key, count(*) AS matches, min(id) AS first, max(id) AS last FROM resource, unnest(keys) AS k"
    " WHERE keys && $1::bigint[] AND k = ANY($1::bigint[]) AND content IS NOT NULL"
)


@dataclass(frozen=True, slots=True)
class _Page:
    """The statement that gives a page of `count` rows and one row more, the keys of its order, the position it goes on
    from, and the number of matches before that (0 unless there is to be an end: `_maxresults`)."""

    statement: Statement
    arguments: Sequence[Any]
    keys: Sequence[Key]
    position: Sequence[Any] | None
    is_backwards: bool
    start: int
    count: int


async def search(statements: Statements, request: SearchRequest, signer: CursorSigner, survey: Survey) -> SearchPage:
    """One page. The cursor of a request goes on where its page ended; it is good for the same search only."""
    _require_restricted(request)
    for asked in await _pages(statements, request, signer, survey):
        rows = await statements.rows(asked.statement, *asked.arguments)
        if len(rows) > asked.count:
            break
    page = list(rows[: asked.count])
    more = len(rows) > asked.count
    start, end = asked.start, asked.start + len(page)
    if asked.is_backwards:
        page.reverse()
        start, end = asked.start - len(page), asked.start
    if request.max_results is None:
        start = end = 0
    elif end >= request.max_results:
        more = more and asked.is_backwards

    def cursor(row: Any, back: bool) -> str:
        values = (row[f"s{number}"] for number in range(len(asked.keys)))
        return signer.encode(request.scope, [back, start if back else end, *values])

    has_next, has_previous = (True, more) if asked.is_backwards else (more, asked.position is not None)
    return SearchPage(
        [stored(row, row["resource_type"], row["id"]) for row in page],
        cursor(page[-1], False) if page and has_next else None,
        cursor(page[0], True) if page and has_previous else None,
    )


async def _pages(
    statements: Statements, request: SearchRequest, signer: CursorSigner, survey: Survey
) -> Iterator[_Page]:
    """The statements that may give the page, one after the other until one gives more than a page."""
    position: list[Any] | None = None
    backwards, start, count = False, 0, request.count or 0
    if request.cursor is not None:
        backwards, start, *position = signer.decode(request.scope, request.cursor)
    if request.max_results is not None and not backwards:
        count = max(0, min(count, request.max_results - start))
    statistics = await survey.statistics(statements.driver)
    down = (request.sort[0].descending if request.sort else True) != backwards
    request, few = await _dated(statements, request, statistics)
    found = ways(request, position[-1] if position is not None else None, statistics, down=down, few=few)
    return (_page(request, way, position, backwards, start, count, survey.on_cluster) for way in found)


async def _dated(
    statements: Statements, request: SearchRequest, statistics: Statistics | None
) -> tuple[SearchRequest, bool]:
    """The request as its dates make it, and whether few of the type are of these: PostgreSQL has one statistic of
    `sort_date` for all types."""
    when = dates(request, statistics) if statistics is not None else None
    if when is None or statistics is None:
        return request, False
    limit = balance(request, statistics, statistics.types.get(request.resource_type, 0.0))
    arguments = Arguments([limit])
    conditions = f"content IS NOT NULL AND resource_type = {arguments.add(request.resource_type, 'text')}"
    sql = (
        f"SELECT EXISTS (SELECT FROM resource WHERE keys && {arguments.add([when.long, when.wide], 'bigint[]')}),"
        f" (SELECT count(*) FROM (SELECT 1 FROM resource WHERE {conditions}"
        f" AND {between(when.first, when.last, arguments)} ORDER BY sort_date LIMIT $1::bigint) AS found)"
    )
    some_last, found = await statements.row(Statement("dates", sql), *arguments.values)
    return request if some_last else none_lasts(request), found < limit


def _page(
    request: SearchRequest,
    way: Way,
    position: Sequence[Any] | None,
    backwards: bool,
    start: int,
    count: int,
    on_cluster: bool,
) -> _Page:
    arguments = Arguments()
    conditions = where(request, arguments, way)
    keys = keys_of(
        request.sort, arguments, sorts=way.sorts, of_one_type=bool(request.resource_type), on_cluster=on_cluster
    )
    if position is not None:
        conditions += f" AND {beyond(keys, position, arguments, backwards=backwards)}"
    if way.bound is not None:
        sign = ">=" if keys[-1].descending != backwards else "<="
        conditions += f" AND id {sign} {arguments.add(way.bound, 'text')}"
    values = ", ".join(f"({key.expression})::text AS s{number}" for number, key in enumerate(keys))
    order = order_by(keys, backwards=backwards)
    source = "resource"
    if way.steps is not None:
        live = where(replace(request, tree=EVERYTHING), arguments)
        if position is not None:
            live += f" AND {beyond(keys, position, arguments, backwards=backwards)}"
        source = f"(SELECT * FROM resource WHERE {live} {order} LIMIT {arguments.add(way.steps, 'bigint')}) AS resource"
    sql = f"SELECT {_COLUMNS}, {values} FROM {source} WHERE {conditions} {order} LIMIT {count + 1}"
    return _Page(Statement("search", sql), arguments.values, keys, position, backwards, start, count)


async def explain(statements: Statements, request: SearchRequest, signer: CursorSigner, survey: Survey) -> Explanation:
    """How the statement that gives the page is carried out, as it is carried out."""
    for asked in await _pages(statements, request, signer, survey):
        row = await statements.row(
            Statement("explain", f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {asked.statement.sql}"), *asked.arguments
        )
        [explained] = orjson.loads(row[0])
        if explained["Plan"]["Actual Rows"] > asked.count:
            break
    nodes = list(_objects(explained))
    tasks = [node["Task Count"] for node in nodes if "Task Count" in node]
    return Explanation(
        asked.statement.sql,
        sorted({node["Index Name"] for node in nodes if "Index Name" in node}),
        sum(tasks) if tasks else None,
        explained.get("Planning Time", 0.0),
        explained.get("Execution Time", 0.0),
        row[0].decode(),
    )


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    """All objects in a JSON value."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _objects(item)


def same_count(request: SearchRequest) -> tuple[str, str]:
    """What requests have in common that have the same matches."""
    arguments = Arguments()
    return where(request, arguments), repr(arguments.values)


async def count(statements: Statements, request: SearchRequest, *, estimate: bool) -> int:
    """The number of matches. On Citus, whose plans hide the workers' estimates, an estimate is accurate too."""
    _require_restricted(request)
    arguments = Arguments()
    conditions = where(request, arguments, Way() if estimate else to_all(request))
    if estimate:
        plan = await statements.row(
            Statement("estimate", f"EXPLAIN (FORMAT JSON) SELECT 1 FROM resource WHERE {conditions}"),
            *arguments.values,
        )
        node = orjson.loads(plan[0])[0]["Plan"]
        if node["Node Type"] != "Custom Scan":
            return int(node["Plan Rows"])
    row = await statements.row(
        Statement("count", f"SELECT count(*) FROM resource WHERE {conditions}"), *arguments.values
    )
    return int(row[0])


async def find(statements: Statements, requests: Sequence[SearchRequest]) -> list[Sequence[tuple[str, str]]]:
    """For each request up to two matches. All that ask for one key, as an identifier does, are one statement, or one
    for each type if what may be seen of it is restricted."""
    found: list[Sequence[tuple[str, str]]] = [()] * len(requests)
    by_key: dict[Node, dict[int, list[int]]] = {}
    for number, request in enumerate(requests):
        _require_restricted(request)
        key, rest = _key_and_rest(request.tree)
        if key is not None and request.buckets is None:
            by_key.setdefault(rest, {}).setdefault(key, []).append(number)
        else:
            found[number] = await _find_one(statements, request)
    for rest, numbers in by_key.items():
        arguments = Arguments([list(numbers)])
        sql = f"{FIND_BY_KEY} AND {condition(rest, arguments)} GROUP BY k"
        for row in await statements.rows(Statement("find_by_key", sql), *arguments.values):
            ids = dict.fromkeys((row["first"], row["last"]))
            for number in numbers[row["key"]]:
                found[number] = [(requests[number].resource_type, id) for id in ids]
    return found


def _key_and_rest(tree: Node) -> tuple[int | None, Node]:
    """The key that few have, if a match has to have one, and what else has to hold."""
    first, *rest = tree.parts if isinstance(tree, And) and tree.parts else (tree,)
    if isinstance(first, KeyMatch) and len(first.keys) == 1 and (first.selective or not rest):
        return first.keys[0], And(tuple(rest))
    return None, tree


def _require_restricted(request: SearchRequest) -> None:
    """RuntimeError for a search that no policy has seen."""
    if not request.restricted:
        raise RuntimeError(f"nobody has restricted {request.resource_type} to what may be seen")


async def _find_one(statements: Statements, request: SearchRequest) -> Sequence[tuple[str, str]]:
    arguments = Arguments()
    conditions = where(request, arguments)
    rows = await statements.rows(
        Statement("find", f"SELECT id FROM resource WHERE {conditions} LIMIT {_ENOUGH}"), *arguments.values
    )
    return [(request.resource_type, row["id"]) for row in rows]
