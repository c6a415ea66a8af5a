"""The answer to a search, wherever it is asked; and the addresses of searches in compartments.

https://hl7.org/fhir/R4/http.html#search and https://hl7.org/fhir/R4/compartmentdefinition.html
"""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fhirserver.interactions.search import search
from fhirserver.web.bodies import form_body
from fhirserver.web.dependencies import BASE_PATH, call_of, web_of
from fhirserver.web.parameters import Parameters, parameters_of
from fhirserver.web.preferences import preferences
from fhirserver.web.responses import bundle_response
from fhirserver.web.routing import route
from fhirserver.web.scope import header


def routes() -> list[Route]:
    """The routes of compartments: `Patient/1/Observation`, `Patient/1/*`."""
    address = BASE_PATH + "/{compartment:name}/{id:name}/{type:name}"
    return [
        route(address + "/_search", POST=("search-compartment", post_in_compartment)),
        route(address, GET=("search-compartment", get_in_compartment)),
    ]


async def get_in_compartment(request: Request) -> Response:
    """Search in a compartment by GET."""
    return await _in_compartment(request, parameters_of(request.scope))


async def post_in_compartment(request: Request) -> Response:
    """Search in a compartment by POST."""
    return await _in_compartment(request, parameters_of(request.scope, await form_body(request)))


async def _in_compartment(request: Request, params: Parameters) -> Response:
    path = request.path_params
    resource_type = "" if path["type"] == "*" else path["type"]
    return await search_response(request, params, resource_type, (path["compartment"], path["id"]))


async def search_response(
    request: Request, params: Parameters, resource_type: str, compartment: tuple[str, str] | None = None
) -> Response:
    """A page of matches. `resource_type` is empty for several types, `compartment` is its type and id."""
    lenient = preferences(header(request.scope, b"prefer")).lenient
    bundle = await search(web_of(request).server, call_of(request), resource_type, params.items, lenient, compartment)
    return bundle_response(bundle, params.media_type, params.pretty)
