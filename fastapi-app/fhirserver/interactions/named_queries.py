"""`_query`: searches that are stored under a name, as OperationDefinitions of kind query.

https://hl7.org/fhir/R4/search.html#query. What is searched for stands in the extension `cqf-expression` of the
OperationDefinition, in the language application/x-fhir-query: `birthdate=le{{%born}}&gender=female`, where `{{%born}}`
is the value of its parameter `born`. Other parameters of the search are joined by AND, as always.
"""

import re
from collections.abc import Sequence
from typing import Any

from fhirserver.fhir.outcomes import InvalidRequest
from fhirserver.fhir.resource_json import parse
from fhirserver.interactions.context import Call, Server
from fhirserver.interactions.permission import visible
from fhirserver.search.query.parameters import query_parameters
from fhirserver.search.query.parse import parse_query

EXPRESSION = "http://hl7.org/fhir/StructureDefinition/cqf-expression"
LANGUAGE = "application/x-fhir-query"

_VARIABLE = re.compile(r"\{\{\s*%([A-Za-z0-9_-]+)\s*\}\}")
_ESCAPED = re.compile(r"([\\,$|])")
_ENOUGH = 2

Params = Sequence[tuple[str, str]]


async def with_named_query(server: Server, call: Call, resource_type: str, params: Params) -> Params:
    """The parameters with those of the query that `_query` names, in the place of that and of its parameters.

    Raises `InvalidRequest` for a query that is not known for this type, and for a parameter that it lacks.
    """
    names = [value for name, value in params if name == "_query"]
    if not names:
        return params
    if len(names) > 1:
        raise InvalidRequest("_query can be given once", code="value", expression="_query")
    definition = await _definition(server, call, resource_type, names[0])
    inputs = {item["name"]: item.get("min", 0) for item in definition.get("parameter", ()) if item.get("use") == "in"}
    given = {name: value for name, value in params if name in inputs}
    for name, least in inputs.items():
        if least and name not in given:
            raise InvalidRequest(f"_query={names[0]} needs the parameter '{name}'", code="required", expression=name)
    rest = [(name, value) for name, value in params if name != "_query" and name not in inputs]
    return [*rest, *_filled(_expression(definition, names[0]), given)]


async def _definition(server: Server, call: Call, resource_type: str, name: str) -> dict[str, Any]:
    escaped = _ESCAPED.sub(r"\\\1", name)
    search = parse_query(
        [("code", escaped), ("kind", "query"), ("status", "active"), ("_count", str(_ENOUGH))],
        "OperationDefinition",
        server.definitions,
        server.zone,
        call.base_url,
        lenient=False,
        now=server.clock(),
    )
    found = [parse(version.live) for version in (await server.store.search(visible(server, call, search))).matches]
    fitting = [item for item in found if item.get("code") == name and _is_for(item, resource_type)]
    if not fitting:
        where = resource_type or "the system"
        raise InvalidRequest(f"there is no query '{name[:80]}' for {where}", code="not-found", expression="_query")
    return fitting[0]


def _is_for(definition: dict[str, Any], resource_type: str) -> bool:
    if not resource_type:
        return bool(definition.get("system"))
    return bool(definition.get("type")) and resource_type in definition.get("resource", ())


def _expression(definition: dict[str, Any], name: str) -> str:
    for extension in definition.get("extension", ()):
        value = extension.get("valueExpression", {})
        if extension.get("url") == EXPRESSION and value.get("language") == LANGUAGE and "expression" in value:
            return str(value["expression"])
    raise InvalidRequest(
        f"OperationDefinition/{definition['id']} of the query '{name[:80]}' has no expression in {LANGUAGE}",
        code="not-supported",
        expression="_query",
    )


def _filled(expression: str, given: dict[str, str]) -> Params:
    """The criteria of the expression with the values of the parameters; a criterion that lacks one is left out."""
    filled = []
    for name, value in query_parameters(expression.partition("?")[2] or expression):
        if all(variable in given for variable in _VARIABLE.findall(value)):
            filled.append((name, _VARIABLE.sub(lambda match: _ESCAPED.sub(r"\\\1", given[match[1]]), value)))
    return filled
