"""https://hl7.org/fhirpath/N1/#tree-navigation"""

from collections.abc import Callable, Mapping
from typing import Any

from fhirserver.fhir.fhirpath.environment import Environment
from fhirserver.fhir.fhirpath.invocation import Function, Invocation
from fhirserver.fhir.fhirpath.nodes import Node, type_of
from fhirserver.fhir.fhirpath.reading import Reader, child_readers
from fhirserver.fhir.fhirpath.selection import Selection, several, with_types
from fhirserver.fhir.fhirpath.type_system import TypeSystem

_CHEAP = 8  # so many items are the work of a step
_Add = Callable[[Any, list[Any]], None]


def _children(call: Invocation) -> Selection:
    items, add = with_types(call.source, call.system).many, _adder(call.system)

    def children(item: Any, env: Environment) -> list[Any]:
        result: list[Any] = []
        for parent in items(item, env):
            add(parent, result)
        env.spend(len(result) // _CHEAP)
        return result

    return several(None, children, is_ordered=False)


def _descendants(call: Invocation) -> Selection:
    items, add = with_types(call.source, call.system).many, _adder(call.system)

    def descendants(item: Any, env: Environment) -> list[Any]:
        result: list[Any] = []
        for parent in items(item, env):
            add(parent, result)
        for child in result:  # which grows on the way
            add(child, result)
        env.spend(len(result) // _CHEAP)
        return result

    return several(None, descendants, is_ordered=False)


def _adder(system: TypeSystem) -> _Add:
    """Appends all elements directly inside an item to a list."""
    known: dict[str, Mapping[str, Reader]] = {}

    def add(item: Any, into: list[Any]) -> None:
        value = item
        if item.__class__ is Node:
            value = item.value if item.value.__class__ is dict else item.partner
        if value.__class__ is not dict:
            return
        type_name = type_of(item)
        readers = known.get(type_name)
        if readers is None:
            if not system.has_members(type_name):
                return
            readers = known[type_name] = child_readers(type_name, system)
        for key in value:
            read = readers.get(key)
            if read is not None:
                read(value, into)

    return add


FUNCTIONS = {"children": Function(_children), "descendants": Function(_descendants)}
