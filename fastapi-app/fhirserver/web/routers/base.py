"""`/fhir`: batch and transaction, history of everything.

https://hl7.org/fhir/R4/http.html#transaction and #history
"""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fhirserver.bundles.process import process_bundle
from fhirserver.fhir.outcomes import NotFound
from fhirserver.interactions.history import history
from fhirserver.web.bodies import form_body, resource_body
from fhirserver.web.dependencies import BASE_PATH, call_of, web_of
from fhirserver.web.parameters import parameters_of
from fhirserver.web.preferences import preferences
from fhirserver.web.responses import bundle_response
from fhirserver.web.routers.searching import search_response
from fhirserver.web.routing import route
from fhirserver.web.scope import JSON_BODY, header


def routes() -> list[Route]:
    """The routes of this file."""
    methods = {"GET": ("search-system", get_matches), "POST": ("bundle", post_bundle)}
    return [
        route(BASE_PATH, **methods),
        route(BASE_PATH + "/", **methods),
        route(BASE_PATH + "/_history", GET=("history-system", get_history)),
        route(BASE_PATH + "/_search", POST=("search-system", post_search)),
    ]


def fallback() -> list[Route]:
    """What answers on all addresses below the base that nothing else has. It comes last."""
    return [
        route(
            BASE_PATH + "/{rest:path}",
            **dict.fromkeys(("GET", "POST", "PUT", "PATCH", "DELETE"), ("unknown", nothing)),
        )
    ]


async def post_bundle(request: Request) -> Response:
    """Batch or transaction."""
    params = parameters_of(request.scope)
    returned = preferences(header(request.scope, b"prefer")).returned or "minimal"
    bundle = await resource_body(request)
    text = request.scope.get(JSON_BODY)
    answer = await process_bundle(web_of(request).server, call_of(request), bundle, returned, text=text)
    return bundle_response(answer, params.media_type, params.pretty)


async def get_history(request: Request) -> Response:
    """History of everything."""
    params = parameters_of(request.scope)
    bundle = await history(web_of(request).server, call_of(request), None, None, params.items)
    return bundle_response(bundle, params.media_type, params.pretty)


async def get_matches(request: Request) -> Response:
    """Search over several types by GET."""
    return await search_response(request, parameters_of(request.scope), "")


async def post_search(request: Request) -> Response:
    """Search over several types by POST: the parameters of the URL and those of the form in the body."""
    return await search_response(request, parameters_of(request.scope, await form_body(request)), "")


async def nothing(request: Request) -> Response:
    """Answer that there is nothing here."""
    raise NotFound(f"there is no address {request.scope['path'][:200]}")
