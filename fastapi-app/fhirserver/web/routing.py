"""Addresses and what each method does there.

Plain Starlette routes on the FastAPI application: FastAPI's own take 42 µs for a request without parameters,
these 13, and the parameters of FHIR are none that FastAPI could take.
"""

from collections.abc import Awaitable, Callable, Mapping

from starlette.convertors import StringConvertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fhirserver.web.errors import MethodNotAllowed
from fhirserver.web.scope import INTERACTION


class _Name(StringConvertor):
    """A part of a path that is a type or an id: `_history`, `_search` and `$operation` are neither."""

    regex = "[^/_$][^/]*"


class _Operation(StringConvertor):
    """A part of a path that is the name of an operation: `$validate`."""

    regex = r"\$[^/]+"


register_url_convertor("name", _Name())
register_url_convertor("operation", _Operation())

Handler = Callable[[Request], Awaitable[Response]]


def route(path: str, **handlers: tuple[str, Handler]) -> Route:
    """The address `path`: for each method the name of the interaction (for logs and metrics) and its handler.

    HEAD is GET without the body, which the server leaves out. Another method raises `MethodNotAllowed`.
    """
    table: Mapping[str, tuple[str, Handler]] = {**handlers, "HEAD": handlers["GET"]} if "GET" in handlers else handlers
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
