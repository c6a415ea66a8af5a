"""What a collection holds.

- Elements of a statically known type are the raw JSON: dicts, str, bool, int, Decimal. Resources always are.
- A Node is an element with what the raw value doesn't tell: its type where several are possible, and the partner
  (`_birthDate`) of a primitive, which may have no value at all.
- Values of FHIRPath's own types (System.*) are str, bool, int, Decimal, Temporal, Quantity and TypeInfo.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from fhirserver.fhir.fhirpath.quantities import Quantity
from fhirserver.fhir.fhirpath.temporal import Temporal

BOOLEAN, STRING, INTEGER, DECIMAL = "System.Boolean", "System.String", "System.Integer", "System.Decimal"
DATE, DATETIME, TIME, QUANTITY = "System.Date", "System.DateTime", "System.Time", "System.Quantity"
TYPE_INFO = "System.TypeInfo"


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """An element of a FHIR type. `value` is its raw JSON, None if a primitive has only extensions."""

    value: Any
    type_name: str
    partner: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class TypeInfo:
    """What `type()` gives."""

    namespace: str
    name: str


def raw(item: Any) -> Any:
    """An item without its type; None for a primitive without a value."""
    return item.value if item.__class__ is Node else item


def type_of(item: Any) -> str:
    """The type of an item of a collection with items of several types."""
    kind = item.__class__
    if kind is Node:
        return str(item.type_name)
    if kind is dict:
        name = item.get("resourceType")
        return name if name.__class__ is str else "Resource"
    return system_type(item)


def system_type(value: Any) -> str:
    """The System type of a value."""
    match value:
        case bool():
            return BOOLEAN
        case str():
            return STRING
        case int():
            return INTEGER
        case Decimal():
            return DECIMAL
        case Temporal(kind=kind):
            return f"System.{kind}"
        case Quantity():
            return QUANTITY
    return TYPE_INFO


def described(value: Any) -> str:
    """What kind of value this is, for a message."""
    return "an element with children" if value.__class__ is dict else system_type(value).removeprefix("System.")
