"""The CapabilityStatement: every type of R4, what can be done with it, and what it can be searched by.

https://hl7.org/fhir/R4/capabilitystatement.html
"""

from collections.abc import Iterable, Mapping
from typing import Any

from fhirserver.conformance.documentation import documentation
from fhirserver.fhir.definitions import Definitions
from fhirserver.fhir.profiles.structures import Structures
from fhirserver.fhir.resource_json import serialize
from fhirserver.operations.registry import Available, available
from fhirserver.search.parameter_types import searchable

TYPE_INTERACTIONS = (
    "read",
    "vread",
    "update",
    "delete",
    "history-instance",
    "history-type",
    "create",
    "search-type",
)
SYSTEM_INTERACTIONS = ("transaction", "batch", "search-system", "history-system")
OF_ALL_TYPES = (
    ("_content", "string", "Words anywhere in the resource"),
    ("_text", "string", "Words of the narrative"),
    ("_filter", "special", "Conditions with and, or, not and parentheses"),
    ("_has", "special", "What refers to it: `_has:Observation:patient:code`"),
    ("_list", "special", "The items of a List"),
    ("_query", "special", "A named query, defined by an OperationDefinition"),
    ("_type", "special", "The types of a search over several"),
)
"""What can be searched by without being a search parameter with an expression."""
FORMATS = ("application/fhir+json", "application/json", "json")


def capability_statement(
    definitions: Definitions,
    structures: Structures,
    base_url: str,
    software_version: str,
    date: str,
    security: Mapping[str, Any] | None = None,
) -> bytes:
    """The CapabilityStatement of the server at this base, as JSON text. `date` is an R4 dateTime.

    `security` is what it says of access control; None if there is none.
    """
    profiles = structures.profiles()
    reverse = _reverse_includes(definitions)
    statement = {
        **heading("CapabilityStatement", "metadata", base_url, software_version, date),
        "fhirVersion": definitions.fhir_version,
        "format": list(FORMATS),
        "rest": [
            {
                "mode": "server",
                **({"security": security} if security is not None else {}),
                "resource": [
                    _resource(definitions, name, profiles.get(name, []), reverse.get(name, ()))
                    for name in definitions.resource_types
                ],
                "interaction": [{"code": code} for code in SYSTEM_INTERACTIONS],
                "searchParam": [
                    {"name": name, "type": type_, "documentation": text} for name, type_, text in OF_ALL_TYPES
                ],
                "operation": [
                    _operation(operation) for operation in _operations(definitions) if "system" in operation.levels
                ],
                "compartment": [definitions.compartment(code).url for code in definitions.compartments],
            }
        ],
    }
    return serialize(statement)


def heading(resource_type: str, path: str, base_url: str, software_version: str, date: str) -> dict[str, Any]:
    """The elements with which CapabilityStatement and TerminologyCapabilities begin."""
    return {
        "resourceType": resource_type,
        "url": f"{base_url}/{path}",
        "version": software_version,
        "name": "FhirServer",
        "title": "FHIR R4 server",
        "status": "active",
        "date": date,
        "kind": "instance",
        "software": {"name": "fhirserver", "version": software_version},
        "implementation": {"description": "FHIR R4 server", "url": base_url},
    }


def _resource(
    definitions: Definitions, resource_type: str, profiles: list[str], reverse: Iterable[str]
) -> dict[str, Any]:
    parameters = searchable(definitions, resource_type)
    includes = [
        f"{resource_type}:{parameter.code}" for parameter in parameters.values() if parameter.type == "reference"
    ]
    described: dict[str, Any] = {
        "type": resource_type,
        "profile": definitions.type(resource_type).url,
        "supportedProfile": profiles,
        "interaction": [{"code": code} for code in TYPE_INTERACTIONS],
        "versioning": "versioned",
        "readHistory": True,
        "updateCreate": True,
        "conditionalCreate": True,
        "conditionalRead": "full-support",
        "conditionalUpdate": True,
        "conditionalDelete": "single",
        "referencePolicy": ["literal", "logical", "local"],
        "searchInclude": includes,
        "searchRevInclude": list(reverse),
        "searchParam": [
            {
                "name": parameter.code,
                "definition": parameter.url,
                "type": parameter.type,
                "documentation": documentation(parameter.description, resource_type),
            }
            for parameter in parameters.values()
        ],
        "operation": [
            _operation(operation) for operation in _operations(definitions) if operation.is_for(resource_type)
        ],
    }
    return {name: value for name, value in described.items() if value not in ([], "")}


def _operations(definitions: Definitions) -> list[Available]:
    return [operation for shared in available(definitions).values() for operation in shared]


def _operation(operation: Available) -> dict[str, Any]:
    return {"name": operation.definition.code, "definition": operation.definition.url}


def _reverse_includes(definitions: Definitions) -> dict[str, list[str]]:
    """For each type the parameters that can refer to it: {"Patient": ["Account:patient", …]}."""
    found: dict[str, list[str]] = {}
    for source in definitions.resource_types:
        for parameter in definitions.search_parameters(source).values():
            if parameter.type == "reference":
                for target in parameter.target_types:
                    found.setdefault(target, []).append(f"{source}:{parameter.code}")
    return found
