"""`is`, `as` and ofType(): a type or one derived from it.

https://hl7.org/fhirpath/N1/#types
"""

from typing import Any

from fhirserver.fhir.fhirpath import nodes
from fhirserver.fhir.fhirpath.environment import Environment
from fhirserver.fhir.fhirpath.errors import FhirPathError, Place
from fhirserver.fhir.fhirpath.nodes import Node, type_of
from fhirserver.fhir.fhirpath.selection import EMPTY, One, Selection, computed, several, single
from fhirserver.fhir.fhirpath.tree import Expression
from fhirserver.fhir.fhirpath.type_system import TypeSystem


def of_type(source: Selection, specifier: Expression, system: TypeSystem, place: Place) -> Selection:
    """The items of a type. Raises FhirPathError if there is no such type."""
    return _kept(source, _named(specifier, system, place), system)


def as_type(source: Selection, specifier: Expression, system: TypeSystem, place: Place, is_strict: bool) -> Selection:
    """The item if it is of a type. Of several items those of the type are taken, as R4's own expressions need it.

    With `is_strict` several items are an error, as N1 says.
    """
    if not is_strict or source.one is not None:
        return of_type(source, specifier, system, place)
    items = source.many

    def only(item: Any, env: Environment) -> Any:
        found = items(item, env)
        if len(found) > 1:
            raise FhirPathError("'as' takes a single item", place)
        return found[0] if found else None

    return of_type(single(source.types, only), specifier, system, place)


def is_type(source: Selection, specifier: Expression, system: TypeSystem, place: Place) -> Selection:
    """Whether the item is of a type; empty if there is none. Raises FhirPathError if there is no such type."""
    wanted = _named(specifier, system, place)
    found = source.found
    if source.one is None:
        return _is_of_many(source, wanted, system, place)
    if source.types:
        answers = {system.is_a(name, wanted) for name in source.types}
        if len(answers) == 1:
            answer = answers.pop()
            return computed(nodes.BOOLEAN, lambda item, env: answer if found(item, env) else None)
    get = source.one

    def is_of(item: Any, env: Environment) -> Any:
        value = get(item, env)
        return None if value is None else system.is_a(type_of(value), wanted)

    return computed(nodes.BOOLEAN, is_of)


def _is_of_many(source: Selection, wanted: str, system: TypeSystem, place: Place) -> Selection:
    items, name = source.many, source.type_name

    def is_of(item: Any, env: Environment) -> Any:
        found = items(item, env)
        if len(found) > 1:
            raise FhirPathError("'is' takes a single item", place)
        return system.is_a(name or type_of(found[0]), wanted) if found else None

    return computed(nodes.BOOLEAN, is_of)


def _named(specifier: Expression, system: TypeSystem, place: Place) -> str:
    name = system.named(specifier)
    if name is None:
        raise FhirPathError("this is not the name of a type", place)
    return name


def _kept(source: Selection, wanted: str, system: TypeSystem) -> Selection:
    if source.types is not None:
        kept = frozenset(name for name in source.types if system.is_a(name, wanted))
        if kept == source.types:
            return source
        if not kept:
            return EMPTY
        if source.narrow is not None:
            return source.narrow(kept)
        types = kept
    else:
        types = system.subtypes(wanted) if not wanted.startswith("System.") else frozenset({wanted})
        if wanted == "Quantity":
            types |= {nodes.QUANTITY}
    result_types = system.types(*types)
    bare = result_types is not None and len(result_types) == 1
    if source.one is not None:
        return single(result_types, _one(source.one, wanted, bare, system))
    items = source.many

    def many(item: Any, env: Environment) -> list[Any]:
        found = [value for value in items(item, env) if system.is_a(type_of(value), wanted)]
        return list(map(_untyped, found)) if bare else found

    return several(result_types, many, is_ordered=source.is_ordered)


def _one(get: One, wanted: str, bare: bool, system: TypeSystem) -> One:
    def one(item: Any, env: Environment) -> Any:
        value = get(item, env)
        if value is None or not system.is_a(type_of(value), wanted):
            return None
        return _untyped(value) if bare else value

    return one


def _untyped(item: Any) -> Any:
    """An item as it is in a collection of one known type."""
    return item.value if item.__class__ is Node and item.partner is None else item
