"""Dates and times of any precision: reading, comparing, adding durations.

https://hl7.org/fhirpath/N1/#date and https://hl7.org/fhirpath/N1/#datetime
"""

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_DOWN, Decimal
from functools import lru_cache
from typing import Any, Literal

Kind = Literal["Date", "DateTime", "Time"]

_DATE = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d))?)?", re.ASCII)
_CLOCK = r"([01]\d|2[0-3])(?::([0-5]\d)(?::([0-5]\d|60)(\.\d+)?)?)?"
_TIME = re.compile(_CLOCK, re.ASCII)
_DATETIME = re.compile(rf"{_DATE.pattern}(?:T(?:{_CLOCK}(Z|[+-](?:0\d|1[0-4]):[0-5]\d)?)?)?", re.ASCII)
_LONGEST = 60
_UNITS = ("year", "month", "day", "hour", "minute", "second")
_EARLIEST_OFFSET, _LATEST_OFFSET = timedelta(hours=12), timedelta(hours=14)


@dataclass(frozen=True, slots=True, eq=False)
class Temporal:
    """A Date, DateTime or Time. `fields` are year … second (of a Time hour … second), as many as are given.

    Seconds are a Decimal with the digits that were written. `offset` is in minutes, None if no zone is given.
    """

    kind: Kind
    fields: tuple[int | Decimal, ...]
    offset: int | None = None

    def __str__(self) -> str:
        if self.kind == "Time":
            return _clock(self.fields)
        day = "-".join(f"{field:04}" if place == 0 else f"{field:02}" for place, field in enumerate(self.fields[:3]))
        if self.kind == "Date":
            return day
        return f"{day}T{_clock(self.fields[3:])}{_zone(self.offset)}" if len(self.fields) > 3 else day

    @property
    def digits(self) -> int:
        """The precision as a number of digits: 4 for a year, 17 for a DateTime with milliseconds."""
        return sum(c.isdigit() for c in str(Temporal(self.kind, self.fields)))


def parse_temporal(text: str, kind: Kind) -> Temporal | None:
    """The Date, DateTime or Time that a text (without `@`) says; None if it is none or does not exist."""
    return _parse(text, kind) if len(text) <= _LONGEST else None


@lru_cache(maxsize=4096)
def _parse(text: str, kind: Kind) -> Temporal | None:
    if kind == "Time":
        match = _TIME.fullmatch(text)
        return Temporal("Time", _clock_fields(*match.groups())) if match else None
    match = (_DATE if kind == "Date" else _DATETIME).fullmatch(text)
    if match is None:
        return None
    year, month, day, *rest = match.groups()
    fields: tuple[int | Decimal, ...] = tuple(int(part) for part in (year, month, day) if part is not None)
    try:
        date(*(int(field) for field in (*fields, 1, 1)[:3]))
    except ValueError:
        return None
    if not rest or rest[0] is None:
        return Temporal(kind, fields)
    if len(fields) < 3:
        return None
    *clock, zone = rest
    return Temporal("DateTime", fields + _clock_fields(*clock), None if zone is None else _offset(zone))


