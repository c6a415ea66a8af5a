"""`/auth`: register, sign in and out, refresh, oneself, the password.

Errors are those of OAuth 2: `{"error": …, "error_description": …}`.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fhirserver.access.accounts import Tokens
from fhirserver.access.authentication import Identified
from fhirserver.access.errors import AccessError, invalid_request
from fhirserver.access.service import Access
from fhirserver.access.store import User
from fhirserver.fhir.outcomes import FhirError
from fhirserver.fhir.resource_json import serialize
from fhirserver.search.query.parameters import query_parameters
from fhirserver.web.dependencies import AUTH_PATH, access_of, identified_of, trail_of
from fhirserver.web.middleware.authentication import client_address
from fhirserver.web.responses import RawResponse, json_response
from fhirserver.web.routing import route
from fhirserver.web.scope import header

M = TypeVar("M", bound=BaseModel)


class Body(BaseModel):
    """A JSON body. What it has beside what is expected is refused: it would look as if it had an effect."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Registration(Body):
    username: str
    email: str
    password: str
    full_name: str
    role: str


class PasswordChange(Body):
    current_password: str
    new_password: str


class Refreshing(Body):
    refresh_token: str


def routes() -> list[Route]:
    """The routes of this file."""
    return [
        route(f"{AUTH_PATH}/register", POST=("register", register)),
        route(f"{AUTH_PATH}/login", POST=("login", login)),
        route(f"{AUTH_PATH}/refresh", POST=("refresh", refresh)),
        route(f"{AUTH_PATH}/logout", POST=("logout", logout)),
        route(f"{AUTH_PATH}/me", GET=("me", me)),
        route(f"{AUTH_PATH}/password", POST=("password", change_password)),
    ]


async def register(request: Request) -> Response:
    """A new user."""
    given = await body_of(request, Registration)
    trail_of(request).about(given.username)
    user = await access_of(request).accounts.register(
        given.username, given.email, given.full_name, given.password, given.role
    )
    return answer(described(user), 201)


async def login(request: Request) -> Response:
    """Tokens for a username and a password, as the form that OAuth 2 clients send (RFC 6749 4.3.2)."""
    form = await form_of(request)
    if form.get("grant_type", "password") != "password":
        raise invalid_request("grant_type is password here")
    if "username" not in form or "password" not in form:
        raise invalid_request("username and password are needed")
    address, accounts = client_address(request.scope), access_of(request).accounts
    async with noting_who(request, form["username"]):
        return _tokens(await accounts.login(form["username"], form["password"], form.get("scope"), address))


@asynccontextmanager
async def noting_who(request: Request, username: str) -> AsyncIterator[None]:
    """Within it, a user signs in: the audit log is to know who, whether it works or not.

    What is no name of an account may be a password: it is not kept.
    """
    try:
        yield
    except AccessError:
        if await access_of(request).accounts.is_known(username):
            trail_of(request).signing_in(username.strip().lower())
        raise
    trail_of(request).signing_in(username.strip().lower())


async def refresh(request: Request) -> Response:
    """New tokens for a refresh token, as a form or as JSON."""
    if (header(request.scope, b"content-type") or "").startswith("application/json"):
        token = (await body_of(request, Refreshing)).refresh_token
    else:
        form = await form_of(request)
        if form.get("grant_type", "refresh_token") != "refresh_token":
            raise invalid_request("grant_type is refresh_token here")
        token = form.get("refresh_token", "")
    return _tokens(await access_of(request).accounts.refresh(token))


async def logout(request: Request) -> Response:
    """The end of the sign-in, on all processes."""
    await access_of(request).accounts.logout(identified_of(request))
    return RawResponse(204, b"", [])


async def me(request: Request) -> Response:
    """Who the caller is, and what for."""
    return answer(_myself(access_of(request), identified_of(request)))


async def change_password(request: Request) -> Response:
    """Another password."""
    given = await body_of(request, PasswordChange)
    address = client_address(request.scope)
    accounts = access_of(request).accounts
    await accounts.change_password(identified_of(request), given.current_password, given.new_password, address)
    return RawResponse(204, b"", [])


def described(user: User) -> dict[str, Any]:
    """What is shown of a user."""
    return {
        "id": user.id,
        "username": user.username,
        "email": user.email,
        "full_name": user.full_name,
        "roles": list(user.roles),
        "fhir_user": user.fhir_user,
        "disabled": user.disabled,
        "created": user.created.isoformat(),
    }


def _myself(access: Access, identified: Identified) -> dict[str, Any]:
    caller = identified.caller
    own = {"id": caller.id, "username": caller.name}
    if identified.user is not None and caller.app is None:  # what apps learn of their user is in the id_token
        own = described(identified.user)
    return {
        **own,
        "roles": list(caller.roles),
        "patient": caller.patient,
        "scopes": [" ".join(map(str, scopes)) for scopes in caller.grants],
        "is_admin": identified.is_admin,
        "app": caller.app.client_id if caller.app is not None else None,
    }


def answer(content: Any, status: int = 200) -> Response:
    """JSON."""
    return json_response(status, serialize(content), None, "application/json")


async def body_of(request: Request, model: type[M]) -> M:
    """The JSON body of a request. `invalid_request` with what is wrong, and nothing of its values."""
    kind = (header(request.scope, b"content-type") or "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise invalid_request("send application/json")
    try:
        return model.model_validate_json(await request.body())
    except ValidationError as error:
        problems = (f"{'.'.join(map(str, one['loc'])) or 'the body'}: {one['msg']}" for one in error.errors())
        raise invalid_request("; ".join(problems)[:500]) from error


async def form_of(request: Request) -> dict[str, str]:
    """The form in the body, each parameter once. `invalid_request`."""
    kind = (header(request.scope, b"content-type") or "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise invalid_request("send application/x-www-form-urlencoded")
    try:
        items = query_parameters((await request.body()).decode())
    except UnicodeDecodeError as error:
        raise invalid_request("the form is not UTF-8") from error
    except FhirError as error:
        if error.status != 400:
            raise
        raise invalid_request(str(error)) from error
    form = dict(items)
    if len(form) != len(items):
        raise invalid_request("a parameter comes more than once")
    return form


def _tokens(tokens: Tokens) -> Response:
    return json_response(200, serialize(tokens.as_json()), [(b"pragma", b"no-cache")], "application/json")
