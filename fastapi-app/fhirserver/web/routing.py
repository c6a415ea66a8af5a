"""Addresses and what each method does there.

Plain Starlette routes on the FastAPI application: of 42 µs that FastAPI's own route takes for a request without
parameters, this takes 13 (`bench/`), and FHIR's parameters are not FastAPI's.
"""

from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fhirserver.web.errors import MethodNotAllowed
from fhirserver.web.scope import INTERACTION

Handler = Callable[[Request], Awaitable[Response]]


def route(path: str, **handlers: tuple[str, Handler]) -> Route:
    """The address `path`: for each method the name of the interaction (for logs and metrics) and its handler.

    HEAD is GET without the body, which the server leaves out. Another method raises `MethodNotAllowed`.
    """
    table: Mapping[str, tuple[str, Handler]] = (
        {**handlers, "HEAD": handlers["GET"]} if "GET" in handlers else handlers
    )
    allowed = tuple(table)

    async def endpoint(request: Request) -> Response:
        scope = request.scope
        chosen = table.get(scope["method"])
        if chosen is None:
            raise MethodNotAllowed(scope["method"], scope["path"], allowed)
        scope[INTERACTION], handler = chosen
        return await handler(request)

    made = Route(path, endpoint, name=path)
    made.methods = None
    return made
