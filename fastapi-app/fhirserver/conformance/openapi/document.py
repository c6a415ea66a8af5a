"""The OpenAPI 3.1 description: the types in `EXAMPLES` one by one, and a general form for all types.

https://spec.openapis.org/oas/v3.1.0
"""

from typing import Any

from fhirserver.conformance.examples import EXAMPLES
from fhirserver.conformance.openapi.access import ACCESS, SECURITY_SCHEMES, access_paths
from fhirserver.conformance.openapi.components import components
from fhirserver.conformance.openapi.operations import OPERATIONS, operation_paths
from fhirserver.conformance.openapi.parts import refusals
from fhirserver.conformance.openapi.resource_types import GENERAL, TypeRoutes
from fhirserver.conformance.openapi.system import SERVER, SYSTEM, server_paths, system_paths
from fhirserver.fhir.definitions import Definitions

_DESCRIPTION = """A FHIR R4 (4.0.1) server.

- All {count} resource types of R4 work alike. The most used are shown one by one; all others have the same
  routes, under **All types**.
- Answers and bodies are `application/fhir+json`; `application/json` is understood as well.
- Every error is an `OperationOutcome`.
- What the server can do in detail, with all search parameters of all types, is in its
  [CapabilityStatement](fhir/metadata).
"""
_BASE = "/fhir"
_OF_ACCESS = 401, 403, 429


def openapi(definitions: Definitions, software_version: str, *, with_access: bool = False) -> dict[str, Any]:
    """The description, ready to be serialised. `with_access`: callers have to say who they are."""
    paths = system_paths(_BASE)
    for resource_type in (*EXAMPLES, None):
        paths |= TypeRoutes(definitions, _BASE, resource_type).paths()
    paths |= operation_paths(definitions, _BASE)
    paths |= server_paths()
    described = components(definitions, tuple(EXAMPLES))
    tags = [{"name": ACCESS, "description": "Who may come in: users, roles, tokens, keys"}] if with_access else []
    if with_access:
        _refuse(paths)
        paths |= access_paths()
        described["securitySchemes"] = SECURITY_SCHEMES
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "FHIR R4 server",
            "version": software_version,
            "description": _DESCRIPTION.format(count=len(definitions.resource_types)),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [
            {"name": SYSTEM, "description": "Capabilities, transactions and batches, history of everything"},
            *({"name": name, "description": f"The R4 resource {name}"} for name in EXAMPLES),
            {"name": GENERAL, "description": "The same for each of the resource types of R4"},
            {"name": OPERATIONS, "description": "Operations, which begin with `$`"},
            *tags,
            {"name": SERVER, "description": "Health and metrics"},
        ],
        **({"security": [{name: []} for name in SECURITY_SCHEMES]} if with_access else {}),
        "paths": paths,
        "components": described,
    }


def _refuse(paths: dict[str, Any]) -> None:
    """Say of every interaction that callers have to be known, and to be allowed; but for what everybody may ask."""
    for path, methods in paths.items():
        for method, operation in methods.items():
            if method == "parameters":
                continue
            if path == f"{_BASE}/metadata" or not path.startswith(_BASE):
                operation["security"] = []
            else:
                operation["responses"] |= refusals(*_OF_ACCESS)
