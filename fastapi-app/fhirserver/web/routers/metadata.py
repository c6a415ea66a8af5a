"""`/fhir/metadata`: what this server can do.

https://hl7.org/fhir/R4/http.html#capabilities
"""

from functools import lru_cache

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fhirserver.conformance.capabilities import capability_statement
from fhirserver.conformance.smart import security
from fhirserver.conformance.terminology import terminology_capabilities
from fhirserver.fhir.definitions import Definitions
from fhirserver.fhir.outcomes import InvalidRequest
from fhirserver.fhir.profiles.structures import Structures
from fhirserver.interactions.context import Server
from fhirserver.interactions.versions import instant
from fhirserver.web.dependencies import BASE_PATH, addresses_of, base_url_of, web_of
from fhirserver.web.negotiation import FHIR_JSON
from fhirserver.web.parameters import parameters_of
from fhirserver.web.responses import bundle_response
from fhirserver.web.routing import route

# A client can name any host, and a statement is several 100 kB.
_KEPT = 4


def routes(version: str, *, has_cors: bool) -> list[Route]:
    """The routes of this file."""
    # The instant since which this process has these capabilities.
    since: dict[tuple[Definitions, Structures], str] = {}

    def date_of(server: Server) -> str:
        known = server.definitions, server.structures
        if known not in since:
            since.clear()
            since[known] = instant(server.clock())
        return since[known]

    statement = lru_cache(maxsize=_KEPT)(
        lambda definitions, structures, base_url, date, addresses: capability_statement(
            definitions,
            structures,
            base_url,
            version,
            date,
            security(addresses, has_cors=has_cors) if addresses else None,
        )
    )

    async def get_capabilities(request: Request) -> Response:
        params = parameters_of(request.scope)
        mode = dict(params.items).get("mode", "full")
        base_url = base_url_of(request)
        server = web_of(request).server
        if mode == "terminology":
            known = await server.terminology.code_systems()
            body = terminology_capabilities(server.definitions, known, base_url, version, date_of(server))
        elif mode in ("full", "normative"):
            addresses = addresses_of(request) if web_of(request).access is not None else None
            body = statement(server.definitions, server.structures, base_url, date_of(server), addresses)
        else:
            raise InvalidRequest(f"mode is full, normative or terminology, not '{mode[:80]}'", code="value")
        return bundle_response(body, params.media_type or FHIR_JSON, params.pretty)

    return [route(BASE_PATH + "/metadata", GET=("capabilities", get_capabilities))]
