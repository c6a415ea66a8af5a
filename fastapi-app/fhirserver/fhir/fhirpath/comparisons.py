"""=, !=, ~, !~, <, <=, >, >=, in, contains.

https://hl7.org/fhirpath/N1/#equality, https://hl7.org/fhirpath/N1/#comparison, https://hl7.org/fhirpath/N1/#collections
"""

from collections.abc import Callable
from typing import Any

from fhirserver.fhir.fhirpath import nodes, selection
from fhirserver.fhir.fhirpath.environment import Environment
from fhirserver.fhir.fhirpath.equality import (
    NotComparable,
    equal,
    equal_collections,
    equivalent,
    equivalent_collections,
    order,
)
from fhirserver.fhir.fhirpath.errors import FhirPathError, Place
from fhirserver.fhir.fhirpath.selection import One, Selection, boolean, computed
from fhirserver.fhir.fhirpath.type_system import TypeSystem

# Types of which values of the same type are equal if Python says so.
_SIMPLE = frozenset({nodes.STRING, nodes.BOOLEAN, nodes.INTEGER, nodes.DECIMAL})


def equals(left: Selection, right: Selection, system: TypeSystem, place: Place) -> Selection:
    """`=`"""
    one, other = selection.values(left, system), selection.values(right, system)
    if one.one is None or other.one is None:
        first, second = one.many, other.many
        return computed(nodes.BOOLEAN, lambda item, env: equal_collections(first(item, env), second(item, env)))
    if one.constant is not None and other.constant is None:
        one, other = other, one
    return computed(nodes.BOOLEAN, _equal_values(one, other))


def _equal_values(left: Selection, right: Selection) -> One:
    first, second = left.one or _nothing, right.one or _nothing
    if left.type_name in _SIMPLE and left.type_name == right.type_name:
        if right.constant:
            wanted = right.constant[0]

            def is_constant(item: Any, env: Environment) -> Any:
                value = first(item, env)
                return None if value is None else value == wanted

            return is_constant

        def same(item: Any, env: Environment) -> Any:
            value = first(item, env)
            if value is None:
                return None
            other = second(item, env)
            return None if other is None else value == other

        return same

    def are_equal(item: Any, env: Environment) -> Any:
        value, other = first(item, env), second(item, env)
        return None if value is None or other is None else equal(value, other)

    return are_equal


def differs(left: Selection, right: Selection, system: TypeSystem, place: Place) -> Selection:
    """`!=`"""
    same = equals(left, right, system, place).one or _nothing

    def different(item: Any, env: Environment) -> Any:
        answer = same(item, env)
        return None if answer is None else not answer

    return computed(nodes.BOOLEAN, different)


def is_equivalent(left: Selection, right: Selection, system: TypeSystem, place: Place) -> Selection:
    """`~`, which is never empty"""
    one, other = selection.values(left, system), selection.values(right, system)
    if one.one is not None and other.one is not None:
        first, second = one.one, other.one

        def same(item: Any, env: Environment) -> bool:
            value, against = first(item, env), second(item, env)
            return value is against if value is None or against is None else equivalent(value, against)

        return boolean(same)
    many, others = one.many, other.many

    def same_collection(item: Any, env: Environment) -> bool:
        found, against = many(item, env), others(item, env)
        env.spend(len(found) * len(against))
        return equivalent_collections(found, against)

    return boolean(same_collection)


def is_not_equivalent(left: Selection, right: Selection, system: TypeSystem, place: Place) -> Selection:
    """`!~`"""
    same = is_equivalent(left, right, system, place).one or _nothing
    return boolean(lambda item, env: not same(item, env))


def _ordering(decide: Callable[[int], bool]) -> Callable[[Selection, Selection, TypeSystem, Place], Selection]:
    """`<` and its like."""

    def build(left: Selection, right: Selection, system: TypeSystem, place: Place) -> Selection:
        first, second = selection.value(left, system, place), selection.value(right, system, place)

        def compared(item: Any, env: Environment) -> Any:
            value = first(item, env)
            if value is None:
                return None
            other = second(item, env)
            if other is None:
                return None
            try:
                found = order(value, other)
            except NotComparable:
                kinds = f"{nodes.described(value)} and {nodes.described(other)}"
                raise FhirPathError(f"{kinds} can't be compared", place) from None
            return None if found is None else decide(found)

        return computed(nodes.BOOLEAN, compared)

    return build


less, at_most = _ordering(lambda found: found < 0), _ordering(lambda found: found <= 0)
greater, at_least = _ordering(lambda found: found > 0), _ordering(lambda found: found >= 0)


def is_in(left: Selection, right: Selection, system: TypeSystem, place: Place) -> Selection:
    """`in`"""
    wanted, collection = selection.value(left, system, place), selection.values(right, system)
    constants = collection.constant
    if constants is not None and all(value.__class__ is str for value in constants):
        texts = frozenset(constants)

        def in_texts(item: Any, env: Environment) -> Any:
            value = wanted(item, env)
            return None if value is None else value.__class__ is str and value in texts

        return computed(nodes.BOOLEAN, in_texts)
    many = collection.many

    def is_member(item: Any, env: Environment) -> Any:
        value = wanted(item, env)
        if value is None:
            return None
        found = many(item, env)
        if len(found) > 1:
            env.spend(len(found))
        if value.__class__ is str:
            return value in found
        return any(equal(value, other) for other in found)

    return computed(nodes.BOOLEAN, is_member)


def contains(left: Selection, right: Selection, system: TypeSystem, place: Place) -> Selection:
    """`contains`"""
    return is_in(right, left, system, place)


def _nothing(item: Any, env: Environment) -> Any:
    return None
