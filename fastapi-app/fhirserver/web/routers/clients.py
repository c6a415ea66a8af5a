"""`/auth/clients`: apps and systems, registered by administrators in the words of RFC 7591."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fhirserver.access.errors import forbidden
from fhirserver.access.oauth.clients import Clients
from fhirserver.access.oauth.store import Client
from fhirserver.web.dependencies import AUTH_PATH, access_of, identified_of
from fhirserver.web.routers.auth import Body, answer, body_of
from fhirserver.web.routing import route

_PAGE = 100


class NewClient(Body):
    client_name: str
    scope: str
    token_endpoint_auth_method: str = "none"  # noqa: S105
    redirect_uris: list[str] = []
    jwks: dict[str, Any] | None = None
    jwks_uri: str | None = None


class ClientChange(Body):
    client_name: str | None = None
    scope: str | None = None
    redirect_uris: list[str] | None = None
    jwks: dict[str, Any] | None = None
    jwks_uri: str | None = None
    disabled: bool | None = None


def routes() -> list[Route]:
    """The routes of this file."""
    clients = f"{AUTH_PATH}/clients"
    return [
        route(clients, GET=("clients", list_clients), POST=("register-client", register)),
        route(clients + "/{id}", GET=("client", get), PATCH=("change-client", change)),
        route(clients + "/{id}/secret", POST=("reset-secret", reset_secret)),
    ]


def _clients_of(request: Request) -> Clients:
    if not identified_of(request).is_admin:
        raise forbidden("only administrators may do this")
    return access_of(request).oauth.clients


async def list_clients(request: Request) -> Response:
    """A page of clients, in the order of their ids; `after` is the last one of the page before."""
    after = request.query_params.get("after", "")
    found = await _clients_of(request).page(after if after.isascii() and after.isprintable() else "", _PAGE)
    following = found[-1].id if len(found) == _PAGE else None
    return answer({"clients": [_described(client) for client in found], "next": following})


async def register(request: Request) -> Response:
    """A new client; its secret is told only now."""
    clients = _clients_of(request)
    given = await body_of(request, NewClient)
    client, secret = await clients.add(
        given.client_name,
        given.token_endpoint_auth_method,
        given.scope,
        given.redirect_uris,
        given.jwks,
        given.jwks_uri,
    )
    told = {"client_secret": secret, "client_secret_expires_at": 0} if secret is not None else {}
    return answer(_described(client) | told, 201)


async def get(request: Request) -> Response:
    """One client."""
    return answer(_described(await _clients_of(request).one(request.path_params["id"])))


async def change(request: Request) -> Response:
    """Another name, scope, address or key; disabled or enabled."""
    clients = _clients_of(request)
    given = await body_of(request, ClientChange)
    changed = await clients.change(
        request.path_params["id"],
        name=given.client_name,
        scope=given.scope,
        redirect_uris=tuple(given.redirect_uris) if given.redirect_uris is not None else None,
        jwks=given.jwks,
        jwks_uri=given.jwks_uri,
        disabled=given.disabled,
    )
    return answer(_described(changed))


async def reset_secret(request: Request) -> Response:
    """A new secret, told only now."""
    return answer({"client_secret": await _clients_of(request).new_secret(request.path_params["id"])})


def _described(client: Client) -> dict[str, Any]:
    described = {
        "client_id": client.id,
        "client_name": client.name,
        "client_id_issued_at": int(client.created.timestamp()),
        "token_endpoint_auth_method": client.method,
        "redirect_uris": list(client.redirect_uris),
        "scope": client.scope,
        "jwks": client.jwks,
        "jwks_uri": client.jwks_uri,
        "disabled": client.disabled,
    }
    return {name: value for name, value in described.items() if value is not None}
