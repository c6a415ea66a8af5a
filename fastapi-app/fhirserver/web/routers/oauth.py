"""`/auth/token`, `/auth/introspect`, `/auth/revoke`: where apps and systems get tokens, ask about them, end them.

https://www.rfc-editor.org/rfc/rfc6749#section-3.2
"""

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fhirserver.access.errors import forbidden, invalid_request, unauthorized_client
from fhirserver.fhir.resource_json import serialize
from fhirserver.web.dependencies import AUTH_PATH, access_of, addresses_of
from fhirserver.web.middleware.authentication import credential_of
from fhirserver.web.responses import json_response
from fhirserver.web.routers.auth import answer, form_of
from fhirserver.web.routing import route
from fhirserver.web.scope import header


def routes() -> list[Route]:
    """The routes of this file."""
    return [
        route(f"{AUTH_PATH}/token", POST=("token", token)),
        route(f"{AUTH_PATH}/introspect", POST=("introspect", introspect)),
        route(f"{AUTH_PATH}/revoke", POST=("revoke", revoke)),
    ]


async def token(request: Request) -> Response:
    """Tokens for a code, a refresh token, or a system itself."""
    oauth, addresses, form = access_of(request).oauth, addresses_of(request), await form_of(request)
    authorization = header(request.scope, b"authorization")
    client = await oauth.client_authentication.client(form, authorization, addresses.of("token"))
    given = await oauth.tokens.answer(form, client, addresses)
    return json_response(200, serialize(given), [(b"pragma", b"no-cache")], "application/json")


async def introspect(request: Request) -> Response:
    """What a token is good for, told to clients that prove who they are, to systems and administrators."""
    oauth, addresses, form = access_of(request).oauth, addresses_of(request), await form_of(request)
    authorization = header(request.scope, b"authorization")
    if (authorization or "").lower().startswith("bearer "):
        identified = await access_of(request).authentication.identify(credential_of(request.scope))
        if not identified.is_admin and identified.caller.kind != "client":
            raise forbidden("only systems and administrators may do this")
    else:
        client = await oauth.client_authentication.client(form, authorization, addresses.of("token"))
        if client.method == "none":
            raise unauthorized_client("a client that does not prove who it is may not do this")
    return answer(await oauth.issued.introspected(_token(form), addresses))


async def revoke(request: Request) -> Response:
    """The end of a token of the client that asks, and of what was issued with it."""
    oauth, addresses, form = access_of(request).oauth, addresses_of(request), await form_of(request)
    authorization = header(request.scope, b"authorization")
    client = await oauth.client_authentication.client(form, authorization, addresses.of("token"))
    await oauth.issued.revoke(_token(form), client)
    return answer({})


def _token(form: Mapping[str, str]) -> str:
    if "token" not in form:
        raise invalid_request("token is missing")
    return form["token"]
