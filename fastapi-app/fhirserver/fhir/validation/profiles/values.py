"""Values that profiles fix, ask for in part, or limit.

https://hl7.org/fhir/R4/elementdefinition-definitions.html#ElementDefinition.fixed_x_ and the following
"""

from decimal import Decimal
from typing import Any

from fhirserver.fhir.fhirpath import quantities, temporal

_NUMBERS = (int, float, Decimal)
_TEMPORAL: dict[str, temporal.Kind] = {"date": "Date", "dateTime": "DateTime", "instant": "DateTime", "time": "Time"}


def is_same(expected: Any, value: Any) -> bool:
    """Whether a value is the one that is fixed, in all that it has."""
    if type(expected) is dict:
        return (
            type(value) is dict
            and expected.keys() == value.keys()
            and all(is_same(item, value[name]) for name, item in expected.items())
        )
    if type(expected) is list:
        return (
            type(value) is list
            and len(expected) == len(value)
            and all(is_same(item, other) for item, other in zip(expected, value, strict=True))
        )
    return _is_equal(expected, value)


def has_pattern(pattern: Any, value: Any) -> bool:
    """Whether a value has all that the pattern has, each item of a list somewhere in its own."""
    if type(pattern) is dict:
        return type(value) is dict and all(
            name in value and has_pattern(item, value[name]) for name, item in pattern.items()
        )
    if type(pattern) is list:
        return type(value) is list and all(any(has_pattern(item, other) for other in value) for item in pattern)
    return _is_equal(pattern, value)


def order(value: Any, limit: Any, type_code: str) -> int | None:
    """-1, 0 or 1: whether a value is less than a limit of its type, equal or more; None if it can't be told."""
    if type_code in _TEMPORAL and type(value) is str and type(limit) is str:
        kind = _TEMPORAL[type_code]
        left, right = temporal.parse_temporal(value, kind), temporal.parse_temporal(limit, kind)
        return None if left is None or right is None else temporal.compare(left, right)
    if type(value) is dict and type(limit) is dict:
        exact = limit | {"value": _exact(limit.get("value"))}
        amount, bound = quantities.fhir_quantity(value), quantities.fhir_quantity(exact)
        return None if amount is None or bound is None else quantities.compare(amount, bound)
    if _is_number(value) and _is_number(limit):
        number, other = _exact(value), _exact(limit)
        return int(number > other) - int(number < other)
    return None


def _is_equal(expected: Any, value: Any) -> bool:
    if _is_number(expected):
        return _is_number(value) and _exact(expected) == _exact(value)
    return type(expected) is type(value) and bool(expected == value)


def _is_number(value: Any) -> bool:
    return isinstance(value, _NUMBERS) and type(value) is not bool


def _exact(number: Any) -> Any:
    """What a number says as text: 0.1 of a definition is not what a double makes of it."""
    return Decimal(repr(number)) if type(number) is float else number
