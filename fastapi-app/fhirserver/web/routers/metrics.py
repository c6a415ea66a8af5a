"""`/metrics`: what Prometheus reads."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fhirserver.observability.metrics import render
from fhirserver.web.responses import RawResponse
from fhirserver.web.routing import route


def routes() -> list[Route]:
    """The routes of this file."""
    return [route("/metrics", GET=("metrics", get_metrics))]


async def get_metrics(request: Request) -> Response:
    """All metrics of this process or, with several workers, of all of them."""
    body, content_type = render()
    headers = [(b"content-type", content_type.encode()), (b"content-length", b"%d" % len(body))]
    return RawResponse(200, body, [*headers, (b"cache-control", b"no-store")])
