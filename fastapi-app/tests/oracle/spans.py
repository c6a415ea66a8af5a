"""Intervals, exact: of the time or the numbers that a text stands for. https://hl7.org/fhir/R4/search.html#prefix

A bound is (value, nudge): the nudge is -1 just below the value, 1 just above it, 0 at it. So every interval is closed,
and bounds compare as tuples do.
"""

import re
from datetime import UTC, date, datetime, timedelta, tzinfo
from decimal import Decimal
from fractions import Fraction
from math import inf
from typing import Any

Bound = tuple[Fraction | float, int]
Span = tuple[Bound, Bound]

EVER: Bound = (inf, 0)
NEVER: Bound = (-inf, 0)
PREFIXES = ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")

_DATE = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?(Z|[+-]\d\d:\d\d)?)?)?)?", re.ASCII
)
_DAY = 86_400


def compare(prefix: str, asked: Span, found: Span) -> bool:
    """What R4's table of prefixes says about the range of the search value and that of the resource."""
    contained = asked[0] <= found[0] and found[1] <= asked[1]
    above, below = found[1] > asked[1], found[0] < asked[0]
    match prefix:
        case "eq":
            return contained
        case "ne":
            return not contained
        case "gt":
            return above
        case "lt":
            return below
        case "ge":
            return above or contained
        case "le":
            return below or contained
        case "sa":
            return found[0] > asked[1]
        case "eb":
            return found[1] < asked[0]
        case "ap":
            return found[0] <= asked[1] and asked[0] <= found[1]
    raise AssertionError(prefix)


def prefixed(text: str) -> tuple[str, str]:
    """Prefix and rest."""
    return (text[:2], text[2:]) if text[:2] in PREFIXES else ("eq", text)


def date_span(text: Any, zone: tzinfo = UTC) -> Span | None:
    """Seconds since 1970 from the start to just before the end of a date, dateTime or instant of any precision."""
    match = _DATE.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, offset = match.groups()
    first = (int(year), int(month or 1), int(day or 1))
    try:
        if hour is None:
            return ((_midnight(*first, zone), 0), (_midnight(*_next_day(year, month, day), zone), -1))
        start = Fraction(_midnight(*first, UTC) + int(hour) * 3600 + int(minute) * 60 + int(second or 0))
        if offset is None:
            local = datetime(*first, int(hour), int(minute), int(second or 0), tzinfo=zone).utcoffset()
            start -= _seconds(local)
        elif offset != "Z":
            start -= (int(offset[1:3]) * 3600 + int(offset[4:]) * 60) * (1 if offset[0] == "+" else -1)
    except ValueError:
        return None
    length = Fraction(60 if second is None else 1)
    if fraction is not None:
        length = Fraction(1, 10 ** len(fraction))
        start += int(fraction) * length
    return ((start, 0), (start + length, -1))


def _next_day(year: str, month: str | None, day: str | None) -> tuple[int, int, int]:
    """The day after the year, the month or the day."""
    if month is None:
        return int(year) + 1, 1, 1
    if day is None:
        return (int(year) + 1, 1, 1) if month == "12" else (int(year), int(month) + 1, 1)
    if (year, month, day) == ("9999", "12", "31"):
        return 10_000, 1, 1
    after = date(int(year), int(month), int(day)) + timedelta(days=1)
    return after.year, after.month, after.day


def _midnight(year: int, month: int, day: int, zone: tzinfo) -> int:
    if year == 10_000:
        return _midnight(9999, 12, 31, UTC) + _DAY
    days = date(year, month, day).toordinal() - date(1970, 1, 1).toordinal()
    return days * _DAY - int(_seconds(datetime(year, month, day, tzinfo=zone).utcoffset()))


def _seconds(offset: timedelta | None) -> Fraction:
    return Fraction(0) if offset is None else Fraction(offset / timedelta(seconds=1))


def period_span(period: dict[str, Any], zone: tzinfo) -> Span | None:
    """From the start of the start to the end of the end; what isn't given is infinite."""
    start, end = date_span(period.get("start"), zone), date_span(period.get("end"), zone)
    if start is None and end is None:
        return None
    return (start[0] if start else NEVER, end[1] if end else EVER)


def time_span(value: Any, zone: tzinfo) -> Span | None:
    """Of a value of a date parameter: a date, a Period, or the outer limits of a Timing."""
    if not isinstance(value, dict):
        return date_span(value, zone)
    if "event" in value or "repeat" in value:
        spans = [date_span(event, zone) for event in value.get("event", [])]
        spans.append(period_span(value.get("repeat", {}).get("boundsPeriod", {}), zone))
        known = [span for span in spans if span is not None]
        return (min(low for low, _ in known), max(high for _, high in known)) if known else None
    return period_span(value, zone)


def asked_time(text: str, zone: tzinfo, now: datetime) -> tuple[str, Span]:
    """Prefix and span of a date in a query; for `ap` it is wider by a tenth of the gap between now and the date."""
    prefix, rest = prefixed(text)
    span = date_span(rest, zone)
    assert span is not None, text
    (low, _), (high, nudge) = span
    if prefix == "ap":
        present = Fraction(now.timestamp())
        margin = max(present - high, low - present, Fraction(0)) / 10
        low, high = low - margin, high + margin
    return prefix, ((low, 0), (high, nudge))


def implied_span(text: str) -> Span:
    """All that rounds to this number as it is written: 100 is [99.5, 100.5).

    With an exponent it has two significant figures at least: R4 says that 1e2 is [95, 105).
    """
    number = Decimal(text)
    _, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int)
    if "e" in text.lower() and len(digits) == 1:
        exponent -= 1
    half = Fraction(Decimal((0, (5,), exponent - 1)))
    return ((Fraction(number) - half, 0), (Fraction(number) + half, -1))


def asked_number(text: str) -> tuple[str, Span]:
    """Prefix and span of a number in a query: its precision counts for eq and ne alone, ap is 10 % up and down."""
    prefix, rest = prefixed(text)
    if prefix in ("eq", "ne"):
        return prefix, implied_span(rest)
    number = Fraction(Decimal(rest))
    margin = abs(number) / 10 if prefix == "ap" else Fraction(0)
    return prefix, ((number - margin, 0), (number + margin, 0))


def point(number: Any) -> Span:
    """The span of a number in a resource, which is exact."""
    return ((Fraction(number), 0), (Fraction(number), 0))


def between(low: Any, high: Any) -> Span | None:
    """Of a Range's ends, which are Quantities or None."""
    start, end = (low or {}).get("value"), (high or {}).get("value")
    if start is None and end is None:
        return None
    return (NEVER if start is None else (Fraction(start), 0), EVER if end is None else (Fraction(end), 0))
