"""Equality, equivalence and order of System values (and of the dicts of complex types).

https://hl7.org/fhirpath/N1/#equality and https://hl7.org/fhirpath/N1/#comparison
"""

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

from fhirserver.fhir.fhirpath import quantities, temporal
from fhirserver.fhir.fhirpath.quantities import Quantity, numbers_equivalent
from fhirserver.fhir.fhirpath.temporal import Temporal

_QUANTITY = frozenset({"id", "extension", "value", "_value", "comparator", "unit", "system", "code"})


class NotComparable(TypeError):
    """Two values that have no order."""


def equal(left: Any, right: Any) -> bool | None:
    """Whether two values are the same; None if that is open (precision of dates, units that don't go together)."""
    kind, other = left.__class__, right.__class__
    if kind is str or other is str or kind is bool or other is bool:
        return kind is other and left == right
    if kind is Temporal:
        if other is not Temporal or (left.kind == "Time") != (right.kind == "Time"):
            return False
        order = temporal.compare(left, right)
        return None if order is None else order == 0
    if kind is Quantity or other is Quantity:
        pair = _quantities(left, right)
        order = None if pair is None else quantities.compare(*pair)
        return (False if pair is None else None) if order is None else order == 0
    if other is Temporal:
        return False
    return bool(left == right)


def equal_collections(left: list[Any], right: list[Any]) -> bool | None:
    """Whether two collections have equal items in the same order; None if one of them is empty or it is open."""
    if not left or not right:
        return None
    if len(left) != len(right):
        return False
    result: bool | None = True
    for mine, other in zip(left, right, strict=True):
        same = equal(mine, other)
        if same is False:
            return False
        result = result if same else None
    return result


def equivalent(left: Any, right: Any) -> bool:
    """Whether two values mean the same: case, white space, precision of numbers, order in lists don't count."""
    kind, other = left.__class__, right.__class__
    if kind is str and other is str:
        return left == right or _plain(left) == _plain(right)
    if kind is bool or other is bool or kind is str or other is str:
        return kind is other and left == right
    if kind is Temporal or other is Temporal:
        return kind is other and temporal.equivalent(left, right)
    if kind is Quantity or other is Quantity:
        pair = _quantities(left, right)
        return pair is not None and quantities.equivalent(*pair)
    if kind is dict or other is dict:
        return kind is other and left.keys() == right.keys() and all(equivalent(left[key], right[key]) for key in left)
    if kind is list or other is list:
        return kind is other and equivalent_collections(left, right)
    if isinstance(left, int | Decimal) and isinstance(right, int | Decimal):
        return numbers_equivalent(left, right)
    return bool(left == right)


def equivalent_collections(left: list[Any], right: list[Any]) -> bool:
    """Whether two collections have equivalent items, in any order."""
    if len(left) != len(right):
        return False
    rest = list(right)
    for mine in left:
        place = next((place for place, other in enumerate(rest) if equivalent(mine, other)), None)
        if place is None:
            return False
        del rest[place]
    return True


def order(left: Any, right: Any) -> Any:
    """-1, 0 or 1; None if it is open. Raises NotComparable for values of different kinds, booleans and dicts."""
    kind, other = left.__class__, right.__class__
    if kind is str and other is str:
        return (left > right) - (left < right)
    if kind is Temporal and other is Temporal and (left.kind == "Time") == (right.kind == "Time"):
        return temporal.compare(left, right)
    if kind is Quantity or other is Quantity:
        pair = _quantities(left, right)
        if pair is not None:
            return quantities.compare(*pair)
    elif is_number(left) and is_number(right):
        return (left > right) - (left < right)
    if all(value.__class__ is Quantity or _is_unknown_quantity(value) for value in (left, right)):
        return None
    raise NotComparable


def _is_unknown_quantity(value: Any) -> bool:
    """Whether this is a FHIR Quantity that no number is known of: it has a comparator, or no value."""
    return value.__class__ is dict and _QUANTITY.issuperset(value)


def is_number(value: Any) -> bool:
    """Whether it is an Integer or a Decimal."""
    return isinstance(value, int | Decimal) and value.__class__ is not bool


class Distinct:
    """A set of items by the equality of their values. Items whose equality is open are different."""

    def __init__(self, to_value: Callable[[Any], Any], items: Iterable[Any] = ()):
        self._to_value = to_value
        self._buckets: dict[Any, list[Any]] = {}
        for item in items:
            self.add(item)

    def add(self, item: Any) -> bool:
        """Add an item; False if an equal one was there."""
        value = self._value(item)
        bucket = self._buckets.setdefault(_fingerprint(value), [])
        if any(equal(value, known) for known in bucket):
            return False
        bucket.append(value)
        return True

    def has(self, value: Any) -> bool:
        """Whether an item with an equal value is there."""
        return any(equal(value, known) for known in self._buckets.get(_fingerprint(value), ()))

    def _value(self, item: Any) -> Any:
        value = self._to_value(item)
        return item.partner if value is None else value


def _quantities(left: Any, right: Any) -> tuple[Quantity, Quantity] | None:
    one, two = _as_quantity(left), _as_quantity(right)
    return None if one is None or two is None else (one, two)


def _as_quantity(value: Any) -> Quantity | None:
    if value.__class__ is Quantity:
        return value
    return Quantity(Decimal(value)) if is_number(value) else None


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()


def _fingerprint(value: Any) -> Any:
    """Something hashable that is the same for equal values."""
    kind = value.__class__
    if kind is dict:
        return frozenset((key, _fingerprint(part)) for key, part in value.items())
    if kind is list:
        return tuple(map(_fingerprint, value))
    if kind is Temporal:
        return kind, temporal.identity(value)
    if kind is Quantity:
        return kind, quantities.identity(value)
    return (kind, value) if kind is str or kind is bool else value
