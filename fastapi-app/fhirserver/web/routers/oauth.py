"""`/auth/token`: where apps and systems get tokens (RFC 6749 3.2)."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fhirserver.fhir.resource_json import serialize
from fhirserver.web.dependencies import AUTH_PATH, access_of, addresses_of
from fhirserver.web.responses import json_response
from fhirserver.web.routers.auth import form_of
from fhirserver.web.routing import route
from fhirserver.web.scope import header


def routes() -> list[Route]:
    """The routes of this file."""
    return [route(f"{AUTH_PATH}/token", POST=("token", token))]


async def token(request: Request) -> Response:
    """Tokens for a code, a refresh token, or a system itself."""
    oauth, addresses, form = access_of(request).oauth, addresses_of(request), await form_of(request)
    authorization = header(request.scope, b"authorization")
    client = await oauth.client_authentication.client(form, authorization, addresses.of("token"))
    answer = await oauth.tokens.answer(form, client, addresses)
    return json_response(200, serialize(answer), [(b"pragma", b"no-cache")], "application/json")
