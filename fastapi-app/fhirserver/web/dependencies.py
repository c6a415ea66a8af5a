"""What the routes need of the application, and the `Call` that each request becomes."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

from starlette.requests import Request

from fhirserver.access.authentication import Identified
from fhirserver.access.oauth.addresses import Addresses
from fhirserver.access.policy import Unrestricted
from fhirserver.access.purposes import asking_for
from fhirserver.access.service import Access
from fhirserver.audit.trail import NO_TRAIL, Trail
from fhirserver.fhir.outcomes import InvalidRequest, NotAuthenticated
from fhirserver.interactions.context import MODES, Call, Mode, Server
from fhirserver.observability.logging import get_logger
from fhirserver.web.scope import IDENTIFIED, TRAIL, Scope, header, request_id

BASE_PATH = "/fhir"
AUTH_PATH = "/auth"
_HOST = re.compile(r"(?:[A-Za-z0-9._-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?")
_EVERYTHING = Unrestricted()
_log = get_logger("fhirserver.access")


@dataclass(frozen=True, slots=True)
class Web:
    """What the routes work with. `base_url` is None if it follows from the request, `access` if nobody is asked."""

    current: Callable[[], Server]
    base_url: str | None
    access: Access | None

    @property
    def server(self) -> Server:
        """The server as it is now; a request keeps to the one that it began with."""
        return self.current()


def web_of(request: Request) -> Web:
    """What the application was built with."""
    return cast(Web, request.scope["app"].state.web)


def access_of(request: Request) -> Access:
    """Access control, at addresses that are there only with it."""
    access = web_of(request).access
    if access is None:
        raise NotAuthenticated("this server asks nobody who they are")
    return access


def identified_of(request: Request) -> Identified:
    """Who was identified. `NotAuthenticated` if nobody was."""
    identified = request.scope.get(IDENTIFIED)
    if not isinstance(identified, Identified):
        raise NotAuthenticated("this needs an access token or an API key")
    return identified


def trail_of(request: Request) -> Trail:
    """What the request leaves behind for the audit log."""
    return trail_in(request.scope)


def trail_in(scope: Scope) -> Trail:
    """What the request with this scope leaves behind for the audit log."""
    trail = scope.get(TRAIL, NO_TRAIL)
    return trail if isinstance(trail, Trail) else NO_TRAIL


def call_of(request: Request) -> Call:
    """The request as the interactions see it, with what its caller may touch.

    `NotAuthenticated` if there is access control and nobody was identified; `InvalidRequest` if Host is not a host;
    what `asking_for` raises for the purpose that the request is for.
    """
    base_url, validation = base_url_of(request), validation_of(request.scope)
    if web_of(request).access is None:
        return Call(base_url, request_id(request.scope), _EVERYTHING, validation=validation)
    identified, id, trail = identified_of(request), request_id(request.scope), trail_of(request)
    purpose = header(request.scope, b"x-purpose-of-use")
    if purpose is None:
        return Call(base_url, id, identified.policy, identified.caller, validation, trail)
    access, reason = access_of(request), header(request.scope, b"x-break-glass-reason")
    caller = asking_for(identified.caller, access.purposes, purpose, reason)
    trail.identified(caller)
    if caller.reason is not None:
        _log.warning(
            "the glass is broken",
            caller=caller.id,
            credential=caller.credential,
            purpose=caller.purpose_of_use,
            reason=caller.reason,
            request_id=id,
        )
    return Call(base_url, id, access.policy_of(caller), caller, validation, trail)


def validation_of(scope: Scope) -> Mode | None:
    """How thoroughly the request wants its resources checked. `InvalidRequest` if it names no such mode."""
    given = header(scope, b"x-fhir-validation")
    if given is None:
        return None
    for mode in MODES:
        if given.strip().lower() == mode:
            return mode
    raise InvalidRequest(f"the header X-FHIR-Validation is one of {', '.join(MODES)}, not {given[:80]!r}")


def base_url_of(request: Request) -> str:
    """The base of this server's URLs: as it is set, or as the client addressed it: scheme, host, and /fhir."""
    return web_of(request).base_url or _addressed(request.scope)


def addresses_of(request: Request) -> Addresses:
    """Where the authorization server is, as the client addresses this one."""
    base = base_url_of(request)
    return Addresses(base, access_of(request).oauth.issuer or base.removesuffix("/fhir"))


def _addressed(scope: Scope) -> str:
    host = header(scope, b"host")
    if host is None:
        name, port = scope.get("server") or ("localhost", None)
        host = f"{name}:{port}" if port else name
    return _base_url(scope["scheme"], host, scope.get("root_path", ""))


@lru_cache(maxsize=256)
def _base_url(scheme: str, host: str, root_path: str) -> str:
    if _HOST.fullmatch(host) is None:
        raise InvalidRequest("the header Host does not name a host")
    return f"{scheme}://{host}{root_path}{BASE_PATH}"
