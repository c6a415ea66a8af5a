"""Tree → a condition on one row of `resource`."""

import re
from collections.abc import Collection, Iterable
from datetime import UTC, datetime, timedelta
from math import isfinite

from fhirserver.search.query.tree import (
    And,
    Chain,
    CodedMatch,
    Comparison,
    Has,
    HierarchyMatch,
    IdMatch,
    InBuckets,
    KeyMatch,
    Linked,
    NearMatch,
    Node,
    Not,
    Or,
    RangeMatch,
    StringMatch,
    TextMatch,
    TypeMatch,
    UpdatedMatch,
    WordMatch,
)
from fhirserver.search.request import SearchRequest
from fhirserver.search.types.near import EARTH_RADIUS
from fhirserver.search.words import lexeme
from fhirserver.storage.compile.sql import Arguments
from fhirserver.storage.compile.ways import Way, asks_for_keys

_LIKE_SPECIAL = re.compile(r"([\\%_])")
_SEPARATOR = "\x1e"
_FEW = 16
_ANY_WAY = Way()
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST = (datetime.min.replace(tzinfo=UTC) - _EPOCH).total_seconds()
_LATEST = (datetime(9999, 12, 31, tzinfo=UTC) - _EPOCH).total_seconds()


def where(request: SearchRequest, arguments: Arguments, way: Way = _ANY_WAY) -> str:
    """The WHERE clause of a request: type, buckets, tree; deleted and forwarding rows never match."""
    parts = ["content IS NOT NULL"]
    if request.resource_type:
        parts.append(_of_type(request.resource_type, arguments, by_keys=way.by_keys))
    elif request.types:
        parts.append(condition(TypeMatch(request.types), arguments))
    if request.buckets is not None and way.in_buckets:
        parts.append(_in_buckets(request.buckets, arguments))
    if way.by_strings:
        parts.append("strings <> ''")  # as the index says
    if not request.is_everything:
        parts.append(condition(request.tree, arguments))
    return " AND ".join(parts)


def condition(node: Node, arguments: Arguments, *, negated: bool = False) -> str:
    """The condition that a row has to satisfy to match the node; `negated`: it is part of what must not be."""
    match node:
        case KeyMatch(keys=keys) if negated and len(keys) > _FEW:
            # No index helps here, and && compares each with each.
            return f"EXISTS (SELECT 1 FROM unnest(keys) AS k WHERE k = ANY({arguments.add(list(keys), 'bigint[]')}))"
        case KeyMatch(keys=keys):
            return _keys(keys, arguments)
        case RangeMatch():
            return _all([*_when([node], arguments), _range(node, arguments)])
        case StringMatch(among=among):
            if among:
                # The key tells how many match. What the planner would think of the pattern takes it a millisecond.
                return _all([_keys(among, arguments), _unguessed(_string(node, arguments))])
            return _string(node, arguments)
        case TextMatch():
            return _text(node, arguments)
        case WordMatch(query=query):
            return f"words @@ CAST({arguments.add(query, 'text')} AS tsquery)"
        case NearMatch():
            return _near(node, arguments)
        case CodedMatch() | HierarchyMatch():
            raise ValueError(f"{node} is to be found out before it is compiled")
        case TypeMatch(types=types):
            return f"resource_type = ANY({arguments.add(list(types), 'text[]')})"
        case IdMatch(ids=ids):
            return f"id = ANY({arguments.add(list(ids), 'text[]')})"
        case UpdatedMatch(alternatives=alternatives):
            return _any(
                _all(f"last_updated {operator} {arguments.add(moment, 'timestamptz')}" for operator, moment in tests)
                for tests in alternatives
            )
        case InBuckets(buckets=buckets):
            return _in_buckets(buckets, arguments)
        case Chain(contained=contained):
            return _any([_chain(node, arguments), *(condition(part, arguments) for part in contained)])
        case Has():
            return _has(node, arguments)
        case And(parts=parts):
            return _conjunction(parts, arguments, negated=negated)
        case Or(parts=parts):
            return _any(condition(part, arguments, negated=negated) for part in parts)
        case Not(part=part):
            return f"NOT {condition(part, arguments, negated=not negated)}"


