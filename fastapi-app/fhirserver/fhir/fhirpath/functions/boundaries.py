"""The functions on precision, of the version after N1 that R4's tests use.

https://hl7.org/fhirpath/#lowboundaryprecision-integer-decimal--date--datetime--time
"""

from collections.abc import Callable
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

from fhirserver.fhir.datatypes import ucum
from fhirserver.fhir.fhirpath import nodes, selection
from fhirserver.fhir.fhirpath.environment import Environment
from fhirserver.fhir.fhirpath.equality import is_number
from fhirserver.fhir.fhirpath.invocation import Function, Invocation
from fhirserver.fhir.fhirpath.quantities import ARITHMETIC, Quantity, ucum_code
from fhirserver.fhir.fhirpath.selection import Selection, computed, single
from fhirserver.fhir.fhirpath.temporal import Temporal, days_in_month

_MOST_DIGITS = 28
# Digits → number of fields.
_PRECISIONS = {
    "Date": {4: 1, 6: 2, 8: 3},
    "DateTime": {4: 1, 6: 2, 8: 3, 10: 4, 12: 5, 14: 6, 17: 6},
    "Time": {2: 1, 4: 2, 6: 3, 9: 3},
}
_LOWEST = (1, 1, 1, 0, 0, Decimal("0.000"))
_EARLIEST_ZONE, _LATEST_ZONE = 14 * 60, -12 * 60


def _boundary(is_low: bool) -> Callable[[Invocation], Selection]:
    def build(call: Invocation) -> Selection:
        get = selection.value(call.source, call.system, call.place)
        precision = call.integer(call.argument(0)) if call.arguments else None

        def boundary(item: Any, env: Environment) -> Any:
            value = get(item, env)
            if value is None:
                return None
            digits = None if precision is None else precision(item, env)
            if value.__class__ is Temporal:
                return _of_moment(value, digits, is_low)
            if value.__class__ is Quantity:
                number = _of_number(value.value, digits, is_low)
                return None if number is None else Quantity(number, value.unit, value.is_calendar)
            if is_number(value):
                return _of_number(Decimal(value), digits, is_low)
            raise call.error(f"{call.name}(): not for {nodes.described(value)}")

        return single(_result_types(call), boundary)

    return build


def _result_types(call: Invocation) -> frozenset[str] | None:
    if call.source.types is None:
        return None
    types = {call.system.system_type(name) for name in call.source.types}
    return frozenset(nodes.DECIMAL if name == nodes.INTEGER else name for name in types)


def _of_number(value: Decimal, digits: int | None, is_low: bool) -> Decimal | None:
    """The end of the interval that rounds to the number, rounded outwards."""
    digits = 8 if digits is None else digits
    exponent = value.as_tuple().exponent
    if not 0 <= digits <= _MOST_DIGITS or not isinstance(exponent, int):
        return None
    half = Decimal((0, (5,), min(exponent, 0) - 1))
    end = ARITHMETIC.subtract(value, half) if is_low else ARITHMETIC.add(value, half)
    rounded = end.quantize(Decimal(1).scaleb(-digits), ROUND_FLOOR if is_low else ROUND_CEILING, ARITHMETIC)
    return rounded if rounded.is_finite() else None


def _of_moment(value: Temporal, digits: int | None, is_low: bool) -> Temporal | None:
    """The first or last moment of a period, in a number of digits; without a zone, in the one where it is extreme."""
    known = _PRECISIONS[value.kind]
    digits = max(known) if digits is None else digits
    count = known.get(digits)
    if count is None:
        return None
    lowest, fields = _LOWEST[3:] if value.kind == "Time" else _LOWEST, list(value.fields)
    for place in range(len(fields), count):
        fields.append(lowest[place] if is_low else _highest(value.kind, fields))
    if isinstance(fields[-1], Decimal):
        second = _end_of_second(fields[-1], is_low)
        fields[-1] = second if digits == max(known) else second.quantize(Decimal(1), ROUND_FLOOR)
    offset = value.offset
    if offset is None and value.kind == "DateTime":
        offset = _EARLIEST_ZONE if is_low else _LATEST_ZONE
    return Temporal(value.kind, tuple(fields[:count]), offset if count > 3 else None)


def _highest(kind: str, fields: list[int | Decimal]) -> int | Decimal:
    """The highest value of the field after these."""
    match len(fields) + (3 if kind == "Time" else 0):
        case 1:
            return 12
        case 2:
            return days_in_month(int(fields[0]), int(fields[1]))
        case 3:
            return 23
        case 4:
            return 59
    return Decimal("59.999")


def _end_of_second(second: Decimal, is_low: bool) -> Decimal:
    exponent = second.as_tuple().exponent
    if not is_low and isinstance(exponent, int):
        second += Decimal(1).scaleb(exponent) - min(Decimal(1).scaleb(exponent), Decimal("0.001"))
    return second.quantize(Decimal("0.001"), ROUND_FLOOR)


def _precision(call: Invocation) -> Selection:
    get = selection.value(call.source, call.system, call.place)

    def precision(item: Any, env: Environment) -> Any:
        value = get(item, env)
        if value is None:
            return None
        if value.__class__ is Temporal:
            return value.digits
        exponent = Decimal(value).as_tuple().exponent if is_number(value) else None
        if isinstance(exponent, int):
            return max(-exponent, 0)
        raise call.error(f"precision(): not for {nodes.described(value)}")

    return computed(nodes.INTEGER, precision)


def _comparable(call: Invocation) -> Selection:
    get, other = selection.value(call.source, call.system, call.place), call.value(0)

    def comparable(item: Any, env: Environment) -> Any:
        one, two = get(item, env), other(item, env)
        if one is None or two is None:
            return None
        if one.__class__ is not Quantity or two.__class__ is not Quantity:
            raise call.error("comparable(): Quantities were expected")
        return ucum.convert(Decimal(1), ucum_code(one), ucum_code(two)) is not None

    return computed(nodes.BOOLEAN, comparable)


FUNCTIONS = {
    "lowBoundary": Function(_boundary(is_low=True), 0, 1),
    "highBoundary": Function(_boundary(is_low=False), 0, 1),
    "precision": Function(_precision),
    "comparable": Function(_comparable, 1, 1),
}
