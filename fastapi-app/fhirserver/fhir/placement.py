"""Where a resource lives: the bucket of its patient, or that of its own id.

Buckets (0..4095) are the distribution column of the storage; see decisions/0002.
"""

from typing import Any

from fhirserver.fhir.datatypes.ids import home_bucket
from fhirserver.fhir.datatypes.references import parse_reference
from fhirserver.fhir.definitions import Definitions


def patient_of(
    definitions: Definitions, resource_type: str, resource: dict[str, Any], base_url: str | None
) -> str | None:
    """The id of the patient whose record the resource belongs to; None if it belongs to no patient's."""
    element = definitions.placing_element(resource_type)
    reference = resource.get(element) if element else None
    text = reference.get("reference") if isinstance(reference, dict) else None
    if not isinstance(text, str):
        return None
    target = parse_reference(text, base_url)
    if target is None or target.kind != "local" or target.resource_type != "Patient":
        return None
    return target.id


def bucket_of(
    definitions: Definitions, resource_type: str, id: str, resource: dict[str, Any], base_url: str | None
) -> int:
    """The bucket in which this resource is stored."""
    patient = patient_of(definitions, resource_type, resource, base_url)
    return home_bucket(patient if patient is not None else id)
