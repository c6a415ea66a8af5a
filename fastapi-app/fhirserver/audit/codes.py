"""Codes of AuditEvents, as they are in JSON."""

from dataclasses import dataclass
from typing import Any

DCM = "http://dicom.nema.org/resources/ontology/DCM"
PARTICIPATION = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"


@dataclass(frozen=True, slots=True)
class Code:
    """A code of a system."""

    system: str
    code: str

    def coding(self) -> dict[str, Any]:
        """As a Coding."""
        return {"system": self.system, "code": self.code}

    def concept(self) -> dict[str, Any]:
        """As a CodeableConcept."""
        return {"coding": [self.coding()]}


RECORDED = Code("urn:fhirserver:audit", "recorded")
"""The tag of what this server recorded itself. Nobody else may give it to an AuditEvent."""
APPLICATION_SERVER = Code("http://terminology.hl7.org/CodeSystem/security-source-type", "4")
_ENTITY, _ROLE = (
    "http://terminology.hl7.org/CodeSystem/audit-entity-type",
    "http://terminology.hl7.org/CodeSystem/object-role",
)
PERSON, SYSTEM_OBJECT = Code(_ENTITY, "1"), Code(_ENTITY, "2")
PATIENT, DOMAIN_RESOURCE, QUERY, SECURITY_RESOURCE = (Code(_ROLE, code) for code in ("1", "4", "24", "13"))
REQUEST_ID = Code("https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType", "XrequestId")
LIFECYCLE = "http://terminology.hl7.org/CodeSystem/dicom-audit-lifecycle"
