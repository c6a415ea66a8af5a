"""What an operation answers with: Parameters.

https://hl7.org/fhir/R4/parameters.html
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from fhirserver.fhir.resource_json import serialize


@dataclass(frozen=True, slots=True)
class Accepted:
    """The answer to what will be done by a job: the address where that is told of, and a Parameters resource.

    https://hl7.org/fhir/R4/async.html
    """

    address: str
    body: bytes


def parameters(items: Iterable[tuple[str, str, Any]]) -> bytes:
    """A Parameters resource as JSON text, of (name, property, value): `("result", "valueBoolean", True)`.

    The property is `value…`, `resource` or `part`.
    """
    return serialize(
        {"resourceType": "Parameters", "parameter": [{"name": name, kind: value} for name, kind, value in items]}
    )
