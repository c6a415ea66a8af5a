"""One log line and one observation in the metrics per request, and the answer to what nothing else caught.

Neither holds anything of the URL or the body: they can name patients. What is logged of a defect are the
places in the code that it went through, not its text, which may quote values.
"""

from time import perf_counter

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fhirserver.observability.logging import get_logger, places
from fhirserver.observability.metrics import observe_request
from fhirserver.web.errors import defect_response
from fhirserver.web.scope import INTERACTION

_CLIENT_LEFT = 499
_log = get_logger("fhirserver.web")


class RequestLog:
    """Measures and reports each request; a defect becomes a 500 with an OperationOutcome."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begin = perf_counter()
        status = 0
        size = 0

        async def counting(message: Message) -> None:
            nonlocal status, size
            if message["type"] == "http.response.start":
                status = message["status"]
            else:
                size += len(message.get("body", b""))
            await send(message)

        try:
            await self.app(scope, receive, counting)
        except ClientDisconnect:
            status = _CLIENT_LEFT
        except Exception as error:
            _log.error("defect", error=type(error).__name__, trace=places(error))
            if status:
                raise
            await defect_response(scope)(scope, receive, counting)
        finally:
            seconds = perf_counter() - begin
            interaction = scope.get(INTERACTION, "none")
            observe_request(interaction, status or _CLIENT_LEFT, seconds)
            _log.info(
                "request",
                interaction=interaction,
                method=scope["method"],
                status=status or _CLIENT_LEFT,
                ms=round(seconds * 1000, 2),
                bytes=size,
            )
