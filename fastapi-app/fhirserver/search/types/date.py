"""https://hl7.org/fhir/R4/search.html#date"""

from collections.abc import Iterable
from datetime import UTC, datetime, tzinfo
from math import floor
from typing import Any

from fhirserver.fhir.datatypes.dates import date_interval, precision
from fhirserver.search.entry import EntryBuilder
from fhirserver.search.keys import ParameterKeys
from fhirserver.search.query.tree import Comparison, KeyMatch, Node, RangeMatch, UpdatedMatch, When, disjunction
from fhirserver.search.types.clause import Clause, Index, Source, prefixed, unescape
from fhirserver.search.types.intervals import Alternatives, comparisons

MODIFIERS: tuple[str, ...] = ()

_DATES = frozenset({"date", "dateTime", "instant", "string"})
_UNITS = {"year": 4, "month": 7, "day": 10}
_INFINITE = float("inf")
_DAY = 86_400
_LONG, _WIDE = 2 * _DAY, 367 * _DAY  # what lasts longer is said by a key
# Of these years not every instant is a datetime in every time zone: they have no keys.
_OUTERMOST_YEARS = ("0001", "9999")
_FIRST = datetime(1, 1, 1, tzinfo=UTC)
_LAST = datetime.max.replace(tzinfo=UTC)


def indexer(source: Source) -> Index | None:
    """Dates, periods and timings as intervals; by key too for the year, the month and the day they lie within."""
    keys, zone = source.keys, source.zone
    match source.branch.type_name:
        case name if name in _DATES:
            return lambda value, entry: _add(keys, _interval(value, zone), zone, entry)
        case "Period":
            return lambda value, entry: _add(keys, period_interval(value, zone), zone, entry)
        case "Timing":
            return lambda value, entry: _timing(keys, value, zone, entry)
    return None


def _interval(value: Any, zone: tzinfo) -> tuple[float, float] | None:
    try:
        return date_interval(value, zone) if isinstance(value, str) else None
    except ValueError:
        return None


def period_interval(value: Any, zone: tzinfo) -> tuple[float, float] | None:
    """From the start of a Period to its end; an end that is not given is infinite. None without both."""
    start, end = _interval(value.get("start"), zone), _interval(value.get("end"), zone)
    if start is None and end is None:
        return None
    return (start[0] if start else -_INFINITE, end[1] if end else _INFINITE)


def _timing(keys: ParameterKeys, value: Any, zone: tzinfo, entry: EntryBuilder) -> None:
    events = [_interval(event, zone) for event in value.get("event", ())]
    bounds = (value.get("repeat") or {}).get("boundsPeriod")
    if isinstance(bounds, dict):
        events.append(period_interval(bounds, zone))
    known = [event for event in events if event is not None]
    if known:
        _add(keys, (min(low for low, _ in known), max(high for _, high in known)), zone, entry)


def _add(keys: ParameterKeys, interval: tuple[float, float] | None, zone: tzinfo, entry: EntryBuilder) -> None:
    if interval is None:
        return
    low, high = interval
    entry.add_range(keys.range(), low, high)
    if not high - low <= _WIDE:
        return
    try:
        first = datetime.fromtimestamp(floor(low), zone).date().isoformat()
        last = datetime.fromtimestamp(floor(high), zone).date().isoformat()
    except (ValueError, OverflowError, OSError):
        return
    for length in (4, 7, 10):
        if first[:length] == last[:length]:
            entry.keys.add(keys.date(first[:length]))


def parse(clause: Clause) -> Node:
    """The interval of the value compares as the prefix says. Within a year, month or day: that is one key."""
    return disjunction(_parse_one(clause, value) for value in clause.values)


def _parse_one(clause: Clause, value: str) -> Node:
    prefix, text, low, high = _asked(clause, value)
    length = _UNITS.get(precision(text))
    if prefix == "eq" and length is not None and text[:4] not in _OUTERMOST_YEARS:
        return KeyMatch(clause.label(value), (clause.keys.date(text[:length]),))
    return _range(clause, clause.label(value), comparisons(prefix, low, high))


def overlapping(clause: Clause, value: str) -> Node:
    """The interval of the value, without a prefix, has an instant in common with that of the resource."""
    _, text, low, high = _asked(clause, value)
    if prefixed(unescape(value))[1] != unescape(value):
        raise clause.wrong(value, "a date or time without a prefix")
    if clause.parameter.code == "_lastUpdated":
        return UpdatedMatch(tuple(_moments(comparisons("ap", low, high))))
    return _range(clause, f"{clause.name} po {text}", comparisons("ap", low, high))


def _range(clause: Clause, label: str, alternatives: Alternatives) -> Node:
    """The match; of the type's principal date also what follows for `sort_date`."""
    keys = clause.keys
    principal = clause.definitions.principal_date(clause.parameter.base)
    if clause.parameter.code != principal or keys.place:
        return RangeMatch(label, keys.range(), alternatives, (keys.present,))
    first, last = _begins(alternatives, _LONG)
    if (first, last) == (-_INFINITE, _INFINITE):
        return RangeMatch(label, keys.range(), alternatives)
    first_of_long, _ = _begins(alternatives, _WIDE)
    when = When(first, last, first_of_long, keys.long, keys.wide)
    return RangeMatch(label, keys.range(), alternatives, when=when)


def _begins(alternatives: Alternatives, longest: float) -> tuple[float, float]:
    """From when to when an interval begins that satisfies one of these and lasts no longer than this."""
    hulls = [_hull(tests, longest) for tests in alternatives]
    return min(first for first, _ in hulls), max(last for _, last in hulls)


def _hull(tests: Iterable[Comparison], longest: float) -> tuple[float, float]:
    first, last = -_INFINITE, _INFINITE
    for test in tests:
        if test.operator in ("<", "<="):
            last = min(last, test.value)
        else:
            first = max(first, test.value - (longest if test.bound == "high" else 0))
    return first, last


def length_key(keys: ParameterKeys, low: float, high: float) -> int | None:
    """What says of a principal date that it lasts so long that its beginning alone doesn't tell about when it is."""
    length = high - low
    return None if length <= _LONG else keys.long if length <= _WIDE else keys.wide


def parse_last_updated(clause: Clause) -> Node:
    """`_lastUpdated`, which is a column."""
    alternatives = []
    for value in clause.values:
        prefix, _, low, high = _asked(clause, value)
        alternatives += _moments(comparisons(prefix, low, high))
    return UpdatedMatch(tuple(alternatives))


def _moments(alternatives: Alternatives) -> list[Any]:
    return [tuple((test.operator, _moment(test.value)) for test in tests) for tests in alternatives]


def _moment(seconds: float) -> datetime:
    """The moment, or the first or the last there is."""
    if seconds <= _FIRST.timestamp():
        return _FIRST
    return _LAST if seconds >= _LAST.timestamp() else datetime.fromtimestamp(seconds, UTC)


def _asked(clause: Clause, value: str) -> tuple[str, str, float, float]:
    """Prefix, text and interval of a value. For `ap` it is wider by a tenth of the distance to the present."""
    prefix, text = prefixed(unescape(value))
    try:
        low, high = date_interval(text, clause.zone)
    except ValueError as error:
        expected = "a date or time (YYYY, YYYY-MM, YYYY-MM-DD, …), with or without one of the prefixes of R4"
        if " " in text:
            expected += "; in a URL the + of a time zone is %2B"
        raise clause.wrong(value, expected) from error
    if prefix == "ap":
        now = clause.now.timestamp()
        margin = 0.1 * max(now - high, low - now, 0.0)
        low, high = low - margin, high + margin
    return prefix, text, low, high
