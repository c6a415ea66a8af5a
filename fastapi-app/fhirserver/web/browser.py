"""What a browser remembers of who signed in: one cookie, and the proof that a form comes from a page of ours.

The proof is made of the cookie, which no page of others can read. So what they send in somebody's name has none; not
even a sign-in, which would have somebody work in another's name.
"""

import hashlib
import hmac
import secrets
from datetime import datetime
from http.cookies import CookieError, SimpleCookie

from fhirserver.web.responses import Header
from fhirserver.web.scope import Scope, header

_NAME = "fhir-sign-in"


def remembered(scope: Scope) -> str | None:
    """The value of the cookie."""
    try:
        cookies = SimpleCookie(header(scope, b"cookie") or "")
    except CookieError:
        return None
    found = cookies.get(_name(scope))
    return found.value if found is not None and 0 < len(found.value) <= 200 else None


def remember(scope: Scope, value: str, now: datetime, until: datetime | None = None) -> Header:
    """The header that sets the cookie; without `until`, the browser forgets it when it is closed."""
    parts = [f"{_name(scope)}={value}", "Path=/", "HttpOnly", "SameSite=Lax"]
    if scope["scheme"] == "https":
        parts.append("Secure")
    if until is not None:
        parts.append(f"Max-Age={max(0, int((until - now).total_seconds()))}")
    return b"set-cookie", "; ".join(parts).encode()


def nobody() -> str:
    """The value for a browser in which nobody has signed in."""
    return secrets.token_urlsafe(32)


def proof(cookie: str, query: bytes) -> str:
    """What a form about the request with this query has to be sent with by the browser with this cookie."""
    return hmac.new(cookie.encode(), query, hashlib.sha256).hexdigest()


def is_proven(scope: Scope, cookie: str | None, given: str) -> bool:
    """Whether a form was sent from a page of ours."""
    if cookie is None or header(scope, b"sec-fetch-site") not in (None, "same-origin", "none"):
        return False
    return hmac.compare_digest(proof(cookie, scope["query_string"]).encode(), given.encode())


def _name(scope: Scope) -> str:
    """By TLS a name that no other host of the domain can set."""
    return f"__Host-{_NAME}" if scope["scheme"] == "https" else _NAME
