"""The web application: all routes, the handlers of errors, and the middleware around them."""

from collections.abc import Callable, Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.types import Lifespan

from fhirserver.access.errors import AccessError
from fhirserver.access.service import Access
from fhirserver.audit.auditor import Auditor
from fhirserver.fhir.outcomes import FhirError
from fhirserver.interactions.context import Server
from fhirserver.web.dependencies import Web
from fhirserver.web.errors import on_access_error, on_fhir_error, on_http_exception, on_invalid_parameters
from fhirserver.web.middleware.audit import AuditGate
from fhirserver.web.middleware.authentication import AuthenticationGate
from fhirserver.web.middleware.compression import Compression
from fhirserver.web.middleware.request_body import RequestBody
from fhirserver.web.middleware.request_id import RequestId
from fhirserver.web.middleware.request_log import RequestLog
from fhirserver.web.middleware.security_headers import SecurityHeaders
from fhirserver.web.routers import (
    administration,
    auth,
    authorize,
    clients,
    docs,
    fhir,
    health,
    launching,
    metrics,
    oauth,
    smart,
)
from fhirserver.web.routers.health import HealthChecks


def build_app(
    server: Server | Callable[[], Server],
    *,
    access: Access | None = None,
    auditor: Auditor | None = None,
    health_checks: HealthChecks,
    software_version: str,
    base_url: str | None = None,
    max_body_bytes: int = 16 * 1024 * 1024,
    max_url_bytes: int = 16 * 1024,
    has_docs: bool = True,
    cors_origins: Sequence[str] = (),
    body_seconds: float = 60.0,
    lifespan: Lifespan[Any] | None = None,
) -> FastAPI:
    """The application that serves `server`, or what this gives at each request.

    Without `access` everybody may do everything, as the tests of what FHIR says need it. `auditor` records who did
    what.
    `base_url` is the address of the FHIR base as clients see it (`https://example.org/fhir`); without it, it follows
    from the Host of each request. `cors_origins` are the origins whose pages may ask. `body_seconds` is how long a body
    may take to arrive. `lifespan` opens and closes what `server` works with.
    """
    app = FastAPI(
        title="FHIR R4 server",
        version=software_version,
        openapi_url=None,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False},
        lifespan=lifespan,
    )
    current = server if callable(server) else lambda: server
    app.state.web = Web(current, base_url.rstrip("/") if base_url else None, access)
    if access is not None:
        app.router.routes.extend(smart.routes())
        app.router.routes.extend([*auth.routes(), *administration.routes()])
        app.router.routes.extend([*authorize.routes(), *oauth.routes(), *launching.routes(), *clients.routes()])
    app.router.routes.extend(fhir.routes(software_version, has_cors=bool(cors_origins)))
    app.router.routes.extend(health.routes(health_checks, software_version))
    app.router.routes.extend(metrics.routes())
    if has_docs:
        app.router.routes.extend(docs.routes(software_version, with_access=access is not None))
    app.add_exception_handler(FhirError, on_fhir_error)
    app.add_exception_handler(AccessError, on_access_error)
    app.add_exception_handler(HTTPException, on_http_exception)
    app.add_exception_handler(RequestValidationError, on_invalid_parameters)
    # The last one added is the outermost.
    app.add_middleware(
        RequestBody, max_body_bytes=max_body_bytes, max_url_bytes=max_url_bytes, body_seconds=body_seconds
    )
    if access is not None:
        app.add_middleware(AuthenticationGate, access=access)
    if auditor is not None:
        app.add_middleware(AuditGate, auditor=auditor)
    app.add_middleware(Compression)
    app.add_middleware(RequestLog)
    if cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(cors_origins),
            allow_methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=[
                "Authorization",
                "Content-Type",
                "If-Match",
                "If-None-Match",
                "If-None-Exist",
                "Prefer",
                "X-API-Key",
                "X-Break-Glass-Reason",
                "X-Purpose-Of-Use",
                "X-Request-ID",
            ],
            expose_headers=[
                "ETag",
                "Last-Modified",
                "Location",
                "Content-Location",
                "Retry-After",
                "WWW-Authenticate",
                "X-Request-ID",
            ],
            max_age=600,
        )
    app.add_middleware(SecurityHeaders)
    app.add_middleware(RequestId)
    return app
