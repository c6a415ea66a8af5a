"""All addresses below the FHIR base, in the order in which they are tried: the most used first."""

from starlette.routing import Route

from fhirserver.fhir.definitions import Definitions
from fhirserver.web.routers import base, instance, metadata, operations, resource_type, searching


def routes(definitions: Definitions, version: str, date: str) -> list[Route]:
    """The routes of FHIR's RESTful API. `version` and `date` are those of the CapabilityStatement."""
    return [
        *instance.routes(),
        *metadata.routes(definitions, version, date),
        *resource_type.routes(),
        *operations.routes(),
        *searching.routes(),
        *base.routes(),
        *base.fallback(),
    ]
