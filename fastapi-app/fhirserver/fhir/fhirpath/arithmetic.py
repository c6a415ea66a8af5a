"""+, -, *, /, div, mod, & and the sign before an operand.

https://hl7.org/fhirpath/N1/#math-1; dates: https://hl7.org/fhirpath/N1/#datetime-arithmetic
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from fhirserver.fhir.fhirpath import nodes, quantities, selection, temporal
from fhirserver.fhir.fhirpath.environment import Environment
from fhirserver.fhir.fhirpath.equality import is_number
from fhirserver.fhir.fhirpath.errors import FhirPathError, Place
from fhirserver.fhir.fhirpath.functions.conversion import to_string
from fhirserver.fhir.fhirpath.functions.mathematics import within_range
from fhirserver.fhir.fhirpath.functions.strings import bounded
from fhirserver.fhir.fhirpath.quantities import ARITHMETIC, Quantity
from fhirserver.fhir.fhirpath.selection import Selection, computed, single
from fhirserver.fhir.fhirpath.temporal import Temporal
from fhirserver.fhir.fhirpath.type_system import Types, TypeSystem


class _Undefined(TypeError):
    """The operator is not defined for these operands."""


def add(left: Any, right: Any) -> Any:
    """`+`"""
    if left.__class__ is str and right.__class__ is str:
        return bounded(left + right)
    return _sum(left, right, 1)


def subtract(left: Any, right: Any) -> Any:
    """`-`"""
    return _sum(left, right, -1)


def _sum(left: Any, right: Any, sign: int) -> Any:
    if is_number(left) and is_number(right):
        if left.__class__ is int and right.__class__ is int:
            return within_range(left + sign * right)
        return within_range(ARITHMETIC.add(Decimal(left), sign * Decimal(right)))
    if left.__class__ is Temporal and right.__class__ is Quantity:
        unit = quantities.calendar_unit(right)
        if unit is None:
            raise _Undefined
        return temporal.add(left, right.value * sign, unit)
    if (pair := _quantities(left, right)) is not None:
        return quantities.add(*pair, sign)
    raise _Undefined


def multiply(left: Any, right: Any) -> Any:
    """`*`"""
    if is_number(left) and is_number(right):
        if left.__class__ is int and right.__class__ is int:
            return within_range(left * right)
        return within_range(ARITHMETIC.multiply(Decimal(left), Decimal(right)))
    if (pair := _quantities(left, right)) is not None:
        return quantities.multiply(*pair)
    raise _Undefined


def divide(left: Any, right: Any) -> Any:
    """`/`, of which the result is a Decimal"""
    if is_number(left) and is_number(right):
        return None if right == 0 else within_range(ARITHMETIC.divide(Decimal(left), Decimal(right)))
    if (pair := _quantities(left, right)) is not None:
        return quantities.divide(*pair)
    raise _Undefined


def divide_whole(left: Any, right: Any) -> Any:
    """`div`, towards zero"""
    if not (is_number(left) and is_number(right)):
        raise _Undefined
    if right == 0:
        return None
    quotient = ARITHMETIC.divide_int(Decimal(left), Decimal(right))
    return within_range(int(quotient)) if quotient.is_finite() and quotient.adjusted() < 12 else None


def modulo(left: Any, right: Any) -> Any:
    """`mod`, with the sign of the dividend"""
    if not (is_number(left) and is_number(right)):
        raise _Undefined
    if right == 0:
        return None
    rest = ARITHMETIC.remainder(Decimal(left), Decimal(right))
    if not rest.is_finite():
        return None
    return int(rest) if left.__class__ is int and right.__class__ is int else rest


def calculation(
    calculate: Callable[[Any, Any], Any], symbol: str
) -> Callable[[Selection, Selection, TypeSystem, Place], Selection]:
    """An operator that is empty if one of its operands is."""

    def build(left: Selection, right: Selection, system: TypeSystem, place: Place) -> Selection:
        first, second = selection.value(left, system, place), selection.value(right, system, place)

        def calculated(item: Any, env: Environment) -> Any:
            value, other = first(item, env), second(item, env)
            if value is None or other is None:
                return None
            try:
                return calculate(value, other)
            except _Undefined:
                kinds = f"{nodes.described(value)} and {nodes.described(other)}"
                raise FhirPathError(f"'{symbol}' is not defined for {kinds}", place) from None
            except ValueError as problem:
                raise FhirPathError(str(problem), place) from None

        return single(_result(left, right, symbol, system), calculated)

    return build


def _result(left: Selection, right: Selection, symbol: str, system: TypeSystem) -> Types:
    """The type of the result, as far as it is known: that of the left operand, but a Decimal wins."""
    if left.type_name is None or right.type_name is None:
        return None
    one, other = system.system_type(left.type_name), system.system_type(right.type_name)
    match symbol, one, other:
        case "div", _, _:
            return frozenset({nodes.INTEGER})
        case "/", nodes.INTEGER | nodes.DECIMAL, nodes.INTEGER | nodes.DECIMAL:
            return frozenset({nodes.DECIMAL})
        case _, nodes.INTEGER, nodes.DECIMAL | nodes.QUANTITY:
            return frozenset({other})
        case _, nodes.DECIMAL, nodes.QUANTITY:
            return frozenset({other})
    return frozenset({one})


def concatenate(left: Selection, right: Selection, system: TypeSystem, place: Place) -> Selection:
    """`&`, for which an empty operand is an empty text"""
    first, second = _text(left, system, place), _text(right, system, place)

    def joined(item: Any, env: Environment) -> str:
        try:
            return bounded(first(item, env) + second(item, env))
        except ValueError as problem:
            raise FhirPathError(str(problem), place) from None

    return computed(nodes.STRING, joined)


def _text(source: Selection, system: TypeSystem, place: Place) -> Callable[[Any, Environment], str]:
    get = selection.value(source, system, place)

    def text(item: Any, env: Environment) -> str:
        value = get(item, env)
        if value is None:
            return ""
        found = to_string(value)
        if found is None:
            raise FhirPathError(f"'&' is not defined for {nodes.described(value)}", place)
        return found

    return text


def signed(operator: str, operand: Selection, system: TypeSystem, place: Place) -> Selection:
    """`+` or `-` before a number or a quantity"""
    if operand.constant and len(operand.constant) == 1:
        value = _signed(operator, operand.constant[0], place)
        return selection.constant(nodes.system_type(value), value)
    get = selection.value(operand, system, place)
    types = None if operand.types is None else frozenset(map(system.system_type, operand.types))
    return single(
        types, lambda item, env: None if (value := get(item, env)) is None else _signed(operator, value, place)
    )


def _signed(operator: str, value: Any, place: Place) -> Any:
    if value.__class__ is Quantity:
        return Quantity(-value.value, value.unit, value.is_calendar) if operator == "-" else value
    if not is_number(value):
        raise FhirPathError(f"'{operator}' is not defined for {nodes.described(value)}", place)
    return -value if operator == "-" else value


def _quantities(left: Any, right: Any) -> tuple[Quantity, Quantity] | None:
    if left.__class__ is not Quantity and right.__class__ is not Quantity:
        return None
    pair = tuple(Quantity(Decimal(value)) if is_number(value) else value for value in (left, right))
    return (pair[0], pair[1]) if all(value.__class__ is Quantity for value in pair) else None