def from_datetime(moment: datetime) -> Temporal:
    """The DateTime of an instant, with milliseconds."""
    second = Decimal(moment.second * 1000 + moment.microsecond // 1000).scaleb(-3)
    zone = moment.utcoffset()
    return Temporal(
        "DateTime",
        (moment.year, moment.month, moment.day, moment.hour, moment.minute, second),
        None if zone is None else round(zone.total_seconds() / 60),
    )


def compare(left: Temporal, right: Temporal) -> int | None:
    """-1, 0 or 1; None if the precision, or a missing time zone, leaves it open. Not for a Time with another kind."""
    if left.offset != right.offset and len(left.fields) > 3 and len(right.fields) > 3:
        if left.offset is None or right.offset is None:
            return _compare_without_zone(left, right)
        left, right = _in_utc(left), _in_utc(right)
    for mine, other in zip(left.fields, right.fields, strict=False):
        if mine != other:
            return -1 if mine < other else 1
    return 0 if len(left.fields) == len(right.fields) else None


def identity(moment: Temporal) -> tuple[Any, ...]:
    """What is the same for moments that are equal, and for no others."""
    if moment.offset and len(moment.fields) > 3:
        moment = _in_utc(moment)
    return moment.kind == "Time", moment.offset is None, moment.fields


def equivalent(left: Temporal, right: Temporal) -> bool:
    """Whether they are the same, precision included."""
    return (left.kind == "Time") == (right.kind == "Time") and compare(left, right) == 0


def add(moment: Temporal, amount: Decimal, unit: str) -> Temporal | None:
    """A moment moved by a number of calendar units (`year` … `millisecond`); None beyond the years 1 to 9999.

    Fractions count for seconds and less only. Durations finer than the moment's precision are converted to it.
    """
    if unit == "week":
        amount, unit = amount.to_integral_value(ROUND_DOWN) * 7, "day"
    elif unit == "millisecond":
        amount, unit = amount / 1000, "second"
    if unit != "second":
        amount = amount.to_integral_value(ROUND_DOWN)
    if abs(amount) > 10**12:
        return None
    if moment.kind == "Time":
        return _add_to_time(moment, amount, unit)
    amount, unit = _coarsened(amount, unit, len(moment.fields))
    try:
        if unit in ("year", "month"):
            return _add_months(moment, int(amount) * (12 if unit == "year" else 1))
        return _add_seconds(moment, amount, unit)
    except (ValueError, OverflowError):
        return None


def _add_months(moment: Temporal, months: int) -> Temporal:
    year, month, *rest = (*moment.fields, 1)[: max(2, len(moment.fields))]
    total = int(year) * 12 + int(month) - 1 + months
    year, month = total // 12, total % 12 + 1
    date(year, month, 1)
    if rest:
        rest[0] = min(int(rest[0]), days_in_month(year, month))
    return Temporal(moment.kind, (year, month, *rest)[: len(moment.fields)], moment.offset)


def _add_seconds(moment: Temporal, amount: Decimal, unit: str) -> Temporal:
    year, month, day, *clock = moment.fields
    hour, minute, whole_second = (*map(int, clock), 0, 0, 0)[:3]
    start = datetime(int(year), int(month), int(day), hour, minute, whole_second)
    if unit == "second":
        # The fraction is kept apart: microseconds are too coarse for it.
        second = Decimal(clock[2]) + amount
        whole = second.to_integral_value("ROUND_FLOOR")
        moved = start.replace(second=0) + timedelta(seconds=int(whole))
        fields: tuple[int | Decimal, ...] = (*_fields(moved)[:5], moved.second + (second - whole))
    else:
        moved = start + timedelta(**{f"{unit}s": int(amount)})
        fields = _fields(moved)[: len(moment.fields)]
        if len(clock) == 3:
            fields = (*fields[:5], clock[2])
    return Temporal(moment.kind, fields, moment.offset)


def _add_to_time(moment: Temporal, amount: Decimal, unit: str) -> Temporal | None:
    seconds = {"hour": 3600, "minute": 60, "second": 1}.get(unit)
    if seconds is None:
        return None
    weights = (3600, 60, 1)
    finest = weights[len(moment.fields) - 1]
    total = sum((Decimal(f) * w for f, w in zip(moment.fields, weights, strict=False)), Decimal(0))
    total += (amount * seconds / finest).to_integral_value(ROUND_DOWN) * finest if finest > 1 else amount * seconds
    total %= 86400
    if total < 0:
        total += 86400
    fields = (int(total // 3600), int(total % 3600 // 60), total % 60)
    return Temporal("Time", fields[: len(moment.fields)])


def _coarsened(amount: Decimal, unit: str, precision: int) -> tuple[Decimal, str]:
    """A duration in the finest unit that a precision has, if it is given in a finer one."""
    steps = {"second": (60, "minute"), "minute": (60, "hour"), "hour": (24, "day"), "day": (30, "month")}
    while _UNITS.index(unit) >= precision:
        if unit == "day" and precision == 1:
            amount, unit = amount / 365, "year"
        elif unit == "month":
            amount, unit = amount / 12, "year"
        else:
            factor, unit = steps[unit]
            amount = amount / factor
        amount = amount.to_integral_value(ROUND_DOWN) if precision > _UNITS.index(unit) else amount
    return amount, unit


def days_in_month(year: int, month: int) -> int:
    """28 to 31."""
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month in (4, 6, 9, 11) else 31


def _in_utc(moment: Temporal) -> Temporal:
    """The same moment at offset 0, as precise."""
    fields = moment.fields
    try:
        moved = _whole_minutes(moment) - timedelta(minutes=moment.offset or 0)
    except OverflowError:
        return moment
    return Temporal(moment.kind, (*_fields(moved)[:5], *fields[5:])[: len(fields)], 0)


def _compare_without_zone(left: Temporal, right: Temporal) -> int | None:
    """One of the two has no zone: what is true whichever it is."""
    if left.offset is None:
        reversed_ = _compare_without_zone(right, left)
        return None if reversed_ is None else -reversed_
    try:
        instant, local = _whole_minutes(_in_utc(left)), _whole_minutes(right)
        unsure = timedelta(hours=1) if 4 in (len(left.fields), len(right.fields)) else timedelta(minutes=1)
        if instant < local - _LATEST_OFFSET - unsure:
            return -1
        return 1 if instant > local + _EARLIEST_OFFSET + unsure else None
    except OverflowError:
        return None


def _whole_minutes(moment: Temporal) -> datetime:
    return datetime(*(int(field) for field in (*moment.fields[:5], 0)[:5]))  # type: ignore[arg-type]


def _fields(moment: datetime) -> tuple[int | Decimal, ...]:
    return (moment.year, moment.month, moment.day, moment.hour, moment.minute, Decimal(moment.second))


def _clock_fields(
    hour: str | None, minute: str | None, second: str | None, fraction: str | None
) -> tuple[int | Decimal, ...]:
    fields: tuple[int | Decimal, ...] = tuple(int(part) for part in (hour, minute) if part is not None)
    return fields if second is None else (*fields, Decimal(second + (fraction or "")))


def _clock(fields: tuple[int | Decimal, ...]) -> str:
    parts = [f"{field:02}" for field in fields[:2]]
    if len(fields) > 2:
        whole, dot, fraction = format(fields[2], "f").partition(".")
        parts.append(whole.zfill(2) + dot + fraction)
    return ":".join(parts)


def _offset(zone: str) -> int:
    if zone == "Z":
        return 0
    minutes = int(zone[1:3]) * 60 + int(zone[4:6])
    return -minutes if zone[0] == "-" else minutes


def _zone(offset: int | None) -> str:
    if offset is None:
        return ""
    return "Z" if offset == 0 else f"{'-' if offset < 0 else '+'}{abs(offset) // 60:02}:{abs(offset) % 60:02}"
