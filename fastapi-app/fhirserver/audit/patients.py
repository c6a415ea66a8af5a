"""Whom a resource concerns, read off its text: an event names the patients without parsing what was read.

https://profiles.ihe.net/ITI/BALP/volume-1.html (patient as a subject)
"""

import re
from functools import lru_cache

from fhirserver.audit.facts import Version
from fhirserver.fhir.datatypes.ids import home_bucket
from fhirserver.fhir.definitions import Definitions

_PATIENT = re.compile(rb'Patient/([A-Za-z0-9\-.]{1,64})["/]')


def patients_of(definitions: Definitions, version: Version) -> tuple[str, ...]:
    """The ids of the patients that a version concerns: of a type that is placed by its patient, the one with whom it
    lives; of others in the Patient compartment, those that it refers to.
    """
    if version.resource_type == "Patient":
        return (version.id,)
    if version.content is None or b"Patient/" not in version.content:
        return ()
    is_concerned, is_placed = _relation(definitions, version.resource_type)
    if not is_concerned:
        return ()
    ids = [name.decode() for name in dict.fromkeys(_PATIENT.findall(version.content))]
    return tuple([id for id in ids if home_bucket(id) == version.bucket] if is_placed else ids)


@lru_cache(maxsize=1024)
def _relation(definitions: Definitions, resource_type: str) -> tuple[bool, bool]:
    """Whether resources of a type are in the Patient compartment, and whether they are placed by their patient."""
    is_concerned = resource_type in definitions.compartment("Patient").params
    return is_concerned, definitions.placing_element(resource_type) is not None
