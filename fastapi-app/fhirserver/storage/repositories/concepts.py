"""Code systems in tables of their own: looking up and selecting concepts; and stored resources by canonical URL."""

from collections.abc import Sequence
from typing import Any

import asyncpg
import orjson

from fhirserver.fhir.outcomes import Unprocessable
from fhirserver.fhir.terminology.concepts import Concept
from fhirserver.fhir.terminology.selection import Everything, Selection
from fhirserver.search.keys import ParameterKeys
from fhirserver.storage.compile.selection import condition, is_a_key, storable, text_query
from fhirserver.storage.compile.sql import Arguments
from fhirserver.storage.statements import Statement, Statements
from fhirserver.terminology.store import LoadedSystem, Stored, Wanted

_MOST_STORED = 500
_CONCEPT = "code, display, inactive, abstract, detail"

STORED = Statement(
    "canonicals",
    "SELECT key, id, version_id FROM resource, unnest(keys) AS key"
    f" WHERE keys && $1::bigint[] AND key = ANY($1::bigint[]) AND content IS NOT NULL LIMIT {_MOST_STORED}",
)
STORED_SYSTEMS = Statement(
    "stored_code_systems",
    "SELECT content->>'url' AS url, content->>'version' AS version FROM resource"
    " WHERE resource_type = 'CodeSystem' AND content IS NOT NULL AND content->>'url' IS NOT NULL"
    f" AND content->>'content' NOT IN ('not-present', 'supplement') LIMIT {_MOST_STORED}",
)
LOADED = Statement(
    "code_systems",
    "SELECT key, url, version, header, size FROM code_system"
    " WHERE ready AND ($1::text[] IS NULL OR url = ANY($1::text[])) ORDER BY url, version",
)
ABOVE = Statement(
    "concepts_above",
    "SELECT code FROM concept WHERE code_system = $1 AND self_key = ANY"
    "(SELECT unnest(keys) FROM concept WHERE code_system = $1 AND code = $2)",
)
SUBSUMED = Statement(
    "subsumed",
    "SELECT code, array(SELECT key FROM unnest(keys) AS key WHERE key = ANY($3::bigint[])) AS above"
    " FROM concept WHERE code_system = $1 AND code = ANY($2::text[])",
)


async def stored(statements: Statements, resource_type: str, parameter: str, uris: Sequence[str]) -> list[Stored]:
    """Where the resources are that a search parameter of type uri finds by one of these."""
    keys = ParameterKeys(resource_type, parameter)
    by_key = {keys.uri(uri): uri for uri in uris}
    rows = await statements.rows(STORED, list(by_key))
    return [Stored(by_key[row["key"]], row["id"], row["version_id"]) for row in rows]


async def stored_code_systems(statements: Statements) -> list[tuple[str, str | None]]:
    """URL and version of the stored CodeSystem resources."""
    return [(row["url"], row["version"]) for row in await statements.rows(STORED_SYSTEMS)]


async def loaded(statements: Statements, urls: Sequence[str] | None) -> list[LoadedSystem]:
    """The code systems that are loaded completely."""
    rows = await statements.rows(LOADED, None if urls is None else storable(urls))
    return [
        LoadedSystem(row["key"], row["url"], row["version"] or None, orjson.loads(row["header"]), row["size"])
        for row in rows
    ]


async def decide(
    statements: Statements, system: LoadedSystem, selection: Selection, codes: Sequence[str]
) -> dict[str, tuple[Concept, bool]]:
    """The concepts with these codes, and whether each is selected."""
    arguments = Arguments()
    asked = f"code_system = {arguments.add(system.key, 'bigint')}"
    asked += f" AND code = ANY({arguments.add(storable(codes), 'text[]')})"
    selected = condition(selection, system.key, arguments)
    rows = await _rows(
        statements, "concepts", f"SELECT {_CONCEPT}, {selected} AS selected FROM concept WHERE {asked}", arguments
    )
    return {row["code"]: (_concept(row), bool(row["selected"])) for row in rows}


async def select(statements: Statements, wanted: Wanted, offset: int, limit: int) -> list[Concept]:
    """A page of concepts. Of those that are found by words, the shortest come first: they are what is looked for."""
    arguments = Arguments()
    conditions = _conditions(wanted, arguments)
    order = "length(display), ordinal" if wanted.words else "ordinal"
    page = f"OFFSET {arguments.add(offset, 'int')} LIMIT {arguments.add(limit, 'int')}"
    sql = f"SELECT {_CONCEPT} FROM concept WHERE {conditions} ORDER BY {order} {page}"
    return [_concept(row) for row in await _rows(statements, "select_concepts", sql, arguments)]


async def count(statements: Statements, wanted: Wanted, at_most: int | None) -> int:
    """How many there are, as far as `at_most`."""
    if isinstance(wanted.selection, Everything) and not (wanted.words or wanted.active_only or wanted.selectable_only):
        return wanted.system.size
    arguments = Arguments()
    conditions = _conditions(wanted, arguments)
    limit = "" if at_most is None else f" LIMIT {arguments.add(at_most, 'int')}"
    sql = f"SELECT count(*) FROM (SELECT 1 FROM concept WHERE {conditions}{limit}) AS found"
    rows = await _rows(statements, "count_concepts", sql, arguments)
    return int(rows[0][0])


async def above(statements: Statements, system: LoadedSystem, code: str) -> list[str]:
    """A code and all that subsume it."""
    if not storable([code]):
        return []
    return [row["code"] for row in await statements.rows(ABOVE, system.key, code)]


async def subsumed(
    statements: Statements, system: LoadedSystem, pairs: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], bool]:
    """For each pair whether the first is the second or below it, if both exist."""
    codes = storable({code for pair in pairs for code in pair})
    keys = {code: is_a_key(system.key, code) for code in codes}
    rows = await statements.rows(SUBSUMED, system.key, codes, list(keys.values()))
    found = {row["code"]: set(row["above"]) for row in rows}
    return {(below, code): keys[code] in found[below] for below, code in pairs if below in found and code in found}


def _conditions(wanted: Wanted, arguments: Arguments) -> str:
    parts = [f"code_system = {arguments.add(wanted.system.key, 'bigint')}"]
    if not isinstance(wanted.selection, Everything):
        parts.append(condition(wanted.selection, wanted.system.key, arguments))
    if wanted.words:
        parts.append(f"words @@ {arguments.add(text_query(wanted.words), 'text')}::tsquery")
    if wanted.active_only:
        parts.append("NOT inactive")
    if wanted.selectable_only:
        parts.append("NOT abstract")
    return " AND ".join(parts)


async def _rows(statements: Statements, name: str, sql: str, arguments: Arguments) -> Sequence[Any]:
    try:
        return await statements.rows(Statement(name, sql), *arguments.values)
    except asyncpg.InvalidRegularExpressionError as error:
        raise Unprocessable(f"the regular expression can't be evaluated: {error}") from error


def _concept(row: Any) -> Concept:
    detail = orjson.loads(row["detail"])
    return Concept(
        row["code"],
        row["display"],
        detail.get("definition"),
        detail.get("designation", ()),
        detail.get("property", ()),
        detail.get("parents", ()),
        row["inactive"],
        row["abstract"],
    )
