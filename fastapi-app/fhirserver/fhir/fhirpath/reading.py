"""From the JSON of an element to the items in one of its properties.

https://hl7.org/fhir/R4/json.html#primitive
"""

from collections.abc import Callable, Mapping
from typing import Any

from fhirserver.fhir.fhirpath.nodes import Node
from fhirserver.fhir.fhirpath.type_system import Property, TypeSystem

# Appends the items in a property of an object to a list.
Reader = Callable[[dict[str, Any], list[Any]], None]


def joined(value: Any, partner: Any, type_name: str) -> Any:
    """A primitive with its partner, which is an object if the JSON is right."""
    if partner.__class__ is dict:
        return Node(value, type_name, partner)
    return value


def reader(known: Property, tagged: bool) -> Reader:
    """Reads a property; with `tagged` everything but resources becomes a Node."""
    key, type_name, partner_key = known.key, known.type_name, known.partner
    tags = tagged and type_name not in ("Resource", "DomainResource")

    def read(parent: dict[str, Any], into: list[Any]) -> None:
        found = parent.get(key)
        if partner_key is not None and partner_key in parent:
            _read_joined(found, parent[partner_key], type_name, tags, into)
        elif found.__class__ is list:
            if tags:
                into += [Node(value, type_name) for value in found if value is not None]
            else:
                into += [value for value in found if value is not None]
        elif found is not None:
            into.append(Node(found, type_name) if tags else found)

    return read


def _read_joined(values: Any, partners: Any, type_name: str, tags: bool, into: list[Any]) -> None:
    if values.__class__ is not list and partners.__class__ is not list:
        values, partners = [values], [partners]
    values = values if values.__class__ is list else []
    partners = partners if partners.__class__ is list else []
    for place in range(max(len(values), len(partners))):
        value = values[place] if place < len(values) else None
        partner = partners[place] if place < len(partners) else None
        if partner.__class__ is dict:
            into.append(Node(value, type_name, partner))
        elif value is not None:
            into.append(Node(value, type_name) if tags else value)


def child_readers(type_name: str, system: TypeSystem) -> Mapping[str, Reader]:
    """Readers by the key they are to be called for, so that going through an object reads each element once."""
    readers: dict[str, Reader] = {}
    for key, known in system.properties(type_name).items():
        readers[key] = reader(known, tagged=True)
        if known.partner is not None:
            readers[known.partner] = _of_partner_alone(key, readers[key])
    return readers


def _of_partner_alone(key: str, read: Reader) -> Reader:
    def read_alone(parent: dict[str, Any], into: list[Any]) -> None:
        if key not in parent:
            read(parent, into)

    return read_alone
