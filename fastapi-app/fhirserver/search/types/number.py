"""https://hl7.org/fhir/R4/search.html#number"""

import re
from decimal import Decimal, InvalidOperation
from typing import Any

from fhirserver.fhir.datatypes.numbers import implied_range
from fhirserver.search.entry import EntryBuilder
from fhirserver.search.query.tree import Node, RangeMatch, disjunction
from fhirserver.search.types.clause import Clause, Index, Source, prefixed, unescape
from fhirserver.search.types.intervals import comparisons
from fhirserver.search.types.magnitude import keys_among, keys_of

MODIFIERS: tuple[str, ...] = ()

_NUMBERS = frozenset({"integer", "decimal", "positiveInt", "unsignedInt"})
_NUMBER = re.compile(r"[+-]?\d{1,40}(\.\d{1,40})?([eE][+-]?\d{1,3})?", re.ASCII)


def as_float(value: Any) -> float | None:
    """The number of a JSON value; None if it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    try:
        return float(value)
    except (OverflowError, InvalidOperation):
        return None


def indexer(source: Source) -> Index | None:
    """A number is a point, a Range an interval that may be open."""
    key = source.keys.range()
    if source.branch.type_name == "Range":

        def interval(value: Any, entry: EntryBuilder) -> None:
            if (bounds := range_bounds(value)) is not None:
                entry.add_range(key, *bounds)
                entry.keys.update(keys_of(source.keys, *bounds))

        return interval
    if source.branch.type_name not in _NUMBERS:
        return None

    def point(value: Any, entry: EntryBuilder) -> None:
        number = as_float(value)
        if number is not None:
            entry.add_range(key, number, number)
            entry.keys.update(keys_of(source.keys, number, number))

    return point


def range_bounds(value: Any) -> tuple[float, float] | None:
    """The bounds of a Range; an end that is not given is infinite. None without both."""
    low = as_float((value.get("low") or {}).get("value"))
    high = as_float((value.get("high") or {}).get("value"))
    if low is None and high is None:
        return None
    return (float("-inf") if low is None else low, float("inf") if high is None else high)


def asked_interval(clause: Clause, value: str) -> tuple[str, float, float]:
    """Prefix and interval of a number in a query.

    The precision of the number counts for `eq`, `ne`; `ap` is 10 % up and down; for the others it is exact.
    """
    prefix, text = prefixed(value)
    try:
        if not _NUMBER.fullmatch(text):
            raise ValueError(text)
        low, high = implied_range(text)
    except ValueError as error:
        raise clause.wrong(value, "a number, with or without one of the prefixes of R4") from error
    if prefix in ("eq", "ne"):
        return prefix, low, high
    number = float(text)
    margin = abs(number) * 0.1 if prefix == "ap" else 0.0
    return prefix, number - margin, number + margin


def parse(clause: Clause) -> Node:
    """The number compares as the prefix says."""
    return disjunction(_parse_one(clause, value) for value in clause.values)


def _parse_one(clause: Clause, value: str) -> Node:
    prefix, low, high = asked_interval(clause, unescape(value))
    alternatives = comparisons(prefix, low, high)
    among = keys_among(clause.keys, alternatives)
    return RangeMatch(clause.label(value), clause.keys.range(), alternatives, among)
