"""`name.given`: from elements to the elements inside them.

For elements of one known type the JSON property is known when it is compiled, so that nothing is looked up later.
"""

from collections.abc import Callable, Sequence
from typing import Any

from fhirserver.fhir.fhirpath import nodes
from fhirserver.fhir.fhirpath.environment import Environment
from fhirserver.fhir.fhirpath.nodes import Node, type_of
from fhirserver.fhir.fhirpath.reading import Reader, joined, reader
from fhirserver.fhir.fhirpath.selection import EMPTY, Many, One, Selection, computed, several, single
from fhirserver.fhir.fhirpath.type_system import Property, Types, TypeSystem

_FEW = 16  # so many items are the work of a step


def member(source: Selection, name: str, system: TypeSystem, *, is_strict: bool = True) -> Selection | None:
    """The elements of this name; None if none of the possible types has such an element."""
    type_name = source.type_name
    if type_name is None:
        return _of_several(source, name, system, is_strict)
    if type_name == nodes.TYPE_INFO:
        return _of_type_info(source, name)
    properties = system.named_members(type_name, name, is_strict)
    if not properties:
        return None
    if system.is_primitive(type_name):
        return _of_primitive(source, type_name, properties[0], system)
    if len(properties) == 1:
        return _property(source, properties[0], system)
    return _choice(source, properties, system)


def _property(source: Selection, known: Property, system: TypeSystem) -> Selection:
    types = system.types(known.type_name)
    plain = _plain_property(types, source, known)
    return plain if known.partner is None else _with_partner(types, source, known, plain)


def _plain_property(types: Types, source: Selection, known: Property) -> Selection:
    """An element without a partner (or of which only the values are wanted)."""
    key, get = known.key, source.one
    if get is None:
        return _flattened(types, source.many, key, known.partner is not None)
    if known.is_list:
        return _listed(types, source, key, known.partner is not None)
    if source.is_this:

        def of_this(item: Any, env: Environment) -> Any:
            return item.get(key) if item.__class__ is dict else None

        return single(types, of_this)

    def of_one(item: Any, env: Environment) -> Any:
        parent = get(item, env)
        return parent.get(key) if parent.__class__ is dict else None

    return single(types, of_one)


def _listed(types: Types, source: Selection, key: str, has_gaps: bool) -> Selection:
    get = source.one or _nothing

    def many(item: Any, env: Environment) -> list[Any]:
        parent = get(item, env)
        found = parent.get(key) if parent.__class__ is dict else None
        if found.__class__ is list:
            # Lists are never changed, so the resource's own can be handed on.
            return [value for value in found if value is not None] if has_gaps and None in found else found
        return [] if found is None else [found]

    def exists(item: Any, env: Environment) -> bool:
        parent = get(item, env)
        return parent.__class__ is dict and bool(parent.get(key))

    return several(types, many, None if has_gaps else exists)


