"""The values of an element in the JSON of a resource, with all that checks need to know of them."""

from collections.abc import Callable
from typing import Any, NamedTuple

from fhirserver.fhir.definitions import Definitions, TypeDefinition
from fhirserver.fhir.validation.primitives import PRIMITIVES
from fhirserver.fhir.validation.report import Place

_RESOURCE = "Resource"
_NONE: dict[str, Any] = {}


class Item(NamedTuple):
    """A value. `type_code` is its type as the definitions name it: `Patient`, `HumanName`, `Observation.component`.

    `value` is None for a primitive that has only extensions; these are in `partner`.
    """

    value: Any
    type_code: str
    place: Place
    partner: dict[str, Any] | None = None

    @property
    def content(self) -> dict[str, Any] | None:
        """The object that the children are in; None if this has another form than R4 gives it."""
        if self.type_code in PRIMITIVES:
            return self.partner or _NONE
        return self.value if type(self.value) is dict else None


# Gives the items of an element in an object at a place.
Reader = Callable[[dict[str, Any], Place], list[Item]]


class Child(NamedTuple):
    """An element of a type: how it is read, and the types that its values may have."""

    read: Reader
    types: tuple[str, ...]


def child_of(definition: TypeDefinition, name: str, definitions: Definitions) -> Child | None:
    """An element of a type by its name in a snapshot (`code`, `value[x]`, `valueQuantity`); None if there is none."""
    stem = name.removesuffix("[x]")
    found = [(key, known.type_code) for key, known in definition.properties.items() if known.element.name == stem]
    if not found and name in definition.properties:
        found = [(name, definition.properties[name].type_code)]
    if not found:
        return None
    keys = [(key, type_code, "_" + key if _has_partner(definition, key) else None) for key, type_code in found]

    def read(owner: dict[str, Any], place: Place) -> list[Item]:
        items: list[Item] = []
        for key, type_code, partner_key in keys:
            value = owner.get(key)
            partner = owner.get(partner_key) if partner_key is not None else None
            if value is None and partner is None:
                continue
            if type(value) is list or type(partner) is list:
                _read_list(value, partner, key, type_code, place, items)
            else:
                items.append(_item(value, partner, type_code, (place, key, None)))
        return items

    def read_resources(owner: dict[str, Any], place: Place) -> list[Item]:
        return [item._replace(type_code=resource_type(item.value, definitions)) for item in read(owner, place)]

    types = tuple(type_code for _, type_code, _ in keys)
    return Child(read_resources if types == (_RESOURCE,) else read, types)


def resource_type(value: Any, definitions: Definitions) -> str:
    """The type of a resource, as far as it says one that R4 has."""
    name = value.get("resourceType") if type(value) is dict else None
    return name if type(name) is str and definitions.is_resource_type(name) else _RESOURCE


def _has_partner(definition: TypeDefinition, key: str) -> bool:
    known = definition.properties[key]
    return known.type_code in PRIMITIVES and known.type_code != "xhtml" and not known.element.is_plain


def _read_list(values: Any, partners: Any, key: str, type_code: str, place: Place, into: list[Item]) -> None:
    values = values if type(values) is list else []
    partners = partners if type(partners) is list else []
    for index in range(max(len(values), len(partners))):
        value = values[index] if index < len(values) else None
        partner = partners[index] if index < len(partners) else None
        if value is not None or partner is not None:
            into.append(_item(value, partner, type_code, (place, key, index)))


def _item(value: Any, partner: Any, type_code: str, place: Place) -> Item:
    return Item(value, type_code, place, partner if type(partner) is dict else None)
