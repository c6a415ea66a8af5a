"""`$operation` on the system, a type, or a resource.

https://hl7.org/fhir/R4/operations.html
"""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fhirserver.operations.answer import Accepted
from fhirserver.operations.registry import invoke
from fhirserver.web.bodies import resource_body
from fhirserver.web.dependencies import BASE_PATH, call_of, web_of
from fhirserver.web.parameters import parameters_of
from fhirserver.web.responses import accepted_response, bundle_response
from fhirserver.web.routing import route
from fhirserver.web.scope import JSON_BODY


def routes() -> list[Route]:
    """The routes of this file."""
    methods = {"GET": ("operation", run), "POST": ("operation", run)}
    return [
        route(BASE_PATH + "/{operation:operation}", **methods),
        route(BASE_PATH + "/{type:name}/{operation:operation}", **methods),
        route(BASE_PATH + "/{type:name}/{id:name}/{operation:operation}", **methods),
    ]


async def run(request: Request) -> Response:
    """Carry out the operation."""
    params = parameters_of(request.scope)
    path = request.path_params
    is_get = request.scope["method"] in ("GET", "HEAD")
    body: dict[str, Any] | None = None
    if not is_get and await request.body():
        body = await resource_body(request)
    answer = await invoke(
        web_of(request).server,
        call_of(request),
        path["operation"].removeprefix("$"),
        path.get("type"),
        path.get("id"),
        params.items,
        body,
        is_get=is_get,
        text=request.scope.get(JSON_BODY),
    )
    if isinstance(answer, Accepted):
        return accepted_response(answer, params.media_type, params.pretty)
    return bundle_response(answer, params.media_type, params.pretty)
