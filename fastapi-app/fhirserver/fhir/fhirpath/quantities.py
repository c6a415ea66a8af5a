"""Quantities: a number with a UCUM unit or a calendar duration.

https://hl7.org/fhirpath/N1/#quantity
"""

import re
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import Any

from fhirserver.fhir.datatypes import ucum

ARITHMETIC = Context(prec=34, traps=[])

CALENDAR = {
    f"{unit}{plural}": unit
    for unit in ("year", "month", "week", "day", "hour", "minute", "second", "millisecond")
    for plural in ("", "s")
}
# Calendar units and the UCUM units that are the same; a year and a month are only about as long as `a` and `mo`.
_DEFINITE = {"week": "wk", "day": "d", "hour": "h", "minute": "min", "second": "s", "millisecond": "ms"}
_APPROXIMATE = {"year": "a", "month": "mo"}
_FROM_UCUM = {code: unit for unit, code in (_DEFINITE | _APPROXIMATE).items()}
_TEXT = re.compile(r"([+-]?\d+(?:\.\d+)?)\s*(?:'((?:\\.|[^'\\])+)'|([a-z]+))?").fullmatch


@dataclass(frozen=True, slots=True, eq=False)
class Quantity:
    """`unit` is a UCUM code (`1` for none), or with `is_calendar` one of `year` … `millisecond`.

    For a FHIR quantity with another system, or only a text as unit, that is the unit; it is comparable to itself.
    """

    value: Decimal
    unit: str = "1"
    is_calendar: bool = False

    def __str__(self) -> str:
        if not self.is_calendar:
            return f"{self.value} '{self.unit}'"
        return f"{self.value} {self.unit}{'' if self.value == 1 else 's'}"


def literal_quantity(value: Decimal, unit: str) -> Quantity:
    """The quantity of a literal: a calendar word, in quotes or not, or a UCUM code."""
    calendar = CALENDAR.get(unit)
    return Quantity(value, calendar, True) if calendar is not None else Quantity(value, unit)


def parse_quantity(text: str) -> Quantity | None:
    """`4.5 'mg'`, `2 days` or a bare number; None for any other text."""
    match = _TEXT(text.strip())
    if match is None:
        return None
    value, quoted, word = match.groups()
    if word is not None and word not in CALENDAR:
        return None
    return literal_quantity(Decimal(value), quoted or word or "1")


def fhir_quantity(value: dict[str, Any]) -> Quantity | None:
    """The quantity that a FHIR Quantity is; None without a number or with a comparator.

    UCUM's units of time are taken as calendar durations (https://hl7.org/fhir/R4/fhirpath.html#quantity).
    """
    number = value.get("value")
    if number.__class__ is bool or not isinstance(number, int | Decimal) or "comparator" in value:
        return None
    system, code, unit = value.get("system"), value.get("code"), value.get("unit")
    if isinstance(code, str):
        if system == ucum.SYSTEM:
            calendar = _FROM_UCUM.get(code)
            return Quantity(Decimal(number), calendar or code, calendar is not None)
        return Quantity(Decimal(number), f"{system or ''}|{code}")
    return Quantity(Decimal(number), f"|{unit}" if isinstance(unit, str) else "1")


def compare(left: Quantity, right: Quantity) -> int | None:
    """-1, 0 or 1; None if the units don't go together."""
    pair = _commensurable(left, right)
    return None if pair is None else (pair[0] > pair[1]) - (pair[0] < pair[1])


def identity(quantity: Quantity) -> tuple[Any, ...]:
    """What is the same for quantities that are equal."""
    if quantity.is_calendar and quantity.unit in _APPROXIMATE:
        return quantity.value * (12 if quantity.unit == "year" else 1), "month"
    return ucum.canonical(quantity.value, ucum_code(quantity)) or (quantity.value, quantity.unit)


