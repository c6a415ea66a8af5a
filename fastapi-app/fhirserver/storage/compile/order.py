"""Sort keys → ORDER BY, and the condition that continues after (or before) a position.

Missing values come last, whatever the direction. The id is the last key always: it never changes, so a page begins
where the one before ended, whatever is written between the two.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from fhirserver.fhir.outcomes import InvalidRequest
from fhirserver.search.query.tree import NOTHING
from fhirserver.search.request import Sort
from fhirserver.storage.compile.conditions import condition
from fhirserver.storage.compile.sql import Arguments

# Characters of a text that count for the order: the text of the last row goes into the link to the next page.
_COMPARED = 200
# PostgreSQL's jsonb has no U+0000, which may be in what was stored without validation: then without it.
_AS_JSONB = (
    "(CASE WHEN strpos(content::text, '\\u0000') = 0 THEN content::jsonb"
    r" ELSE regexp_replace(content::text, '(?<!\\)((\\\\)*)\\u0000', '\1', 'g')::jsonb END)"
)


@dataclass(frozen=True, slots=True)
class Key:
    """One key of the order: an SQL expression, its type, and whether it can be missing."""

    expression: str
    type_name: str
    descending: bool
    nullable: bool


def keys_of(
    sort: Sequence[Sort], arguments: Arguments, *, sorts: bool, of_one_type: bool, on_cluster: bool
) -> list[Key]:
    """The keys of an order; newest ids first if nothing else is asked, type by type if there are several.

    `sorts` disguises the columns, so that the planner fetches what matches and sorts that, instead of walking an index
    in the wanted order in the hope of meeting matches soon. `on_cluster`: Citus has to be able to do it.
    """
    keys = [_key(item, arguments, on_cluster) for item in sort]
    last = keys[0].descending if keys else True
    if not of_one_type:
        keys.append(Key("resource_type", "text", last, False))
    if not any(item.by == "id" for item in sort):
        keys.append(Key("id", "text", last, False))
    if sorts and keys[0].expression in ("id", "resource_type"):
        keys[0] = Key(f"({keys[0].expression} || '')", "text", keys[0].descending, False)
    elif sorts and keys[0].expression in ("last_updated", "sort_date"):
        keys[0] = Key(f"({keys[0].expression} + interval '0')", "timestamptz", keys[0].descending, keys[0].nullable)
    return keys


def order_by(keys: Sequence[Key], *, backwards: bool) -> str:
    """The ORDER BY clause."""
    terms = []
    for key in keys:
        down = key.descending != backwards
        nulls = f" NULLS {'FIRST' if backwards else 'LAST'}" if key.nullable else ""
        terms.append(f"{key.expression}{' DESC' if down else ''}{nulls}")
    return f"ORDER BY {', '.join(terms)}"


def beyond(keys: Sequence[Key], position: Sequence[str | None], arguments: Arguments, *, backwards: bool) -> str:
    """The condition for rows after a position, given as the text of each key; before it if `backwards`."""
    values = [
        f"CAST({arguments.add(text, 'text')} AS {key.type_name})" if text is not None else None
        for key, text in zip(keys, position, strict=True)
    ]
    if not any(key.nullable for key in keys) and len({key.descending for key in keys}) == 1:
        sign = "<" if keys[0].descending != backwards else ">"
        return f"({', '.join(key.expression for key in keys)}) {sign} ({', '.join(map(str, values))})"
    alternatives = []
    for length, (key, value) in enumerate(zip(keys, values, strict=True)):
        equal = [_same(*pair) for pair in zip(keys[:length], values[:length], strict=True)]
        alternatives.append(f"({' AND '.join([*equal, _past(key, value, backwards)])})")
    return f"({' OR '.join(alternatives)})"


def _same(key: Key, value: str | None) -> str:
    return f"{key.expression} IS NULL" if value is None else f"{key.expression} = {value}"


def _past(key: Key, value: str | None, backwards: bool) -> str:
    if value is None:
        return f"{key.expression} IS NOT NULL" if backwards else "false"
    past = f"{key.expression} {'<' if key.descending != backwards else '>'} {value}"
    return f"({past} OR {key.expression} IS NULL)" if key.nullable and not backwards else past


def _key(sort: Sort, arguments: Arguments, on_cluster: bool) -> Key:
    down = sort.descending
    pick = "max" if down else "min"
    if sort.by == "id":
        return Key("id", "text", down, False)
    if sort.by == "last_updated":
        return Key("last_updated", "timestamptz", down, False)
    if sort.by == "sort_date":
        return Key("sort_date", "timestamptz", down, True)
    if sort.by == "string":
        start = arguments.add(f"\x1e{sort.parameter}=", "text")
        # Five times as fast as a regular expression.
        expression = (
            f"(SELECT {pick}(left(split_part(v, '\x1e', 1), {_COMPARED}))"
            f" FROM unnest((string_to_array(strings, {start}))[2:]) AS v)"
        )
        return Key(expression, "text", down, True)
    if sort.by == "range":
        key = arguments.add(sort.key, "bigint")
        expression = (
            f"(SELECT {pick}(CASE WHEN range_low[p] > '-Infinity' THEN range_low[p] ELSE range_high[p] END)"
            f" FROM unnest(array_positions(range_key, {key})) AS p)"
        )
        return Key(expression, "float8", down, True)
    if sort.by == "linked":
        return _linked(sort, arguments, on_cluster, "resource", 1)
    # Without [*] an array at the end of a path would be one value.
    paths = arguments.add([f"{path}[*]" for path in sort.json_paths], "text[]")
    expression = (
        f"(SELECT {pick}(left(lower(v #>> '{{}}'), {_COMPARED})) FROM unnest({paths}) AS path,"
        f" jsonb_path_query({_AS_JSONB}, path::jsonpath) AS v)"
    )
    return Key(expression, "text", down, True)


def _linked(sort: Sort, arguments: Arguments, on_cluster: bool, source: str, depth: int) -> Key:
    """The key of what the references of `source` lead to. Names in it that say no table mean the innermost one."""
    found: list[str] = []
    type_name = "text"
    for link, inner in sort.links:
        if link.within == NOTHING:
            continue
        alias = f"t{depth}"
        if inner.by == "linked":
            key = _linked(inner, arguments, on_cluster, alias, depth + 1)
        else:
            key = _key(inner, arguments, on_cluster)
        if found and key.type_name != type_name:
            raise InvalidRequest(
                f"_sort: what '{sort.parameter}' leads to has no common order; name the type: reference:Type.parameter",
                code="not-supported",
                expression="_sort",
            )
        type_name = key.type_name
        pick = "max" if sort.descending else "min"
        conditions = (
            f"{alias}.resource_type = {arguments.add(link.resource_type, 'text')} AND {alias}.content IS NOT NULL"
        )
        if link.within is not None:
            conditions += f" AND {condition(link.within, arguments)}"
        reference = arguments.add(link.reference, "bigint")
        if on_cluster and not link.is_near:
            # What is on other shards can't be looked up row by row: it is gathered first, and then compared.
            found.append(
                f"(WITH linked AS (SELECT {alias}.self_key AS s, {key.expression} AS v FROM resource AS {alias}"
                f" WHERE {conditions}) SELECT {pick}(linked.v) FROM linked"
                f" WHERE ({reference} # linked.s) = ANY ({source}.keys))"
            )
            continue
        near = f" AND {alias}.bucket = {source}.bucket" if link.is_near else ""
        found.append(
            f"(SELECT {pick}(v) FROM (SELECT {key.expression} AS v FROM resource AS {alias} WHERE {conditions}{near}"
            f" AND {alias}.self_key = ANY (ARRAY(SELECT r.t"
            f" FROM unnest({source}.ref_key, {source}.ref_target) AS r(k, t) WHERE r.k = {reference}))) AS linked)"
        )
    expression = found[0] if len(found) == 1 else f"coalesce(NULL::{type_name}, {', '.join(found)})"
    return Key(expression if found else "NULL::text", type_name, sort.descending, True)
