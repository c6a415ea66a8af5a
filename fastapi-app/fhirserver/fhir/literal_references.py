"""The literal references of a resource: those that a Reference has as text.

https://hl7.org/fhir/R4/references.html#literal
"""

from collections.abc import Iterator
from typing import Any

from fhirserver.fhir.definitions import Definitions


def literal_references(resource: dict[str, Any], definitions: Definitions) -> Iterator[tuple[str, str]]:
    """The text of each, and its place: `("Patient/1", "Observation.subject.reference")`.

    Also those of extensions and of contained resources; not those of resources in a Bundle or in Parameters, which
    stand for themselves.
    """
    resource_type = resource["resourceType"]
    yield from _inside(resource, resource_type, resource_type, definitions)


def _inside(value: dict[str, Any], type_name: str, place: str, definitions: Definitions) -> Iterator[tuple[str, str]]:
    if type_name == "Reference" and isinstance(value.get("reference"), str):
        yield value["reference"], f"{place}.reference"
    properties = definitions.type(type_name).properties
    for name, child in value.items():
        if not isinstance(child, dict | list):
            continue
        plain_name = name.removeprefix("_")
        known = properties.get(plain_name)
        if known is None or (known.type_code == "Resource" and name != "contained"):
            continue
        for index, item in enumerate(child) if isinstance(child, list) else ((None, child),):
            if isinstance(item, dict):
                child_type = known.type_code if name == plain_name else "Element"
                if child_type == "Resource":
                    child_type = item["resourceType"]
                below = f"{place}.{plain_name}" if index is None else f"{place}.{plain_name}[{index}]"
                yield from _inside(item, child_type, below, definitions)