def equivalent(left: Quantity, right: Quantity) -> bool:
    """Whether they are the same to the precision of the less precise one, in the coarser unit."""
    mine, other = ucum_code(left), ucum_code(right)
    if mine == other:
        return numbers_equivalent(left.value, right.value)
    scale = ucum.convert(Decimal(1), mine, other)
    if scale is None:
        return False
    if scale > 1:
        left, right, mine, other = right, left, other, mine
    # `other` is the coarser unit now.
    converted = ucum.convert(left.value, mine, other)
    return converted is not None and numbers_equivalent(converted.normalize(ARITHMETIC), right.value)


def numbers_equivalent(left: Decimal | int, right: Decimal | int) -> bool:
    """Whether two numbers are the same when rounded to the fewer decimals of the two, trailing zeros ignored."""
    one, two = ARITHMETIC.normalize(Decimal(left)), ARITHMETIC.normalize(Decimal(right))
    if not (one.is_finite() and two.is_finite()):
        return False
    step = Decimal((0, (1,), max(_exponent(one), _exponent(two))))
    return bool(one.quantize(step, context=ARITHMETIC) == two.quantize(step, context=ARITHMETIC))


def add(left: Quantity, right: Quantity, sign: int) -> Quantity | None:
    """Sum or difference in the left one's unit; None if the units don't go together."""
    if (left.unit, left.is_calendar) == (right.unit, right.is_calendar):
        converted: Decimal | None = right.value
    else:
        converted = ucum.convert(right.value, ucum_code(right), ucum_code(left))
    if converted is None:
        return None
    calculate = ARITHMETIC.add if sign > 0 else ARITHMETIC.subtract
    return Quantity(calculate(left.value, converted), left.unit, left.is_calendar)


def multiply(left: Quantity, right: Quantity) -> Quantity | None:
    """The product, in base units if both have a unit."""
    if right.unit == "1":
        return Quantity(ARITHMETIC.multiply(left.value, right.value), left.unit, left.is_calendar)
    if left.unit == "1":
        return multiply(right, left)
    return _in_base(ARITHMETIC.multiply(left.value, right.value), f"({ucum_code(left)}).({ucum_code(right)})")


def divide(left: Quantity, right: Quantity) -> Quantity | None:
    """The quotient, in base units if the divisor has a unit; None for a division by zero."""
    if right.value == 0:
        return None
    value = ARITHMETIC.divide(left.value, right.value)
    if right.unit == "1":
        return Quantity(value, left.unit, left.is_calendar)
    return _in_base(value, f"({ucum_code(left)})/({ucum_code(right)})")


def ucum_code(quantity: Quantity) -> str:
    """The unit in UCUM."""
    if not quantity.is_calendar:
        return quantity.unit
    return _DEFINITE.get(quantity.unit) or _APPROXIMATE[quantity.unit]


def calendar_unit(quantity: Quantity) -> str | None:
    """The calendar unit of a duration; UCUM's `a` and `mo` are no definite ones, so None."""
    if quantity.is_calendar:
        return quantity.unit
    unit = _FROM_UCUM.get(quantity.unit)
    return unit if unit in _DEFINITE else None


def _commensurable(left: Quantity, right: Quantity) -> tuple[Decimal, Decimal] | None:
    if left.unit == right.unit and left.is_calendar == right.is_calendar:
        return left.value, right.value
    if left.is_calendar and right.is_calendar and {left.unit, right.unit} == {"year", "month"}:
        return left.value * (12 if left.unit == "year" else 1), right.value * (12 if right.unit == "year" else 1)
    if any(quantity.is_calendar and quantity.unit in _APPROXIMATE for quantity in (left, right)):
        return None
    mine, other = ucum.canonical(left.value, ucum_code(left)), ucum.canonical(right.value, ucum_code(right))
    return (mine[0], other[0]) if mine is not None and other is not None and mine[1] == other[1] else None


def _in_base(value: Decimal, code: str) -> Quantity | None:
    found = ucum.canonical(value, code)
    return None if found is None else Quantity(found[0], found[1])


def _exponent(number: Decimal) -> int:
    exponent = number.as_tuple().exponent
    return min(exponent, 0) if isinstance(exponent, int) else 0
