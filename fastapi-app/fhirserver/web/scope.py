"""What the parts of `web` leave for each other in the ASGI scope of a request."""

from collections.abc import Mapping, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]

REQUEST_ID = "fhirserver.request_id"
INTERACTION = "fhirserver.interaction"
IDENTIFIED = "fhirserver.identified"
JSON_BODY = "fhirserver.json_body"
TRAIL = "fhirserver.trail"
_HEADERS = "fhirserver.headers"


def request_headers(scope: Scope) -> Mapping[bytes, bytes]:
    """The headers of a request by lower-case name. Those sent several times are joined by commas.

    Put together once per request: a read looks at ten of them.
    """
    known: Mapping[bytes, bytes] | None = scope.get(_HEADERS)
    if known is not None:
        return known
    pairs = scope["headers"]
    headers: dict[bytes, bytes] = dict(pairs)
    if len(headers) != len(pairs):
        headers.clear()
        for name, value in pairs:
            headers[name] = headers[name] + b", " + value if name in headers else value
    scope[_HEADERS] = headers
    return headers


def header(scope: Scope, name: bytes) -> str | None:
    """One header as text: UTF-8 where it is that, else ISO 8859-1."""
    value = request_headers(scope).get(name)
    if value is None:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def request_id(scope: Scope) -> str:
    """The id of this request, which stands in its log lines and in the header X-Request-ID of its answer."""
    return str(scope.get(REQUEST_ID, ""))
