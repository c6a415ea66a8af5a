"""`/auth/users`, `/auth/roles` for administrators; `/auth/api-keys` for everybody's own."""

from datetime import timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fhirserver.access.administration import Administration
from fhirserver.access.errors import forbidden, invalid_request
from fhirserver.access.store import ApiKey, Role
from fhirserver.web.dependencies import AUTH_PATH, access_of, identified_of, trail_of
from fhirserver.web.responses import RawResponse
from fhirserver.web.routers.auth import Body, answer, body_of, described
from fhirserver.web.routing import route

_PAGE = 100


class Invitation(Body):
    username: str
    email: str
    full_name: str
    roles: list[str]
    fhir_user: str | None = None
    password: str | None = None


class UserChange(Body):
    roles: list[str] | None = None
    disabled: bool | None = None
    fhir_user: str | None = None


class RoleChange(Body):
    scopes: str
    description: str = ""


class NewKey(Body):
    name: str
    scope: str
    expires_in_days: int = 90


def routes() -> list[Route]:
    """The routes of this file."""
    users, roles, keys = f"{AUTH_PATH}/users", f"{AUTH_PATH}/roles", f"{AUTH_PATH}/api-keys"
    return [
        route(users, GET=("users", list_users), POST=("invite", invite)),
        route(users + "/{username}", PATCH=("change-user", change_user)),
        route(users + "/{username}/password", POST=("reset-password", reset_password)),
        route(roles, GET=("roles", list_roles)),
        route(roles + "/{name}", PUT=("save-role", save_role), DELETE=("remove-role", remove_role)),
        route(keys, GET=("api-keys", list_keys), POST=("create-api-key", create_key)),
        route(keys + "/{id}", DELETE=("revoke-api-key", revoke_key)),
    ]


def administration_of(request: Request) -> Administration:
    """What administrators do; `forbidden` for others."""
    if not identified_of(request).is_admin:
        raise forbidden("only administrators may do this")
    return access_of(request).administration


async def list_users(request: Request) -> Response:
    """A page of users, in the order of their usernames; `after` is the last one of the page before."""
    after = request.query_params.get("after", "")
    if not after.isascii() or not after.isprintable():
        raise invalid_request("after is a username")
    users = await administration_of(request).users(after, _PAGE)
    following = users[-1].username if len(users) == _PAGE else None
    return answer({"users": [described(user) for user in users], "next": following})


async def invite(request: Request) -> Response:
    """A new user; a password is made for them, and told only now, unless one is given."""
    administration = administration_of(request)
    given = await body_of(request, Invitation)
    trail_of(request).about(given.username)
    user, generated = await administration.add_user(
        given.username, given.email, given.full_name, given.roles, given.fhir_user, given.password
    )
    shown = described(user) | ({"password": generated} if generated is not None else {})
    return answer(shown, 201)


async def change_user(request: Request) -> Response:
    """Other roles, disabled or enabled, another resource that stands for the user."""
    administration = administration_of(request)
    given = await body_of(request, UserChange)
    user = await administration.change_user(_name(request), given.roles, given.disabled, given.fhir_user)
    return answer(described(user))


async def reset_password(request: Request) -> Response:
    """A new password, told only now."""
    return answer({"password": await administration_of(request).reset_password(_name(request))})


async def list_roles(request: Request) -> Response:
    """All roles with their scopes."""
    roles = await administration_of(request).roles()
    return answer({"roles": [{"name": r.name, "scopes": r.scopes, "description": r.description} for r in roles]})


async def save_role(request: Request) -> Response:
    """Add or replace a role."""
    administration = administration_of(request)
    given = await body_of(request, RoleChange)
    await administration.save_role(Role(request.path_params["name"], given.scopes, given.description))
    return RawResponse(204, b"", [])


async def remove_role(request: Request) -> Response:
    """Remove a role that nobody has."""
    administration = administration_of(request)
    await administration.remove_role(_plain(request.path_params["name"]))
    return RawResponse(204, b"", [])


async def list_keys(request: Request) -> Response:
    """The caller's keys; of the keys themselves nothing is known."""
    keys = await access_of(request).administration.api_keys(identified_of(request))
    return answer({"api_keys": [_key(key) for key in keys]})


async def create_key(request: Request) -> Response:
    """A new key, told only now."""
    given = await body_of(request, NewKey)
    key, secret = await access_of(request).administration.add_api_key(
        identified_of(request), given.name, given.scope, timedelta(days=min(max(given.expires_in_days, 0), 10_000))
    )
    trail_of(request).about(key.id)
    return answer(_key(key) | {"api_key": secret}, 201)


async def revoke_key(request: Request) -> Response:
    """End a key."""
    await access_of(request).administration.revoke_api_key(identified_of(request), _plain(request.path_params["id"]))
    return RawResponse(204, b"", [])


def _key(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "scope": key.scope,
        "created": key.created.isoformat(),
        "expires": key.expires.isoformat(),
        "revoked": key.revoked,
    }


def _name(request: Request) -> str:
    return _plain(request.path_params["username"])


def _plain(text: str) -> str:
    """A part of the path that a database can be asked for."""
    return text if text.isascii() and text.isprintable() else ""
