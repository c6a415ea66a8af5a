"""Whom a resource concerns, read off its text: an event names the patients without parsing what was read.

https://profiles.ihe.net/ITI/BALP/volume-1.html (patient as a subject)
"""

import re

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
    if version.resource_type not in definitions.compartment("Patient").params:
        return ()
    named = dict.fromkeys(_PATIENT.findall(version.content))
    ids = [name.decode() for name in named]
    if definitions.placing_element(version.resource_type) is not None:
        ids = [id for id in ids if home_bucket(id) == version.bucket]
    return tuple(ids)