def _flattened(types: Types, parents: Many, key: str, has_gaps: bool) -> Selection:
    def many(item: Any, env: Environment) -> list[Any]:
        result: list[Any] = []
        for parent in parents(item, env):
            if parent.__class__ is dict:
                found = parent.get(key)
                if found.__class__ is list:
                    result += found
                elif found is not None:
                    result.append(found)
        if len(result) > _FEW:
            env.spend(len(result) // _FEW)
        return [value for value in result if value is not None] if has_gaps and None in result else result

    def exists(item: Any, env: Environment) -> bool:
        for parent in parents(item, env):
            if parent.__class__ is dict:
                found = parent.get(key)
                if found is not None and found != []:
                    return True
        return False

    return several(types, many, None if has_gaps else exists)


def _with_partner(types: Types, source: Selection, known: Property, bare: Selection) -> Selection:
    """A primitive: its value, or a Node with the partner if there is one."""
    key, partner, type_name, get = known.key, known.partner or "", known.type_name, source.one
    if get is None or known.is_list:
        read = reader(known, tagged=False)
        parents = source.many

        def many(item: Any, env: Environment) -> list[Any]:
            result: list[Any] = []
            for parent in parents(item, env):
                if parent.__class__ is dict:
                    read(parent, result)
            if len(result) > _FEW:
                env.spend(len(result) // _FEW)
            return result

        return several(types, many, bare=bare)
    fetch = get

    def one(item: Any, env: Environment) -> Any:
        parent = fetch(item, env)
        if parent.__class__ is not dict:
            return None
        value = parent.get(key)
        if partner in parent:
            return joined(value, parent[partner], type_name)
        return value

    def found(item: Any, env: Environment) -> bool:
        parent = fetch(item, env)
        return parent.__class__ is dict and (parent.get(key) is not None or parent.get(partner) is not None)

    return single(types, one, found, bare=bare)


def _choice(source: Selection, properties: Sequence[Property], system: TypeSystem) -> Selection:
    """`value[x]`: whichever of its properties is there."""
    keys = {known.key: reader(known, tagged=True) for known in properties}
    names = frozenset(keys) | {known.partner for known in properties if known.partner is not None}
    for known in properties:
        if known.partner is not None:
            keys[known.partner] = keys[known.key]
    types = system.types(*(known.type_name for known in properties))

    def narrow(wanted: frozenset[str]) -> Selection:
        kept = [known for known in properties if known.type_name in wanted]
        if not kept:
            return EMPTY
        return _property(source, kept[0], system) if len(kept) == 1 else _choice(source, kept, system)

    if source.one is None:
        parents = source.many

        def many(item: Any, env: Environment) -> list[Any]:
            result: list[Any] = []
            for parent in parents(item, env):
                if parent.__class__ is dict and not names.isdisjoint(parent):
                    _read_choice(parent, keys, result)
            env.spend(len(result) // _FEW)
            return result

        def any_found(item: Any, env: Environment) -> bool:
            return any(parent.__class__ is dict and not names.isdisjoint(parent) for parent in parents(item, env))

        return several(types, many, any_found, narrow=narrow)
    get = source.one

    def one(item: Any, env: Environment) -> Any:
        parent = get(item, env)
        if parent.__class__ is not dict or names.isdisjoint(parent):
            return None
        result: list[Any] = []
        _read_choice(parent, keys, result)
        return result[0] if result else None

    def found(item: Any, env: Environment) -> bool:
        parent = get(item, env)
        return parent.__class__ is dict and not names.isdisjoint(parent)

    return single(types, one, found, narrow=narrow)


def _read_choice(parent: dict[str, Any], readers: dict[str, Reader], into: list[Any]) -> None:
    for key in parent:
        read = readers.get(key)
        if read is not None:
            read(parent, into)
            return


def _of_primitive(source: Selection, type_name: str, known: Property, system: TypeSystem) -> Selection:
    """`id`, `extension` and `value` of a primitive."""
    if known.key == "value":
        bare = source.bare or source
        types: Types = frozenset({system.system_type(type_name)})
        convert = system.converter(source.types)
        if bare.one is not None:
            get = bare.one
            return single(types, lambda item, env: None if (found := get(item, env)) is None else convert(found))
        many = bare.many
        return several(types, lambda item, env: [value for value in map(convert, many(item, env)) if value is not None])
    read, items = reader(known, tagged=False), source.many

    def inside(item: Any, env: Environment) -> list[Any]:
        result: list[Any] = []
        for value in items(item, env):
            if value.__class__ is Node and value.partner is not None:
                read(value.partner, result)
        return result

    if source.one is not None and not known.is_list:

        def first(item: Any, env: Environment) -> Any:
            found = inside(item, env)
            return found[0] if found else None

        return single(system.types(known.type_name), first)
    return several(system.types(known.type_name), inside)


def _of_several(source: Selection, name: str, system: TypeSystem, is_strict: bool) -> Selection | None:
    """The elements of items of which the type is only known from the item itself."""
    types: Types = None
    is_list = True
    if source.types is not None:
        found_types: set[str] = set()
        is_list = False
        for type_name in source.types:
            for known in system.named_members(type_name, name, is_strict):
                is_value = name == "value" and system.is_primitive(type_name)
                found_types.add(system.system_type(type_name) if is_value else known.type_name)
                is_list = is_list or known.is_list
        if not found_types:
            return None if source.types else EMPTY
        types = system.types(*found_types)
    read = _typed_reader(name, types is None or len(types) != 1, system, is_strict)
    if source.one is not None and not is_list:
        get = source.one

        def one(item: Any, env: Environment) -> Any:
            result: list[Any] = []
            read(get(item, env), result)
            return result[0] if result else None

        return single(types, one)
    items = source.many

    def many(item: Any, env: Environment) -> list[Any]:
        result: list[Any] = []
        for found in items(item, env):
            read(found, result)
        env.spend(len(result) // _FEW)
        return result

    return several(types, many)


def _typed_reader(name: str, tagged: bool, system: TypeSystem, is_strict: bool) -> Callable[[Any, list[Any]], None]:
    """Reads the elements of this name of an item, by the type it has."""
    readers: dict[str, list[Reader]] = {}

    def read(item: Any, into: list[Any]) -> None:
        value = item
        if item.__class__ is Node:
            if name == "value" and system.is_primitive(item.type_name):
                converted = system.system_value(item)
                if converted is not None:
                    into.append(converted)
                return
            value = item.value if item.value.__class__ is dict else item.partner
        if value.__class__ is not dict:
            return
        type_name = type_of(item)
        found = readers.get(type_name)
        if found is None:
            if not system.has_members(type_name):
                return
            members = system.named_members(type_name, name, is_strict)
            found = readers[type_name] = [reader(known, tagged) for known in members]
        for read_property in found:
            read_property(value, into)

    return read


def _of_type_info(source: Selection, name: str) -> Selection | None:
    if name not in ("namespace", "name"):
        return None
    if source.one is not None:
        get: One = source.one
        return computed(nodes.STRING, lambda item, env: getattr(get(item, env), name, None))
    many = source.many
    return several(frozenset({nodes.STRING}), lambda item, env: [getattr(info, name) for info in many(item, env)])


def _nothing(item: Any, env: Environment) -> Any:
    return None
