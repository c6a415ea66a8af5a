"""Dates of any precision as intervals of time.

https://hl7.org/fhir/R4/search.html#date and https://hl7.org/fhir/R4/datatypes.html#dateTime
"""

import re
from datetime import UTC, date, datetime, tzinfo
from math import inf, nextafter
from typing import Literal

Precision = Literal["year", "month", "day", "minute", "second", "fraction"]

_DATE = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d))?)?", re.ASCII).fullmatch
_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)T([01]\d|2[0-3]):([0-5]\d)(?::([0-5]\d|60)(?:\.(\d+))?)?"
    r"(Z|[+-](?:(?:0\d|1[0-3]):[0-5]\d|14:00))?",
    re.ASCII,
).fullmatch
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_DAY = 86400.0
_MICROSECOND = 1e-6
# Beyond this (the year 2106, or before 1833) floats of seconds get too coarse for one microsecond.
_FINE = float(1 << 32)


def date_interval(text: str, zone: tzinfo) -> tuple[float, float]:
    """First and last instant of a date, dateTime or instant: a closed interval in epoch seconds.

    The last instant is one microsecond before the next unit of the precision given. Whatever has no
    time zone of its own is read in `zone`. The leap second :60 counts as :59.999999.
    Raises ValueError if the text is no such date or the date does not exist.
    """
    if len(text) <= 10:
        return _date_interval(text, zone)
    match = _TIME(text)
    if match is None:
        raise ValueError(f"not a date: {text[:40]!r}")
    day, hour, minute, second, fraction, offset = match.groups()
    whole = int(hour) * 3600 + int(minute) * 60 + (int(second) if second else 0)
    start: float
    if offset is None:
        midnight = date.fromisoformat(day)
        local = datetime(
            midnight.year, midnight.month, midnight.day, int(hour), int(minute), min(int(second or 0), 59),
            tzinfo=zone,
        )  # fmt: skip
        start = local.timestamp() + (1 if second == "60" else 0)
    else:
        start = (date.fromisoformat(day).toordinal() - _EPOCH_DAY) * _DAY + whole
        if offset != "Z":
            east = int(offset[1:3]) * 3600 + int(offset[4:6]) * 60
            start += east if offset[0] == "-" else -east
    if second == "60":
        last = _before(start)
        return last, last
    if fraction:
        # Finer than a microsecond, both ends are the same instant; where floats are coarse, they stay in the second.
        end = _before(start + 1)
        low = min(start + float("0." + fraction), end)
        return low, max(low, min(start + _fraction_end(fraction), end))
    return start, _before(start + (1 if second else 60))


def precision(text: str) -> Precision:
    """How precisely a date is given. The text must be one that `date_interval` accepts."""
    length = len(text)
    if length <= 10:
        return "year" if length == 4 else "month" if length == 7 else "day"
    if length < 19 or text[16] != ":":
        return "minute"
    return "fraction" if length > 19 and text[19] == "." else "second"


def _date_interval(text: str, zone: tzinfo) -> tuple[float, float]:
    # date.fromisoformat also knows week dates and dates without hyphens; the hyphens rule these out.
    if len(text) == 10 and text[4] == "-" and text[7] == "-":
        first = date.fromisoformat(text)
        start = first.toordinal()
        end = start + 1
    else:
        match = _DATE(text)
        if match is None:
            raise ValueError(f"not a date: {text[:40]!r}")
        year, month = int(match[1]), int(match[2] or 1)
        first = date(year, month, 1)
        start = first.toordinal()
        if match[2] is None:
            end = start + (366 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 365)
        elif month == 12:
            end = start + 31
        else:
            end = date(year, month + 1, 1).toordinal()
    return _midnight(start, zone), _before(_midnight(end, zone))


def _midnight(day: int, zone: tzinfo) -> float:
    """Epoch seconds of the start of a day, given as its ordinal."""
    if zone is UTC or day > _LAST_DAY:
        return (day - _EPOCH_DAY) * _DAY
    at = date.fromordinal(day)
    return datetime(at.year, at.month, at.day, tzinfo=zone).timestamp()


_LAST_DAY = date.max.toordinal()


def _before(end: float) -> float:
    """The last instant before this one."""
    return end - _MICROSECOND if -_FINE < end < _FINE else nextafter(end, -inf)


def _fraction_end(fraction: str) -> float:
    digits = len(fraction)
    return (int(fraction) + 1) / 10**digits - _MICROSECOND if digits < 6 else 0.0