def _in_buckets(buckets: Collection[int], arguments: Arguments) -> str:
    if len(buckets) == 1:
        return f"bucket = {arguments.add(next(iter(buckets)), 'int')}"
    return f"bucket = ANY({arguments.add(sorted(buckets), 'int[]')})"


def _all(parts: Iterable[str]) -> str:
    return f"({' AND '.join(parts) or 'true'})"


def _any(parts: Iterable[str]) -> str:
    return f"({' OR '.join(parts) or 'false'})"


def _keys(keys: Collection[int], arguments: Arguments) -> str:
    return f"keys {'@>' if len(keys) == 1 else '&&'} {arguments.add(list(keys), 'bigint[]')}"


def _among(keys: Collection[int], arguments: Arguments) -> list[str]:
    return [_keys(keys, arguments)] if keys else []


def _conjunction(parts: Iterable[Node], arguments: Arguments, *, negated: bool) -> str:
    """All parts. What ranges of dates say of `sort_date` is said once: its index is then read from one to the other."""
    ranges = [part for part in parts if isinstance(part, RangeMatch)]
    others = (
        _range(part, arguments) if isinstance(part, RangeMatch) else condition(part, arguments, negated=negated)
        for part in parts
    )
    return _all([*_when(ranges, arguments), *others])


def _when(nodes: Iterable[RangeMatch], arguments: Arguments) -> Iterable[str]:
    """What these say of `sort_date`, which has the precision of the database."""
    found = [node.when for node in nodes if node.when is not None]
    if not found:
        return
    first, last = max(when.first for when in found), min(when.last for when in found)
    first_of_long = max(when.first_of_long for when in found)
    alternatives = [between(first, last, arguments)]
    if found[0].none_lasts:
        yield from alternatives
        return
    if first_of_long != first:
        alternatives.append(_all([_keys([found[0].long], arguments), between(first_of_long, last, arguments)]))
    yield _any([*alternatives, _keys([found[0].wide], arguments)])


def between(first: float, last: float, arguments: Arguments) -> str:
    """That `sort_date` is between two moments, in seconds."""
    bounds = [f"sort_date >= {arguments.add(_moment(first - 1), 'timestamptz')}"] if isfinite(first) else []
    bounds += [f"sort_date <= {arguments.add(_moment(last + 1), 'timestamptz')}"] if isfinite(last) else []
    return _all(bounds)


def _moment(seconds: float) -> datetime:
    return _EPOCH + timedelta(seconds=min(max(seconds, _EARLIEST), _LATEST))


def _range(node: RangeMatch, arguments: Arguments) -> str:
    def test(comparison: Comparison) -> str:
        value = arguments.add(comparison.value, "float8")
        return f"range_{comparison.bound}[p] {comparison.operator} {value}"

    tests = _any(_all(test(comparison) for comparison in tests) for tests in node.alternatives)
    # Six times as fast as joining the three arrays.
    places = f"unnest(array_positions(range_key, {arguments.add(node.key, 'bigint')}))"
    return _all([*_among(node.among, arguments), f"EXISTS (SELECT 1 FROM {places} AS p WHERE {tests})"])


def _chain(node: Chain, arguments: Arguments) -> str:
    """The key of a reference is that of the parameter combined with that of the target, so SQL can make it."""
    reference = arguments.add(node.reference, "bigint")
    targets = _any(_linked(target, arguments) for target in node.targets)
    return f"keys && (SELECT coalesce(array_agg(self_key # {reference}), '{{}}') FROM resource WHERE {targets})"


