"""What an operation answers with: Parameters.

https://hl7.org/fhir/R4/parameters.html
"""

from collections.abc import Iterable
from typing import Any

from fhirserver.fhir.resource_json import serialize


def parameters(items: Iterable[tuple[str, str, Any]]) -> bytes:
    """A Parameters resource as JSON text, of (name, property, value): `("result", "valueBoolean", True)`.

    The property is `value…`, `resource` or `part`.
    """
    return serialize(
        {"resourceType": "Parameters", "parameter": [{"name": name, kind: value} for name, kind, value in items]}
    )
