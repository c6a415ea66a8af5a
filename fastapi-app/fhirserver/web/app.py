"""The web application: all routes, the handlers of errors, and the middleware around them."""

from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.types import Lifespan

from fhirserver.fhir.outcomes import FhirError
from fhirserver.interactions.context import Server
from fhirserver.interactions.versions import instant
from fhirserver.web.dependencies import Web
from fhirserver.web.errors import on_fhir_error, on_http_exception, on_invalid_parameters
from fhirserver.web.middleware.compression import Compression
from fhirserver.web.middleware.request_body import RequestBody
from fhirserver.web.middleware.request_id import RequestId
from fhirserver.web.middleware.request_log import RequestLog
from fhirserver.web.middleware.security_headers import SecurityHeaders
from fhirserver.web.routers import docs, fhir, health, metrics
from fhirserver.web.routers.health import HealthChecks


def build_app(
    server: Server,
    *,
    health_checks: HealthChecks,
    software_version: str,
    base_url: str | None = None,
    max_body_bytes: int = 16 * 1024 * 1024,
    max_url_bytes: int = 16 * 1024,
    has_docs: bool = True,
    lifespan: Lifespan[Any] | None = None,
) -> FastAPI:
    """The application that serves `server`.

    `base_url` is the address of the FHIR base as clients see it (`https://example.org/fhir`); without it, it
    follows from the Host of each request. `lifespan` opens and closes what `server` works with.
    """
    app = FastAPI(
        title="FHIR R4 server",
        version=software_version,
        openapi_url=None,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False},
        lifespan=lifespan,
    )
    app.state.web = Web(server, base_url.rstrip("/") if base_url else None)
    app.router.routes.extend(fhir.routes(server.definitions, software_version, instant(server.clock())))
    app.router.routes.extend(health.routes(health_checks, software_version))
    app.router.routes.extend(metrics.routes())
    if has_docs:
        app.router.routes.extend(docs.routes(server.definitions, software_version))
    app.add_exception_handler(FhirError, on_fhir_error)
    app.add_exception_handler(HTTPException, on_http_exception)
    app.add_exception_handler(RequestValidationError, on_invalid_parameters)
    # The last one added is the outermost.
    app.add_middleware(RequestBody, max_body_bytes=max_body_bytes, max_url_bytes=max_url_bytes)
    app.add_middleware(Compression)
    app.add_middleware(RequestLog)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(RequestId)
    return app