def _has(node: Has, arguments: Arguments) -> str:
    source = _linked(node.source, arguments)
    return (
        "self_key IN (SELECT target FROM resource, unnest(ref_key, ref_target) AS reference(by, target)"
        f" WHERE by = {arguments.add(node.reference, 'bigint')} AND {source})"
    )


def _linked(linked: Linked, arguments: Arguments) -> str:
    """The condition for the other end of a reference."""
    of_type = _of_type(linked.resource_type, arguments, by_keys=asks_for_keys(linked.node))
    return f"({of_type} AND content IS NOT NULL AND {condition(linked.node, arguments)})"


def _of_type(resource_type: str, arguments: Arguments, *, by_keys: bool) -> str:
    """Keys tell the type too, but PostgreSQL, which doesn't know, would read the index of all that are of the type."""
    wanted = arguments.add(resource_type, "text")
    return f"(resource_type <> {wanted}) IS FALSE" if by_keys else f"resource_type = {wanted}"


def _string(node: StringMatch, arguments: Arguments) -> str:
    start = f"{_SEPARATOR}{node.parameter}="
    if node.how in ("starts", "is"):
        end = _SEPARATOR if node.how == "is" else ""
        return _like("%" + _escaped(start + node.text + end) + "%", arguments)
    text = re.escape(node.text)
    match node.how:
        case "ends":
            rest = f"[^{_SEPARATOR}]*{text}{_SEPARATOR}"
        case "is not":
            rest = f"(?!{text}{_SEPARATOR})"
        case _:
            rest = f"[^{_SEPARATOR}]*{text}"
    exactly = f"strings ~ {arguments.add(re.escape(start) + rest, 'text')}"
    if node.how == "is not":
        return exactly
    # That it is anywhere at all is told much faster, and is for the index; what has no name is not.
    return f"({_like('%' + _escaped(node.text) + '%', arguments)} AND {_unguessed(exactly)})"


def _unguessed(condition: str) -> str:
    """The condition, of which the planner takes one half to be true, and no index helps with it."""
    return f"CASE WHEN {condition} THEN true ELSE false END"


def _escaped(text: str) -> str:
    return _LIKE_SPECIAL.sub(r"\\\1", text)


def _like(pattern: str, arguments: Arguments) -> str:
    return f"strings LIKE {arguments.add(pattern, 'text')}"


def _text(node: TextMatch, arguments: Arguments) -> str:
    """The index on words finds the candidates: all words of a text are among those of the resource."""
    query = " & ".join([*map(lexeme, node.words[:-1]), lexeme(node.words[-1], "*")])
    start = re.escape(f"{_SEPARATOR}{node.parameter}=")
    regex = f"{start}[^{_SEPARATOR}]* {' '.join(node.words)}"
    return f"(words @@ CAST({arguments.add(query, 'text')} AS tsquery) AND texts ~ {arguments.add(regex, 'text')})"


def _near(node: NearMatch, arguments: Arguments) -> str:
    """The distance by the haversine formula, of what is in one of the cells."""
    cells = arguments.add(list(node.cells), "bigint[]")
    latitude = arguments.add(node.latitude, "float8")
    longitude = arguments.add(node.longitude, "float8")

    def coordinate(key: int) -> str:
        found = arguments.add(key, "bigint")
        return f"(SELECT l FROM unnest(range_key, range_low) AS r(k, l) WHERE k = {found} LIMIT 1)"

    other_latitude, other_longitude = coordinate(node.latitude_key), coordinate(node.longitude_key)
    up = f"power(sind(({other_latitude} - {latitude}) / 2), 2)"
    across = f"power(sind(({other_longitude} - {longitude}) / 2), 2)"
    chord = f"sqrt(least(1, {up} + cosd({latitude}) * cosd({other_latitude}) * {across}))"
    kilometres = arguments.add(node.kilometres, "float8")
    return f"(keys && {cells} AND {2 * EARTH_RADIUS} * asin({chord}) <= {kilometres})"
