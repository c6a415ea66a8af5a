"""Quantities and their units. https://hl7.org/fhir/R4/search.html#quantity"""

from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

from .spans import EVER, NEVER, Span, asked_number, between, compare, point
from .texts import plain, split

UCUM = "http://unitsofmeasure.org"
FACTORS = {
    "mg": ("g", Fraction(1, 1000)),
    "g": ("g", Fraction(1)),
    "kg": ("g", Fraction(1000)),
    "min": ("s", Fraction(60)),
    "h": ("s", Fraction(3600)),
    "mo": ("s", Fraction(31_557_600, 12)),
    "a": ("s", Fraction(31_557_600)),
}
"""The units of UCUM that are generated: what each measures, and how much of it. A year has 365.25 days."""
CURRENCIES = "urn:iso:std:iso:4217"


class Measure(NamedTuple):
    """A span of numbers in a unit."""

    span: Span
    system: str | None
    code: str | None
    unit: str | None


def measures(value: Any) -> Iterator[Measure]:
    """Of a Quantity, Money, Range or SampledData."""
    if not isinstance(value, dict):
        return
    if "low" in value or "high" in value:
        span, unit = between(value.get("low"), value.get("high")), value.get("low") or value.get("high")
    elif "origin" in value:
        span, unit = _samples(value), value["origin"]
    elif "currency" in value:
        span, unit = point(value["value"]), {"system": CURRENCIES, "code": value["currency"]}
    elif "value" in value:
        span, unit = _compared(point(value["value"]), value.get("comparator")), value
    else:
        return
    if span is not None:
        yield Measure(span, unit.get("system"), unit.get("code"), unit.get("unit"))


def _compared(span: Span, comparator: str | None) -> Span:
    """`<5` is anything below 5."""
    number = span[0][0]
    match comparator:
        case "<":
            return NEVER, (number, -1)
        case "<=":
            return NEVER, (number, 0)
        case ">":
            return (number, 1), EVER
        case ">=":
            return (number, 0), EVER
    return span


def _samples(value: dict[str, Any]) -> Span | None:
    numbers = [
        Fraction(value["origin"]["value"]) + Fraction(Decimal(word)) * Fraction(value.get("factor", 1))
        for word in value.get("data", "").split()
        if word not in ("E", "L", "U")
    ]
    return ((min(numbers), 0), (max(numbers), 0)) if numbers else None


def quantity_matches(found: Measure, asked: str) -> bool:
    """`number`, `number|system|code`, or `number||code`, where a code may be the unit as it is written."""
    number, *unit = map(plain, split(asked, "|"))
    prefix, span = asked_number(number)
    if unit and unit[0]:
        factor = _factor(unit[0], unit[1], found)
        if factor is None:
            return False
        span = _times(span, factor)
    elif unit and unit[1] not in (found.code, found.unit):
        return False
    return compare(prefix, span, found.span)


def _factor(system: str, code: str, found: Measure) -> Fraction | None:
    """By what a number in the unit asked for is multiplied to be one in the unit found; None if they don't compare."""
    if system == found.system == UCUM and code in FACTORS and found.code in FACTORS:
        (dimension, asked), (other, stored) = FACTORS[code], FACTORS[found.code]
        return asked / stored if dimension == other else None
    return Fraction(1) if (system, code) == (found.system, found.code) else None


def _times(span: Span, factor: Fraction) -> Span:
    (low, nudge), (high, other) = span
    return (low * factor, nudge), (high * factor, other)
