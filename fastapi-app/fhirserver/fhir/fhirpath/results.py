"""Results as FHIR's JSON has them: System values as the FHIR values of the same meaning."""

from typing import Any

from fhirserver.fhir.datatypes import ucum
from fhirserver.fhir.fhirpath import nodes
from fhirserver.fhir.fhirpath.nodes import raw, type_of
from fhirserver.fhir.fhirpath.quantities import Quantity, ucum_code
from fhirserver.fhir.fhirpath.temporal import Temporal

_FHIR_TYPES = {
    nodes.BOOLEAN: "boolean",
    nodes.STRING: "string",
    nodes.INTEGER: "integer",
    nodes.DECIMAL: "decimal",
    nodes.DATE: "date",
    nodes.DATETIME: "dateTime",
    nodes.TIME: "time",
    nodes.QUANTITY: "Quantity",
}


def fhir_type(type_name: str) -> str:
    """The FHIR type that stands for a type."""
    return _FHIR_TYPES.get(type_name, type_name)


def json_value(value: Any) -> Any:
    """A System value as FHIR's JSON has it."""
    if value.__class__ is Temporal:
        return str(value)
    if value.__class__ is Quantity:
        return {"value": value.value, "system": ucum.SYSTEM, "code": ucum_code(value)}
    return value


def typed_values(items: list[Any], type_name: str | None) -> list[tuple[str, Any]]:
    """(FHIR type, JSON) of items, which are of this type or of several; primitives without a value are left out."""
    found = []
    for item in items:
        value = raw(item)
        if value is not None:
            found.append((fhir_type(type_name or type_of(item)), json_value(value)))
    return found
