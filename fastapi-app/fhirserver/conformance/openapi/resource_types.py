"""The routes of resource types.

https://hl7.org/fhir/R4/http.html
"""

from typing import Any

from fhirserver.conformance.documentation import documentation
from fhirserver.conformance.examples import example
from fhirserver.conformance.openapi.components import RESULT_PARAMETERS
from fhirserver.conformance.openapi.parts import (
    answers,
    body,
    content,
    created,
    parameter,
    path_parameter,
    refusals,
)
from fhirserver.fhir.definitions import Definitions
from fhirserver.search.parameter_types import searchable

GENERAL = "All types"
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
_ONE_MATCH = "The query tells which one; it has to match one at the most."


class TypeRoutes:
    """The routes of one type or, if `resource_type` is None, of all types, with the type in the path."""

    def __init__(self, definitions: Definitions, base: str, resource_type: str | None) -> None:
        self._suffix = resource_type or ""
        self._name = resource_type or "resource"
        self._tag = resource_type or GENERAL
        self._address = f"{base}/{resource_type or '{resourceType}'}"
        self._shared = [] if resource_type else [parameter("resourceType")]
        self._search = _search_parameters(definitions, resource_type)
        shown = example(resource_type or "Patient")
        schema = resource_type or "Resource"
        version = {"versionId": "1", "lastUpdated": "2026-01-31T09:30:00.123Z"}
        stored = {**shown, "meta": {**version, **shown.get("meta", {})}}
        self._one = [*self._shared, path_parameter("id", shown["id"])]
        self._body = body(schema, shown)
        self._stored = content(schema, stored)
        self._found = content("Bundle", _bundle_of(stored, "searchset"))
        self._history = content("Bundle", _bundle_of(stored, "history"))

    def paths(self) -> dict[str, Any]:
        """All of them, by address."""
        address = self._address
        searched = [*self._search, *(parameter(name) for name in RESULT_PARAMETERS)]
        return {
            address: {"parameters": self._shared, **self._type(searched), **self._conditional(searched)},
            f"{address}/_search": {"parameters": self._shared, **self._search_by_post()},
            f"{address}/_history": {
                "parameters": self._shared,
                **self._versions("historyOfType", f"Versions of every {self._name}, newest first"),
            },
            f"{address}/{{id}}": {"parameters": self._one, **self._instance()},
            f"{address}/{{id}}/_history": {
                "parameters": self._one,
                **self._versions("historyOf", f"Versions of one {self._name}, newest first"),
            },
            f"{address}/{{id}}/_history/{{versionId}}": {
                "parameters": [*self._one, path_parameter("versionId", "1")],
                "get": self._operation(
                    "readVersion",
                    f"Read one version of {self._name}",
                    responses=answers(self._stored, 400, 404, 410),
                ),
            },
        }

    def _operation(self, verb: str, summary: str, **rest: Any) -> dict[str, Any]:
        return {"tags": [self._tag], "operationId": f"{verb}{self._suffix}", "summary": summary, **rest}

    def _type(self, searched: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "get": self._operation(
                "search",
                f"Search {self._name}",
                parameters=searched,
                responses=answers(self._found, 400, 404),
            ),
            "post": self._operation(
                "create",
                f"Create {self._name}",
                parameters=[parameter("If-None-Exist"), parameter("Prefer"), parameter("X-FHIR-Validation")],
                requestBody=self._body,
                responses={
                    "201": created(self._stored),
                    **answers(self._stored, 400, 404, 412, 413, 415, 422),
                },
            ),
        }

    def _conditional(self, searched: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "put": self._operation(
                "conditionalUpdate",
                f"Update the one {self._name} that matches, or create it",
                description=_ONE_MATCH,
                parameters=[*self._search, parameter("If-Match"), parameter("Prefer"), parameter("X-FHIR-Validation")],
                requestBody=self._body,
                responses={
                    "201": created(self._stored),
                    **answers(self._stored, 400, 404, 412, 413, 415, 422),
                },
            ),
            "delete": self._operation(
                "conditionalDelete",
                f"Delete the one {self._name} that matches",
                description=_ONE_MATCH,
                parameters=[*self._search, parameter("Prefer")],
                responses={"204": {"description": "Deleted, or nothing matched"}, **refusals(400, 404, 412)},
            ),
        }

    def _search_by_post(self) -> dict[str, Any]:
        fields = {
            described["name"]: {**described["schema"], "description": described["description"]}
            for described in self._search
        }
        form = {"application/x-www-form-urlencoded": {"schema": {"type": "object", "properties": fields}}}
        return {
            "post": self._operation(
                "searchByPost",
                f"Search {self._name} with the parameters in the body",
                requestBody={"content": form},
                responses=answers(self._found, 400, 404, 415),
            )
        }

    def _versions(self, verb: str, summary: str) -> dict[str, Any]:
        return {
            "get": self._operation(
                verb,
                summary,
                parameters=[parameter(name) for name in ("_count", "_since", "_at")],
                responses=answers(self._history, 400, 404),
            )
        }

    def _instance(self) -> dict[str, Any]:
        return {
            "get": self._operation(
                "read",
                f"Read {self._name}",
                parameters=[parameter("If-None-Match"), parameter("If-Modified-Since")],
                responses={
                    **answers(self._stored, 400, 404, 410),
                    "304": {"description": "The version that the client has is the current one"},
                },
            ),
            "put": self._operation(
                "update",
                f"Update {self._name}, or create it under this id",
                parameters=[*map(parameter, ("If-Match", "If-None-Match", "Prefer", "X-FHIR-Validation"))],
                requestBody=self._body,
                responses={
                    "201": created(self._stored),
                    **answers(self._stored, 400, 404, 409, 412, 413, 415, 422),
                },
            ),
            "delete": self._operation(
                "delete",
                f"Delete {self._name}",
                parameters=[parameter("If-Match"), parameter("Prefer")],
                responses={"204": {"description": "Deleted"}, **refusals(400, 404, 409, 412)},
            ),
        }


def _search_parameters(definitions: Definitions, resource_type: str | None) -> list[dict[str, Any]]:
    """The search parameters of a type as query parameters; those of every type if it is None."""
    return [
        {
            "name": known.code,
            "in": "query",
            "description": f"{documentation(known.description, known.base)} ({known.type}: "
            f"{_FORMS.get(known.type, known.type)})",
            "schema": {"type": "string"},
        }
        for known in searchable(definitions, resource_type or "Basic").values()
        if known.expression is not None and (resource_type is not None or known.code.startswith("_"))
    ]


def _bundle_of(resource: dict[str, Any], kind: str) -> dict[str, Any]:
    """An example of a Bundle with one entry."""
    base = "http://localhost:8000/fhir"
    address = f"{resource['resourceType']}/{resource['id']}"
    rest: dict[str, Any] = {"search": {"mode": "match"}}
    if kind == "history":
        rest = {
            "request": {"method": "PUT", "url": address},
            "response": {"status": "201", "etag": 'W/"1"', "lastModified": resource["meta"]["lastUpdated"]},
        }
    return {
        "resourceType": "Bundle",
        "type": kind,
        "link": [{"relation": "self", "url": f"{base}/{resource['resourceType']}"}],
        "entry": [{"fullUrl": f"{base}/{address}", "resource": resource, **rest}],
    }
