"""https://hl7.org/fhirpath/N1/#math"""

from collections.abc import Callable
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, ROUND_HALF_UP, Decimal
from typing import Any

from fhirserver.fhir.fhirpath import nodes, selection
from fhirserver.fhir.fhirpath.environment import Environment
from fhirserver.fhir.fhirpath.equality import is_number
from fhirserver.fhir.fhirpath.functions.conversion import GREATEST_INTEGER
from fhirserver.fhir.fhirpath.invocation import Function, Invocation
from fhirserver.fhir.fhirpath.quantities import ARITHMETIC, Quantity
from fhirserver.fhir.fhirpath.selection import Selection, computed, single

_NUMBERS = frozenset({nodes.INTEGER, nodes.DECIMAL})
_MOST_DIGITS = 28


def within_range(number: Any) -> Any:
    """The result of a calculation; None (so empty) if it is beyond what Integer and Decimal hold."""
    if number.__class__ is int:
        return number if -GREATEST_INTEGER - 1 <= number <= GREATEST_INTEGER else None
    return number if number.is_finite() and (not number or abs(number.adjusted()) <= 99) else None


def _function(
    calculate: Callable[..., Any], result: frozenset[str], *, takes_quantities: bool = False
) -> Callable[[Invocation], Selection]:
    """A function of a number and perhaps another; empty if one of them is empty or there is no result."""

    def build(call: Invocation) -> Selection:
        get = _number(call, call.source, takes_quantities)
        others = [_number(call, call.argument(place), False) for place in range(len(call.arguments))]

        def calculated(item: Any, env: Environment) -> Any:
            number = get(item, env)
            if number is None:
                return None
            arguments = [other(item, env) for other in others]
            if None in arguments:
                return None
            if number.__class__ is Quantity:
                value = calculate(number.value, *arguments)
                return None if value is None else Quantity(value, number.unit, number.is_calendar)
            found = calculate(number, *arguments)
            return None if found is None else within_range(found)

        if len(result) == 1:
            return computed(next(iter(result)), calculated)
        return single(result, calculated)

    return build


def _number(call: Invocation, source: Selection, takes_quantities: bool) -> selection.One:
    get, error = selection.value(source, call.system, call.place), call.error

    def number(item: Any, env: Environment) -> Any:
        value = get(item, env)
        if value is None or is_number(value) or (takes_quantities and value.__class__ is Quantity):
            return value
        raise error(f"{call.name}(): a number was expected, not {nodes.described(value)}")

    return number


def _whole(rounding: str) -> Callable[[Any], Any]:
    def whole(number: Any) -> Any:
        if number.__class__ is int:
            return number
        return int(number.to_integral_value(rounding)) if number.adjusted() < 12 else None

    return whole


def _round(number: Any, digits: int = 0) -> Any:
    if digits.__class__ is not int or digits < 0:
        return None
    if number.__class__ is int:
        return number
    if digits > _MOST_DIGITS or -number.as_tuple().exponent <= digits:
        return number
    return number.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP, ARITHMETIC)


def _sqrt(number: Any) -> Any:
    return None if number < 0 else ARITHMETIC.sqrt(Decimal(number))


def _ln(number: Any) -> Any:
    return None if number <= 0 else ARITHMETIC.ln(Decimal(number))


def _log(number: Any, base: Any) -> Any:
    """Of two logarithms of base 10: whole powers come out whole."""
    if number <= 0 or base <= 0 or base == 1:
        return None
    result = ARITHMETIC.divide(ARITHMETIC.ln(Decimal(number)), ARITHMETIC.ln(Decimal(base)))
    nearest = result.quantize(Decimal(1).scaleb(-30), context=ARITHMETIC).normalize()
    return nearest if nearest == nearest.to_integral_value() else result


def _power(number: Any, exponent: Any) -> Any:
    result = ARITHMETIC.power(Decimal(number), Decimal(exponent))
    if not result.is_finite():
        return None
    if number.__class__ is int and exponent.__class__ is int and result == result.to_integral_value():
        return int(result) if result.adjusted() < 12 else result
    return result


_INTEGER, _DECIMAL = frozenset({nodes.INTEGER}), frozenset({nodes.DECIMAL})

FUNCTIONS = {
    "abs": Function(_function(abs, _NUMBERS | {nodes.QUANTITY}, takes_quantities=True)),
    "ceiling": Function(_function(_whole(ROUND_CEILING), _INTEGER)),
    "floor": Function(_function(_whole(ROUND_FLOOR), _INTEGER)),
    "truncate": Function(_function(_whole(ROUND_DOWN), _INTEGER)),
    "round": Function(_function(_round, _NUMBERS), 0, 1),
    "exp": Function(_function(lambda number: ARITHMETIC.exp(Decimal(number)), _DECIMAL)),
    "ln": Function(_function(_ln, _DECIMAL)),
    "log": Function(_function(_log, _DECIMAL), 1, 1),
    "power": Function(_function(_power, _NUMBERS), 1, 1),
    "sqrt": Function(_function(_sqrt, _DECIMAL)),
}
