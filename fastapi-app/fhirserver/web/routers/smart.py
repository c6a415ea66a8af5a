"""`/.well-known/…`: where apps learn how to get tokens, below the FHIR base and at the root. For pages of everybody."""

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fhirserver.access.oauth.addresses import Addresses
from fhirserver.conformance.smart import openid_configuration, smart_configuration
from fhirserver.fhir.resource_json import serialize
from fhirserver.web.dependencies import BASE_PATH, access_of, addresses_of
from fhirserver.web.responses import Header, json_response
from fhirserver.web.routing import Handler, route

_FOR_EVERYBODY: list[Header] = [(b"access-control-allow-origin", b"*")]


def routes() -> list[Route]:
    """The routes of this file."""
    smart, openid = _told(smart_configuration), _told(openid_configuration)
    return [
        route(f"{BASE_PATH}/.well-known/smart-configuration", GET=("smart-configuration", smart)),
        route("/.well-known/smart-configuration", GET=("smart-configuration", smart)),
        route("/.well-known/openid-configuration", GET=("openid-configuration", openid)),
        route("/.well-known/jwks.json", GET=("jwks", _jwks)),
    ]


def _told(configuration: Callable[[Addresses], dict[str, Any]]) -> Handler:
    async def tell(request: Request) -> Response:
        body = serialize(configuration(addresses_of(request)))
        return json_response(200, body, _FOR_EVERYBODY, "application/json")

    return tell


async def _jwks(request: Request) -> Response:
    """The public keys that verify the tokens of this server."""
    headers = [*_FOR_EVERYBODY, (b"cache-control", b"public, max-age=60")]
    return json_response(200, serialize(access_of(request).keys.jwks()), headers, "application/json")
