"""The OpenAPI description of the server, built from the definitions of R4."""

from fhirserver.conformance.openapi.document import openapi

__all__ = ["openapi"]
