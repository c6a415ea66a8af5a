"""Who is asking: found out before anything else of a request is looked at.

Below the FHIR base nobody is answered without credentials, except for the CapabilityStatement. At `/auth` the addresses
that need none are listed; what they are sent with is not looked at.
"""

from collections.abc import Callable
from ipaddress import IPv6Address, ip_address

from starlette.types import ASGIApp, Receive, Scope, Send

from fhirserver.access.service import Access
from fhirserver.fhir.outcomes import FhirError, NotAuthenticated, TooManyRequests
from fhirserver.web.dependencies import AUTH_PATH, BASE_PATH, trail_in
from fhirserver.web.errors import refusal
from fhirserver.web.scope import IDENTIFIED, request_headers

_OPEN_BELOW_BASE = frozenset((f"{BASE_PATH}/metadata", f"{BASE_PATH}/.well-known/smart-configuration"))
_OPEN_AT_AUTH = frozenset(
    f"{AUTH_PATH}/{name}" for name in ("login", "register", "refresh", "authorize", "token", "introspect", "revoke")
)


class AuthenticationGate:
    """Leaves the `Identified` in the scope, or refuses: 401, or 429 for who asks too often."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self.app = app
        self.access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            try:
                await self._admit(scope)
            except FhirError as error:
                await refusal(scope, error)(scope, receive, send)
                return
        await self.app(scope, receive, send)

    async def _admit(self, scope: Scope) -> None:
        path: str = scope["path"]
        at_auth = path.startswith(AUTH_PATH + "/")
        if not at_auth and not (path.startswith(BASE_PATH) and path not in _OPEN_BELOW_BASE):
            return
        limits = self.access.limits
        if at_auth:
            _require(limits.at_auth.wait, client_address(scope))
        if path in _OPEN_AT_AUTH:
            return
        credential = credential_of(scope)
        identified = self.access.authentication.remembered(credential)
        if identified is None:
            _require(limits.by_address.wait, client_address(scope))
            identified = await self.access.authentication.identify(credential)
        _require(limits.by_caller.wait, identified.caller.id)
        scope[IDENTIFIED] = identified
        trail_in(scope).identified(identified.caller)


def credential_of(scope: Scope) -> str:
    """`Bearer <token>` or `Key <key>`. `NotAuthenticated` without either, and for both at once."""
    headers = request_headers(scope)
    authorization, key = headers.get(b"authorization"), headers.get(b"x-api-key")
    if authorization is None and key is None:
        raise NotAuthenticated("this needs an access token (Authorization: Bearer …) or an API key (X-API-Key)")
    if authorization is not None and key is not None:
        raise NotAuthenticated("send either Authorization or X-API-Key")
    if key is not None:
        return f"Key {key.decode('latin-1').strip()}"
    kind, _, token = authorization.decode("latin-1").partition(" ") if authorization is not None else ("", "", "")
    if kind.lower() != "bearer" or not token.strip():
        raise NotAuthenticated("the header Authorization has to be: Bearer <access token>")
    return f"Bearer {token.strip()}"


def client_address(scope: Scope) -> str:
    """Where the request comes from; of IPv6 the network, as each client has one."""
    host = (scope.get("client") or ("", 0))[0]
    try:
        address = ip_address(host)
    except ValueError:
        return str(host)
    if isinstance(address, IPv6Address):
        mapped = address.ipv4_mapped
        return str(mapped) if mapped is not None else f"{IPv6Address(int(address) >> 64 << 64)}/64"
    return host


def _require(wait: Callable[[str], int], subject: str) -> None:
    seconds = wait(subject)
    if seconds:
        raise TooManyRequests("too many requests", seconds)
