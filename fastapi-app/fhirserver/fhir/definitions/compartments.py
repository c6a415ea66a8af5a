"""Compartments: all that belongs to a patient, an encounter, a practitioner, a device.

https://hl7.org/fhir/R4/compartmentdefinition.html
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Compartment:
    """`params` are, by resource type, the search parameters that put a resource into the compartment.

    R4 writes `{def}` for the resource that the compartment is about. Types not listed are never in it.
    """

    code: str
    url: str
    params: Mapping[str, tuple[str, ...]]


def read_compartments(content: Iterable[dict[str, Any]]) -> dict[str, Compartment]:
    """The compartments in the data file, by code."""
    return {
        item["code"]: Compartment(
            item["code"], item["url"], {name: tuple(codes) for name, codes in item["params"].items()}
        )
        for item in content
    }
