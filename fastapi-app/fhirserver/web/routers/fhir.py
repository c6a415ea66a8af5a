"""All addresses below the FHIR base, in the order in which they are tried: the most used first."""

from starlette.routing import Route

from fhirserver.web.routers import base, instance, jobs, metadata, operations, resource_type, searching


def routes(version: str, *, has_cors: bool) -> list[Route]:
    """The routes of FHIR's RESTful API. `version` is that of the CapabilityStatement, which tells of CORS too."""
    return [
        *instance.routes(),
        *metadata.routes(version, has_cors=has_cors),
        *resource_type.routes(),
        *operations.routes(),
        *jobs.routes(),
        *searching.routes(),
        *base.routes(),
        *base.fallback(),
    ]
