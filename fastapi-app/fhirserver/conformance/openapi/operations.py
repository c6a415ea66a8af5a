"""The addresses of $-operations.

https://hl7.org/fhir/R4/operations.html
"""

from typing import Any

from fhirserver.conformance.openapi.parts import answers, content, parameter, path_parameter
from fhirserver.fhir.definitions import Definitions
from fhirserver.fhir.definitions.operations import OperationParameter
from fhirserver.operations.registry import Available, available

OPERATIONS = "Operations"
_JSON_TYPES = {"boolean": "boolean", "integer": "integer", "positiveInt": "integer", "unsignedInt": "integer"}
_LEVELS = {"system": "", "type": "OfType", "instance": "OfResource"}


def operation_paths(definitions: Definitions, base: str) -> dict[str, Any]:
    """GET (where nothing changes) and POST of every operation at each of its levels."""
    return {
        f"{base}{path}/${operation.definition.code}": {
            "parameters": parameters,
            **_methods(operation, f"{_LEVELS[level]}{suffix}"),
        }
        for shared in available(definitions).values()
        for operation in shared
        for level in sorted(operation.levels)
        for path, parameters, suffix in _places(operation, level)
    }


def _places(operation: Available, level: str) -> list[tuple[str, list[Any], str]]:
    """The paths at a level, with the parameters in them."""
    if level == "system":
        return [("", [], "")]
    id_path, id_parameter = ("/{id}", [path_parameter("id", "example")]) if level == "instance" else ("", [])
    if "Resource" in operation.definition.resource_types:
        return [("/{resourceType}" + id_path, [parameter("resourceType"), *id_parameter], "")]
    return [(f"/{name}{id_path}", id_parameter, name) for name in operation.definition.resource_types]


def _methods(operation: Available, suffix: str) -> dict[str, Any]:
    definition = operation.definition

    def described(verb: str, **rest: Any) -> dict[str, Any]:
        return {
            "tags": [OPERATIONS],
            "operationId": f"{verb}-{definition.code}{suffix}",
            "summary": definition.title,
            "description": definition.description,
            **rest,
            "responses": answers(content("Resource", None), 400, 404, 422),
        }

    shown = {"resourceType": "Parameters", "parameter": [{"name": known.name} for known in definition.parameters[:1]]}
    post = described("post", requestBody={"required": False, "content": content("Resource", shown)})
    if operation.changes:
        return {"post": post}
    plain = [_in_query(known) for known in definition.parameters if known.type and known.type[0].islower()]
    return {"get": described("get", parameters=plain), "post": post}


def _in_query(known: OperationParameter) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": _JSON_TYPES.get(known.type or "", "string")}
    if known.max != 1:
        schema = {"type": "array", "items": schema}
    return {
        "name": known.name,
        "in": "query",
        "description": known.documentation,
        "schema": schema,
    }
