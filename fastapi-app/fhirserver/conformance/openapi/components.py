"""What the OpenAPI description refers to: schemas, parameters, refusals. Taken from the definitions."""

from typing import Any

from fhirserver.conformance.openapi.parts import FHIR_JSON
from fhirserver.fhir.definitions import Definitions, Property

_REFUSALS = {
    400: ("The request or the JSON in it can't be understood", "invalid", "birthdate: 'x' is not a date"),
    401: ("Nobody is known by these credentials", "login", "this needs an access token (Authorization: Bearer …)"),
    403: ("The caller may not do this", "forbidden", "nurse1 has no permission to delete Patient"),
    404: ("No such resource, or no such type", "not-found", "Patient/unknown is not known"),
    406: ("No format that the client accepts", "not-supported", "_format=xml is not supported"),
    409: ("The write collides with another", "conflict", "Patient/example is being written by others"),
    410: ("The resource was deleted", "deleted", "Patient/example was deleted (version 2)"),
    412: ("A precondition does not hold", "conflict", "If-Match names version 1, the current one is 2"),
    413: ("The body is too large", "too-long", "the body is larger than 16777216 bytes"),
    415: ("The body has a format that is not understood", "not-supported", "send application/fhir+json"),
    429: ("Too many requests; Retry-After tells when to go on", "throttled", "too many requests"),
    422: ("The resource breaks a rule of R4", "required", "Observation.status is missing"),
}
_HEADERS = {
    "Prefer": ("How much comes back", "return=representation"),
    "If-Match": ("Only if this is the current version", 'W/"1"'),
    "If-None-Match": ("Read: 304 if this is the current version. Update: `*` only creates", 'W/"1"'),
    "If-Modified-Since": ("304 if nothing changed since", "Sat, 31 Jan 2026 09:30:00 GMT"),
    "X-FHIR-Validation": ("How thoroughly it is checked: `strict`, `structure` or `off`", "strict"),
    "If-None-Exist": ("Only if nothing matches this search", "identifier=http://example.org/mrn|12345"),
}
RESULT_PARAMETERS = {
    "_count": ("How many matches a page has", {"type": "integer", "minimum": 0}),
    "_sort": ("Search parameters to sort by; `-` before one turns its order round", {"type": "string"}),
    "_include": ("Add what matches refer to: `Observation:subject`", {"type": "string"}),
    "_revinclude": ("Add what refers to matches: `Observation:subject`", {"type": "string"}),
    "_total": ("Whether the number of all matches is given", {"enum": ["none", "estimate", "accurate"]}),
}
_QUERY_PARAMETERS = {
    **RESULT_PARAMETERS,
    "_since": ("Only versions written at this instant or later", {"type": "string", "format": "date-time"}),
    "_at": ("Only versions that were current at some time of this date or period", {"type": "string"}),
}
_FORMS = {
    "date": "a date or time, with a prefix: `ge2024-05`",
    "number": "a number, with a prefix: `gt0.8`",
    "quantity": "a number, with a prefix and a unit: `5.4|http://unitsofmeasure.org|mg`",
    "reference": "`Patient/example`, or its id",
    "string": "the beginning of the text, whatever its case and accents",
    "token": "`system|code` or `code`",
    "uri": "the whole URI",
    "composite": "values of its parts, joined by `$`",
}
_JSON_TYPES: dict[str, dict[str, Any]] = {
    "boolean": {"type": "boolean"},
    "integer": {"type": "integer"},
    "unsignedInt": {"type": "integer", "minimum": 0},
    "positiveInt": {"type": "integer", "minimum": 1},
    "decimal": {"type": "number"},
}


def components(definitions: Definitions, resource_types: tuple[str, ...]) -> dict[str, Any]:
    """All that the description refers to."""
    schemas = {name: _schema(definitions, name) for name in (*resource_types, "Bundle", "OperationOutcome")}
    schemas["Resource"] = {
        "type": "object",
        "description": "A resource of any type",
        "required": ["resourceType"],
        "properties": {"resourceType": {"type": "string"}, "id": {"type": "string"}},
        "additionalProperties": True,
    }
    return {
        "schemas": schemas,
        "parameters": {
            "resourceType": {
                "name": "resourceType",
                "in": "path",
                "required": True,
                "schema": {"type": "string", "enum": list(definitions.resource_types)},
            },
            **{
                name: {"name": name, "in": "query", "description": text, "schema": schema}
                for name, (text, schema) in _QUERY_PARAMETERS.items()
            },
            **{
                name: {
                    "name": name,
                    "in": "header",
                    "description": text,
                    "schema": {"type": "string"},
                    "example": shown,
                }
                for name, (text, shown) in _HEADERS.items()
            },
        },
        "responses": {str(status): _refusal(*described) for status, described in _REFUSALS.items()},
    }


def _refusal(description: str, code: str, diagnostics: str) -> dict[str, Any]:
    shown = {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": "error", "code": code, "diagnostics": diagnostics}],
    }
    schema = {"$ref": "#/components/schemas/OperationOutcome"}
    return {"description": description, "content": {FHIR_JSON: {"schema": schema, "example": shown}}}


def _schema(definitions: Definitions, resource_type: str) -> dict[str, Any]:
    """The JSON properties of a type, its own level only; what is inside them is R4's data types."""
    properties: dict[str, Any] = {"resourceType": {"type": "string", "const": resource_type}}
    required = ["resourceType"]
    for name, known in definitions.type(resource_type).properties.items():
        if name.startswith("_") or name == "resourceType":
            continue
        properties[name] = _property(definitions, known)
        if known.element.min > 0 and not known.element.is_choice:
            required.append(name)
    return {"type": "object", "required": required, "properties": properties, "additionalProperties": True}


def _property(definitions: Definitions, known: Property) -> dict[str, Any]:
    definition = definitions.type(known.type_code)
    schema: dict[str, Any]
    if known.type_code in _JSON_TYPES:
        schema = _JSON_TYPES[known.type_code]
    elif definition.kind == "primitive-type":
        schema = {"type": "string", "description": known.type_code}
    else:
        schema = {"type": "object", "description": known.type_code}
    return {"type": "array", "items": schema} if known.element.is_list else schema
