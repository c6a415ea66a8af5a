"""Small parts that operations of the OpenAPI description are put together from."""

from typing import Any

FHIR_JSON = "application/fhir+json"


def answers(found: dict[str, Any], *statuses: int) -> dict[str, Any]:
    """200 with this content, and the refusals with these statuses."""
    return {"200": {"description": "OK", "content": found}, **refusals(*statuses)}


def created(stored: dict[str, Any]) -> dict[str, Any]:
    """The response to a create."""
    headers = {
        name: {"description": description, "schema": {"type": "string"}}
        for name, description in (
            ("Location", "[base]/[type]/[id]/_history/[versionId]"),
            ("ETag", 'W/"[versionId]"'),
            ("Last-Modified", "When it was stored"),
        )
    }
    return {"description": "Created", "headers": headers, "content": stored}


def content(schema: str, shown: dict[str, Any] | None) -> dict[str, Any]:
    """JSON of one of the schemas, with an example."""
    described: dict[str, Any] = {"schema": {"$ref": f"#/components/schemas/{schema}"}}
    if shown is not None:
        described["example"] = shown
    return {FHIR_JSON: described}


def body(schema: str, shown: dict[str, Any]) -> dict[str, Any]:
    """A body of one of the schemas, with an example."""
    return {"required": True, "content": content(schema, shown)}


def refusals(*statuses: int) -> dict[str, Any]:
    """The responses with these statuses: each an OperationOutcome."""
    return {str(status): {"$ref": f"#/components/responses/{status}"} for status in statuses}


def path_parameter(name: str, shown: str) -> dict[str, Any]:
    """An id in the path."""
    schema = {"type": "string", "pattern": "^[A-Za-z0-9.-]{1,64}$"}
    return {"name": name, "in": "path", "required": True, "schema": schema, "example": shown}


def parameter(name: str) -> dict[str, Any]:
    """A reference to the description of a parameter."""
    return {"$ref": f"#/components/parameters/{name}"}
