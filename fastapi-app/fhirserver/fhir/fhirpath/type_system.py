"""What FHIRPath needs to know about types: ancestry, members, and the System values that primitives stand for.

https://hl7.org/fhir/R4/fhirpath.html#types
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from fhirserver.fhir.definitions import Definitions
from fhirserver.fhir.fhirpath import nodes
from fhirserver.fhir.fhirpath.nodes import Node, raw
from fhirserver.fhir.fhirpath.quantities import fhir_quantity
from fhirserver.fhir.fhirpath.temporal import parse_temporal
from fhirserver.fhir.fhirpath.tree import Expression, Member

Types = frozenset[str] | None  # the types that items may have; None if any

SYSTEM_TYPES = frozenset(
    {nodes.BOOLEAN, nodes.STRING, nodes.INTEGER, nodes.DECIMAL, nodes.DATE, nodes.DATETIME, nodes.TIME, nodes.QUANTITY}
)
_STRINGS = (
    "string", "code", "id", "markdown", "uri", "url", "canonical", "uuid", "oid", "base64Binary", "xhtml",
)  # fmt: skip
_SYSTEM_OF = {
    **dict.fromkeys(_STRINGS, nodes.STRING),
    **dict.fromkeys(("integer", "positiveInt", "unsignedInt"), nodes.INTEGER),
    **dict.fromkeys(("dateTime", "instant"), nodes.DATETIME),
    "boolean": nodes.BOOLEAN,
    "decimal": nodes.DECIMAL,
    "date": nodes.DATE,
    "time": nodes.TIME,
}
_ABSTRACT = frozenset({"Resource", "DomainResource"})


class Property(NamedTuple):
    """A JSON property that an element may be in; `partner` is the name of the one with its extensions, if any."""

    key: str
    type_name: str
    is_list: bool
    partner: str | None


class TypeSystem:
    """Types as the definitions have them. Answers are kept."""

    def __init__(self, definitions: Definitions):
        self._definitions = definitions
        self._lineages: dict[str, frozenset[str]] = {}
        self._members: dict[str, Mapping[str, tuple[Property, ...]]] = {}
        self._keys: dict[str, Mapping[str, Property]] = {}
        self._names = frozenset((*definitions.resource_types, *definitions.data_types)) | _ABSTRACT

    def is_type(self, name: str) -> bool:
        """Whether FHIR has a type of this name (types inside others are not counted)."""
        return name in self._names

    def is_resource(self, name: str) -> bool:
        """Whether it is a resource type, abstract ones included."""
        return name in _ABSTRACT or self._definitions.is_resource_type(name)

    def lineage(self, name: str) -> frozenset[str]:
        """The type and those it is derived from."""
        found = self._lineages.get(name)
        if found is None:
            names, base = [name], self._base(name)
            while base is not None:
                names.append(base)
                base = self._base(base)
            found = frozenset(names)
            if self.has_members(name):
                self._lineages[name] = found
        return found

    def subtypes(self, name: str) -> frozenset[str]:
        """The type and those derived from it, System types left out."""
        return frozenset(other for other in self._names if name in self.lineage(other)) | {name}

    def is_primitive(self, name: str) -> bool:
        """Whether it is a FHIR primitive."""
        return name in _SYSTEM_OF

    def types(self, *names: str) -> Types:
        """These types as a set; None if one of them stands for several resource types."""
        return None if not _ABSTRACT.isdisjoint(names) else frozenset(names)

    def has_members(self, name: str) -> bool:
        """Whether it is a FHIR type whose elements are known."""
        return name in self._names or bool(self.properties(name))

    def named_members(self, type_name: str, name: str, is_strict: bool) -> tuple[Property, ...]:
        """The JSON properties of an element. Unless `is_strict`, `valueDateTime` is the `value` of that type."""
        found = self.members(type_name).get(name, ())
        if found or is_strict:
            return found
        known = self.properties(type_name).get(name)
        return () if known is None else (known,)

    def members(self, type_name: str) -> Mapping[str, tuple[Property, ...]]:
        """The JSON properties by the name of their element: one, or one for each type of a choice."""
        found = self._members.get(type_name)
        if found is None:
            collected: dict[str, list[Property]] = {}
            for key, known in self.properties(type_name).items():
                name = self._definitions.type(type_name).properties[key].element.name
                collected.setdefault(name, []).append(known)
            found = {name: tuple(listed) for name, listed in collected.items()}
            if found:
                self._members[type_name] = found
        return found

    def properties(self, type_name: str) -> Mapping[str, Property]:
        """The JSON properties of a FHIR type; none for a name that is no type."""
        found = self._keys.get(type_name)
        if found is None:
            try:
                properties = self._definitions.type(type_name).properties
            except KeyError:
                return {}
            found = self._keys[type_name] = {
                key: Property(
                    key,
                    known.type_code,
                    known.element.is_list,
                    None
                    if known.type_code not in _SYSTEM_OF or known.type_code == "xhtml" or known.element.is_plain
                    else "_" + key,
                )
                for key, known in properties.items()
            }
        return found

    def named(self, specifier: Expression) -> str | None:
        """The type that a specifier names (`Patient`, `FHIR.Patient`, `System.String`, `String`); None if none is."""
        match specifier:
            case Member(source=Member(source=None, name="System"), name=name):
                return f"System.{name}"
            case Member(source=Member(source=None, name="FHIR"), name=name):
                return name if self.is_type(name) else None
            case Member(source=None, name=name):
                if self.is_type(name):
                    return name
                return f"System.{name}" if f"System.{name}" in SYSTEM_TYPES else None
        return None

    def is_a(self, type_name: str, wanted: str) -> bool:
        """Whether a type is another or derived from it. `Quantity` is FHIR's and FHIRPath's."""
        return wanted in self.lineage(type_name) or (wanted == "Quantity" and type_name == nodes.QUANTITY)

    def system_type(self, type_name: str) -> str:
        """The System type that a FHIR type converts to; the type itself if there is none."""
        found = _SYSTEM_OF.get(type_name)
        if found is None:
            found = nodes.QUANTITY if "Quantity" in self.lineage(type_name) else type_name
        return found

    def converter(self, types: Types) -> Callable[[Any], Any]:
        """From an item to its System value; dicts stay what they are, primitives without a value give None."""
        if types is not None and len(types) == 1:
            return self._converter_of(next(iter(types)))
        return self.system_value

    def system_value(self, item: Any) -> Any:
        """The System value of an item of a collection with several types."""
        if item.__class__ is Node:
            return self._converter_of(item.type_name)(item)
        return item

    def _converter_of(self, type_name: str) -> Callable[[Any], Any]:
        return _CONVERTERS.get(self.system_type(type_name), _same if type_name.startswith("System.") else raw)

    def _base(self, name: str) -> str | None:
        if name.startswith("System."):
            return None
        try:
            return self._definitions.type(name).base
        except KeyError:
            return None


@lru_cache(maxsize=8)
def type_system(definitions: Definitions) -> TypeSystem:
    """The one TypeSystem of these definitions."""
    return TypeSystem(definitions)


def _same(item: Any) -> Any:
    return item


def _temporal(kind: Any) -> Callable[[Any], Any]:
    def convert(item: Any) -> Any:
        value = raw(item)
        return parse_temporal(value, kind) if value.__class__ is str else value

    return convert


def _quantity(item: Any) -> Any:
    value = raw(item)
    if value.__class__ is dict:
        found = fhir_quantity(value)
        return value if found is None else found
    return value


_CONVERTERS: dict[str, Callable[[Any], Any]] = {
    nodes.STRING: raw,
    nodes.BOOLEAN: raw,
    nodes.INTEGER: raw,
    nodes.DECIMAL: raw,
    nodes.DATE: _temporal("Date"),
    nodes.DATETIME: _temporal("DateTime"),
    nodes.TIME: _temporal("Time"),
    nodes.QUANTITY: _quantity,
}
