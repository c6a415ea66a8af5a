"""`/fhir/[type]/[id]`: read, vread, update, delete, history of one resource.

https://hl7.org/fhir/R4/http.html
"""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fhirserver.interactions.delete import delete
from fhirserver.interactions.history import history
from fhirserver.interactions.read import read
from fhirserver.interactions.update import update
from fhirserver.interactions.vread import vread
from fhirserver.web.bodies import resource_body
from fhirserver.web.dependencies import BASE_PATH, call_of, web_of
from fhirserver.web.parameters import parameters_of
from fhirserver.web.preferences import preferences
from fhirserver.web.responses import (
    bundle_response,
    deleted_response,
    not_modified,
    resource_response,
    written_response,
)
from fhirserver.web.routing import route
from fhirserver.web.scope import header


def routes() -> list[Route]:
    """The routes of this file."""
    address = BASE_PATH + "/{type:name}/{id:name}"
    return [
        route(address, GET=("read", get_resource), PUT=("update", put), DELETE=("delete", remove)),
        route(address + "/_history", GET=("history-instance", get_history)),
        route(address + "/_history/{vid}", GET=("vread", get_version)),
    ]


async def get_resource(request: Request) -> Response:
    """Read."""
    params = parameters_of(request.scope)
    path = request.path_params
    stored = await read(web_of(request).server, call_of(request), path["type"], path["id"])
    return not_modified(request.scope, stored) or resource_response(stored, params.media_type, params.pretty)


async def get_version(request: Request) -> Response:
    """Vread."""
    params = parameters_of(request.scope)
    path = request.path_params
    stored = await vread(web_of(request).server, call_of(request), path["type"], path["id"], path["vid"])
    return not_modified(request.scope, stored) or resource_response(stored, params.media_type, params.pretty)


async def put(request: Request) -> Response:
    """Update, and create under an id of the client."""
    params = parameters_of(request.scope)
    scope, path, call = request.scope, request.path_params, call_of(request)
    written = await update(
        web_of(request).server,
        call,
        path["type"],
        path["id"],
        await resource_body(request),
        if_match=header(scope, b"if-match"),
        if_none_match=header(scope, b"if-none-match"),
    )
    returned = preferences(header(scope, b"prefer")).returned
    return written_response(written, call.base_url, returned, params.media_type, params.pretty)


async def remove(request: Request) -> Response:
    """Delete."""
    params = parameters_of(request.scope)
    scope, path = request.scope, request.path_params
    stored = await delete(
        web_of(request).server, call_of(request), path["type"], path["id"], header(scope, b"if-match")
    )
    returned = preferences(header(scope, b"prefer")).returned
    return deleted_response(stored, returned, params.media_type, params.pretty)


async def get_history(request: Request) -> Response:
    """History of a resource."""
    params = parameters_of(request.scope)
    path = request.path_params
    bundle = await history(web_of(request).server, call_of(request), path["type"], path["id"], params.items)
    return bundle_response(bundle, params.media_type, params.pretty)
