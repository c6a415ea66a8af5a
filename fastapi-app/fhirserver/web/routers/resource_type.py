"""`/fhir/[type]`: create, search, conditional update and delete, history of a type.

https://hl7.org/fhir/R4/http.html and https://hl7.org/fhir/R4/search.html
"""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fhirserver.interactions.conditional import conditional_delete, conditional_update
from fhirserver.interactions.create import create
from fhirserver.interactions.history import history
from fhirserver.web.bodies import form_body, resource_body
from fhirserver.web.dependencies import BASE_PATH, call_of, web_of
from fhirserver.web.parameters import parameters_of
from fhirserver.web.preferences import preferences
from fhirserver.web.responses import bundle_response, deleted_response, written_response
from fhirserver.web.routers.searching import search_response
from fhirserver.web.routing import route
from fhirserver.web.scope import header


def routes() -> list[Route]:
    """The routes of this file."""
    address = BASE_PATH + "/{type:name}"
    methods = {
        "GET": ("search-type", get_matches),
        "POST": ("create", post),
        "PUT": ("conditional-update", put),
        "DELETE": ("conditional-delete", remove),
    }
    return [
        route(address + "/_search", POST=("search-type", post_search)),
        route(address + "/_history", GET=("history-type", get_history)),
        route(address, **methods),
        route(address + "/", **methods),
    ]


async def post(request: Request) -> Response:
    """Create, unless If-None-Exist matches."""
    params = parameters_of(request.scope)
    scope, call = request.scope, call_of(request)
    written = await create(
        web_of(request).server,
        call,
        request.path_params["type"],
        await resource_body(request),
        if_none_exist=header(scope, b"if-none-exist"),
    )
    returned = preferences(header(scope, b"prefer")).returned
    return written_response(written, call.base_url, returned, params.media_type, params.pretty)


async def put(request: Request) -> Response:
    """Conditional update."""
    params = parameters_of(request.scope)
    scope, call = request.scope, call_of(request)
    written = await conditional_update(
        web_of(request).server,
        call,
        request.path_params["type"],
        params.as_query(),
        await resource_body(request),
        if_match=header(scope, b"if-match"),
    )
    returned = preferences(header(scope, b"prefer")).returned
    return written_response(written, call.base_url, returned, params.media_type, params.pretty)


async def remove(request: Request) -> Response:
    """Conditional delete."""
    params = parameters_of(request.scope)
    stored = await conditional_delete(
        web_of(request).server, call_of(request), request.path_params["type"], params.as_query()
    )
    returned = preferences(header(request.scope, b"prefer")).returned
    return deleted_response(stored, returned, params.media_type, params.pretty)


async def get_matches(request: Request) -> Response:
    """Search by GET."""
    return await search_response(request, parameters_of(request.scope), request.path_params["type"])


async def post_search(request: Request) -> Response:
    """Search by POST: the parameters of the URL and those of the form in the body."""
    params = parameters_of(request.scope, await form_body(request))
    return await search_response(request, params, request.path_params["type"])


async def get_history(request: Request) -> Response:
    """History of a type."""
    params = parameters_of(request.scope)
    bundle = await history(web_of(request).server, call_of(request), request.path_params["type"], None, params.items)
    return bundle_response(bundle, params.media_type, params.pretty)
