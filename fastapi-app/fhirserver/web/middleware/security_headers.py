"""Headers that keep browsers and caches from doing more with an answer than they should."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fhirserver.web.dependencies import AUTH_PATH, BASE_PATH

_ALWAYS = [(b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"no-referrer")]
_NO_ACTIVE_CONTENT = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
_ONLY_TLS = (b"strict-transport-security", b"max-age=31536000")
_FHIR = [*_ALWAYS, (b"cache-control", b"no-store"), (b"vary", b"accept, accept-encoding"), _NO_ACTIVE_CONTENT]


class SecurityHeaders:
    """Adds nosniff to all answers, below the FHIR base and at `/auth` also that nothing is cached or carried out."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = _FHIR if scope["path"].startswith((BASE_PATH, AUTH_PATH)) else _ALWAYS
        if scope["scheme"] == "https":
            headers = [*headers, _ONLY_TLS]

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = message.get("headers", ())
                has_own = any(name == _NO_ACTIVE_CONTENT[0] for name, _ in given)  # a page, and its policy
                added = [pair for pair in headers if pair is not _NO_ACTIVE_CONTENT] if has_own else headers
                message["headers"] = [*given, *added]
            await send(message)

        await self.app(scope, receive, with_headers)
