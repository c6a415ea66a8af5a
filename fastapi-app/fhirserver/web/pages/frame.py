"""What is around each page: the document, its style, and the headers that keep it from being misused."""

import base64
import hashlib
from importlib.resources import files

from fhirserver.web.pages.html import Html, joined, tag
from fhirserver.web.responses import Header, RawResponse

_STYLE = (files("fhirserver.web") / "static" / "pages.css").read_text(encoding="utf-8")
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()


def page_response(
    status: int, language: str, title: str, content: Html, leads_to: str = "", headers: list[Header] | None = None
) -> RawResponse:
    """A page that carries nothing out and loads nothing. `leads_to` is where its forms may lead besides to us.

    Browsers hold `form-action` against the address to which the answer to a form redirects, too.
    """
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", title),
        tag("style", Html(_STYLE)),
    )
    document = joined(Html("<!DOCTYPE html>"), tag("html", head, tag("body", tag("main", content)), lang=language))
    body = document.encode()
    policy = (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self' {leads_to}; base-uri 'none';"
        " frame-ancestors 'none'"
    )
    return RawResponse(
        status,
        body,
        [
            (b"content-type", b"text/html; charset=utf-8"),
            (b"content-length", b"%d" % len(body)),
            (b"content-security-policy", policy.encode()),
            (b"x-frame-options", b"DENY"),
            *(headers or ()),
        ],
    )
