"""`/health`: is the process alive, and can it serve?"""

from collections.abc import Mapping
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fhirserver.fhir.resource_json import serialize
from fhirserver.web.responses import json_response
from fhirserver.web.routing import route


class Impaired(str):
    """A problem that leaves the rest to be served, in a few words."""


class HealthChecks(Protocol):
    """Looks at the parts that the server can't serve without."""

    async def problems(self) -> Mapping[str, str | None]:
        """For each part by name: None if it is ready, else in a few words what is missing. Never raises.

        `Impaired` if the server is of use all the same.
        """
        ...


def routes(checks: HealthChecks, version: str) -> list[Route]:
    """The routes of this file."""

    async def live(request: Request) -> Response:
        """The process answers: restarting it would not help."""
        return _answer(200, {"status": "alive"})

    async def ready(request: Request) -> Response:
        """Every part is ready, or 503 and which is not.

        A part without which others can still be served is told, and the server is ready: if all servers were taken
        out of use for one node of the database, what is on the others could not be reached either.
        """
        parts = await checks.problems()
        is_ready = not any(problem and not isinstance(problem, Impaired) for problem in parts.values())
        body = {
            "status": ("impaired" if any(parts.values()) else "ready") if is_ready else "not ready",
            "version": version,
            "parts": {name: problem or "ready" for name, problem in parts.items()},
        }
        return _answer(200 if is_ready else 503, body)

    return [
        route("/health", GET=("health", ready)),
        route("/health/live", GET=("health", live)),
        route("/health/ready", GET=("health", ready)),
    ]


def _answer(status: int, body: Mapping[str, object]) -> Response:
    return json_response(status, serialize(body), [(b"cache-control", b"no-store")], "application/json")
