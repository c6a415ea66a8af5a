"""The Patient compartment of a resource: whose records it belongs to, and where their contents live.

https://hl7.org/fhir/R4/compartmentdefinition-patient.html. A resource lives with the patient that its placing element
names. That it belongs to other patients' records too is noted in their buckets, so that a search in a compartment
knows whether it has to look anywhere else (decisions/0007).
"""

import re
from dataclasses import replace
from typing import Any

from fhirserver.fhir.datatypes.ids import home_bucket
from fhirserver.interactions.context import Server
from fhirserver.search.request import SearchRequest

_PATIENT = re.compile(rb'Patient/([A-Za-z0-9\-.]{1,64})["/]')


def patients_elsewhere(
    server: Server, resource: dict[str, Any], content: bytes, bucket: int, base_url: str
) -> tuple[str, ...]:
    """The patients to whose compartments a resource in this bucket belongs, and who live in other ones."""
    named = {match.decode() for match in _PATIENT.findall(content)}
    if all(home_bucket(id) == bucket for id in named):
        return ()
    resource_type = resource["resourceType"]
    codes = server.definitions.compartment("Patient").params.get(resource_type, ())
    found = {
        id
        for code in codes
        for type_, id in server.extractor.references(resource, resource_type, code, base_url)
        if type_ == "Patient" and home_bucket(id) != bucket
    }
    return tuple(sorted(found))


async def routed(server: Server, request: SearchRequest, compartment: tuple[str, str] | None) -> SearchRequest:
    """The search in a compartment, sent to one bucket if all that can match lives there."""
    if compartment is None or compartment[0] != "Patient" or request.buckets is not None:
        return request
    types = (request.resource_type,) if request.resource_type else request.types
    if await server.store.is_outside(compartment[1], types):
        return request
    return replace(request, buckets=frozenset({home_bucket(compartment[1])}))
