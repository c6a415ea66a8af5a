"""`/docs` and `/redoc`: the API documentation, with everything it needs from this server.

Swagger UI and ReDoc themselves come from the package fastapi-offline. The pages allow nothing from elsewhere:
neither Swagger's online validator nor the logo that ReDoc would fetch.
"""

from functools import cache, lru_cache
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount
from starlette.staticfiles import StaticFiles

from fhirserver.conformance.openapi import openapi
from fhirserver.fhir.resource_json import serialize
from fhirserver.web.dependencies import web_of
from fhirserver.web.responses import Header, RawResponse, json_response
from fhirserver.web.routing import route

_STATIC = files("fhirserver.web") / "static"
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_PAGE_HEADERS: list[Header] = [
    (b"content-type", b"text/html; charset=utf-8"),
    (b"content-security-policy", _POLICY.encode()),
]


def routes(version: str, *, with_access: bool) -> list[BaseRoute]:
    """The routes of this file. `with_access`: the page can log in."""
    description = lru_cache(maxsize=1)(
        lambda definitions: serialize(openapi(definitions, version, with_access=with_access))
    )

    async def get_openapi(request: Request) -> Response:
        return json_response(200, description(web_of(request).server.definitions), None, "application/json")

    async def swagger(request: Request) -> Response:
        return _page("docs.html")

    async def redoc(request: Request) -> Response:
        return _page("redoc.html")

    async def root(request: Request) -> Response:
        return RedirectResponse("docs")

    assets = StaticFiles(directory=str(_STATIC), packages=[("fastapi_offline", "static")])
    return [
        route("/", GET=("docs", root)),
        route("/docs", GET=("docs", swagger)),
        route("/redoc", GET=("docs", redoc)),
        route("/openapi.json", GET=("docs", get_openapi)),
        Mount("/docs/assets", assets, name="docs-assets"),
    ]


@cache
def _page(name: str) -> Response:
    body = (_STATIC / name).read_bytes()
    return RawResponse(200, body, [*_PAGE_HEADERS, (b"content-length", b"%d" % len(body))])
