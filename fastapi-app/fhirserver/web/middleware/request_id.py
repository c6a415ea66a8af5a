"""The id of a request: the client's X-Request-ID if it is a plain word, else a new one."""

import re
from random import getrandbits

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars, clear_contextvars

from fhirserver.web.scope import REQUEST_ID, request_headers

_SANE = re.compile(rb"[A-Za-z0-9._-]{1,64}")


class RequestId:
    """Gives each request its id, in the scope and in every log line that is written while it is answered."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = request_headers(scope).get(b"x-request-id")
        name = given.decode() if given is not None and _SANE.fullmatch(given) else f"{getrandbits(64):016x}"
        scope[REQUEST_ID] = name
        header = (b"x-request-id", name.encode())
        clear_contextvars()
        bind_contextvars(request_id=name)

        async def with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), header]
            await send(message)

        await self.app(scope, receive, with_id)
