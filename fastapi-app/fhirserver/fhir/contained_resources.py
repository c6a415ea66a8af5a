"""https://hl7.org/fhir/R4/references.html#contained"""

from collections import Counter
from collections.abc import Iterator
from typing import Any


def numbered(contained: Any) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """The contained resources with their types and their places among those of the type, counted from 0."""
    counts: Counter[str] = Counter()
    for resource in contained if isinstance(contained, list) else ():
        if isinstance(resource, dict) and isinstance(resource.get("resourceType"), str):
            resource_type = resource["resourceType"]
            yield resource_type, counts[resource_type], resource
            counts[resource_type] += 1
