"""What the routes need of the application, and the `Call` that each request becomes."""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

from starlette.requests import Request

from fhirserver.access.policy import Policy, Unrestricted
from fhirserver.fhir.outcomes import InvalidRequest
from fhirserver.interactions.context import Call, Server
from fhirserver.web.scope import Scope, header, request_id

BASE_PATH = "/fhir"
_HOST = re.compile(r"(?:[A-Za-z0-9._-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?")
_EVERYTHING = Unrestricted()


@dataclass(frozen=True, slots=True)
class Web:
    """What the routes work with. `base_url` is None if it follows from the request."""

    server: Server
    base_url: str | None


def web_of(request: Request) -> Web:
    """What the application was built with."""
    return cast(Web, request.scope["app"].state.web)


def policy_of(request: Request) -> Policy:
    """What the caller of this request may touch. The one place that decides it for HTTP."""
    return _EVERYTHING


def call_of(request: Request) -> Call:
    """The request as the interactions see it. `InvalidRequest` if its Host is not a host."""
    scope = request.scope
    base_url = web_of(request).base_url or base_url_of(scope)
    return Call(base_url, request_id(scope), policy_of(request))


def base_url_of(scope: Scope) -> str:
    """The base of this server's URLs as the client addressed it: scheme, host, and /fhir."""
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
