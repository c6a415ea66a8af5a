"""What an expression is compiled to: closures that give its items, and what is known of them beforehand.

A closure takes the item that `$this` is, and the Environment. Where at most one item can come out there is also a
closure that gives it, or None for an empty collection, so that no lists are made for the most common expressions.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from fhirserver.fhir.fhirpath import nodes
from fhirserver.fhir.fhirpath.environment import Environment
from fhirserver.fhir.fhirpath.errors import FhirPathError, Place
from fhirserver.fhir.fhirpath.nodes import Node
from fhirserver.fhir.fhirpath.type_system import Types, TypeSystem

One = Callable[[Any, Environment], Any]
Many = Callable[[Any, Environment], list[Any]]
Test = Callable[[Any, Environment], bool]


@dataclass(frozen=True, slots=True)
class Selection:
    """The items of an expression.

    - `types`: those the items may have, None if any. With a single one the items are raw values (primitives with
      extensions are Nodes); with several, FHIR elements are Nodes, but resources are dicts.
    - `one`: where there is at most one item: the item or None.
    - `found`: whether there is any.
    - `bare`: the same for primitives without regard to their extensions, so values only.
    - `narrow`: of a choice element: the items of some of its types.
    - `constant`: the items if they are known beforehand.
    - `is_this`: the item itself. `is_ordered`: whether the order means anything.
    """

    types: Types
    many: Many
    one: One | None
    found: Test
    bare: "Selection | None" = None
    narrow: "Callable[[frozenset[str]], Selection] | None" = None
    constant: tuple[Any, ...] | None = None
    is_this: bool = False
    is_ordered: bool = True

    @property
    def type_name(self) -> str | None:
        """The type of all items, if it is known."""
        return next(iter(self.types)) if self.types is not None and len(self.types) == 1 else None


def single(types: Types, one: One, found: Test | None = None, **more: Any) -> Selection:
    """A selection of at most one item."""

    def many(item: Any, env: Environment) -> list[Any]:
        value = one(item, env)
        return [] if value is None else [value]

    return Selection(types, many, one, found or (lambda item, env: one(item, env) is not None), **more)


def several(types: Types, many: Many, found: Test | None = None, **more: Any) -> Selection:
    """A selection of any number of items."""
    return Selection(types, many, None, found or (lambda item, env: bool(many(item, env))), **more)


def constant(type_name: str, value: Any) -> Selection:
    """A literal."""
    return single(frozenset({type_name}), lambda item, env: value, lambda item, env: True, constant=(value,))


EMPTY = single(frozenset(), lambda item, env: None, lambda item, env: False, constant=())


def this(types: Types) -> Selection:
    """The item itself."""
    return single(types, lambda item, env: item, is_this=True)


def computed(type_name: str, one: One) -> Selection:
    """At most one value of a System type."""
    return single(frozenset({type_name}), one)


def boolean(test: Test) -> Selection:
    """True or false, never empty."""
    return single(frozenset({nodes.BOOLEAN}), test, lambda item, env: True)


def with_types(selection: Selection, system: TypeSystem) -> Selection:
    """The same items as they are in a collection of several types: elements as Nodes."""
    name = selection.type_name
    if name is None or name.startswith("System.") or system.is_resource(name):
        return selection
    many, one = selection.many, selection.one
    if one is not None:
        get = one
        return single(selection.types, lambda item, env: _node(get(item, env), name), selection.found)
    return several(
        selection.types, lambda item, env: [_node(value, name) for value in many(item, env)], selection.found
    )


def merged_types(*selections: Selection) -> Types:
    """The types of all of these together."""
    types: frozenset[str] = frozenset()
    for selection in selections:
        if selection.types is None:
            return None
        types |= selection.types
    return types


def aligned(system: TypeSystem, *selections: Selection) -> tuple[Types, list[Selection]]:
    """Selections whose items can stand in one collection, and the types of that."""
    types = merged_types(*selections)
    if types is not None and len(types) <= 1:
        return types, list(selections)
    return types, [with_types(selection, system) for selection in selections]


def values(selection: Selection, system: TypeSystem) -> Selection:
    """The System values of the items: primitives and quantities converted, primitives without a value left out."""
    if selection.constant is not None:
        return selection
    name = selection.type_name
    if name is not None:
        target = system.system_type(name)
        if target.startswith("System.") and selection.bare is not None:
            selection = selection.bare
            if target in (nodes.STRING, nodes.BOOLEAN, nodes.INTEGER):
                return replace(selection, types=frozenset({target}))
        elif target == name and not system.is_primitive(name):
            return selection  # System values and complex types are what they are
        types: Types = frozenset({target})
    else:
        types = None if selection.types is None else frozenset(map(system.system_type, selection.types))
    convert, many, one = system.converter(selection.types), selection.many, selection.one
    if one is not None:
        get = one

        def converted(item: Any, env: Environment) -> Any:
            value = get(item, env)
            return None if value is None else convert(value)

        return single(types, converted)

    def all_converted(item: Any, env: Environment) -> list[Any]:
        return [value for value in map(convert, many(item, env)) if value is not None]

    return several(types, all_converted)


def value(selection: Selection, system: TypeSystem, place: Place) -> One:
    """The System value of a selection that must have at most one item; a closure that raises FhirPathError if not."""
    return _only(values(selection, system), place)


def truth(selection: Selection, system: TypeSystem, place: Place) -> One:
    """True, False or None by the rule for singletons: a single item that is no boolean is true.

    https://hl7.org/fhirpath/N1/#singleton-evaluation-of-collections
    """
    name = selection.type_name
    if name is not None and system.system_type(name) == nodes.BOOLEAN:
        return value(selection, system, place)
    never_boolean = selection.types is not None and nodes.BOOLEAN not in map(system.system_type, selection.types)
    if never_boolean and selection.one is not None:
        found = selection.found
        return lambda item, env: True if found(item, env) else None
    only, convert = _only(selection, place), system.converter(selection.types)

    def is_true(item: Any, env: Environment) -> Any:
        found = only(item, env)
        if found is None:
            return None
        result = convert(found)
        if result.__class__ is bool:
            return result
        # A primitive without a value: a boolean that isn't known, or something that is there.
        return None if result is None and found.type_name == "boolean" else True

    return is_true


def _only(selection: Selection, place: Place) -> One:
    if selection.one is not None:
        return selection.one
    many = selection.many

    def only(item: Any, env: Environment) -> Any:
        items = many(item, env)
        if len(items) > 1:
            raise FhirPathError(f"a single item was expected, there are {len(items)}", place)
        return items[0] if items else None

    return only


def _node(item: Any, type_name: str) -> Any:
    return item if item is None or item.__class__ is Node else Node(item, type_name)
