"""The bodies of the CRUD workload (`../shared/workloads.md`), made up, of about the sizes given there."""

import json
from collections.abc import Mapping
from typing import Any

ORDER = (
    "Patient",
    "Location",
    "Organization",
    "Practitioner",
    "Encounter",
    "Observation",
    "MedicationRequest",
    "Claim",
    "ExplanationOfBenefit",
)

_LOINC = "http://loinc.org"
_EXTENSION = "http://example.org/fhir/StructureDefinition/note"


def _padding(size: int) -> list[dict[str, Any]]:
    """Extensions that fill about so many bytes."""
    text = "Lorem ipsum dolor sit amet consectetur adipiscing elit sed do"
    return [{"url": _EXTENSION, "valueString": f"{number} {text}"} for number in range(size // 150)]


def body(resource_type: str, number: int, ids: Mapping[str, str]) -> bytes:
    """A resource; `ids` are those of the types before it in `ORDER`."""

    def reference(name: str) -> dict[str, str]:
        return {"reference": f"{name}/{ids[name]}"}

    concept = {"coding": [{"system": _LOINC, "code": "8480-6", "display": "Systolic blood pressure"}], "text": "BP"}
    day = f"2024-{number % 12 + 1:02d}-{number % 28 + 1:02d}"
    identifier = [{"system": "http://example.org/ids", "value": f"{resource_type}-{number}"}]
    resources: dict[str, Any] = {
        "Patient": lambda: {
            "extension": _padding(3600),
            "name": [{"family": f"Family{number % 997}", "given": [f"Given{number % 499}", "Maria"]}],
            "telecom": [{"system": "phone", "value": f"555-{number:07d}", "use": "home"}],
            "gender": "female" if number % 2 else "male",
            "birthDate": f"{1930 + number % 90}-{number % 12 + 1:02d}-{number % 28 + 1:02d}",
            "address": [{"line": [f"{number} Main St"], "city": "Boston", "state": "MA", "postalCode": "02101"}],
        },
        "Location": lambda: {"extension": _padding(500), "status": "active", "name": f"Ward {number}"},
        "Organization": lambda: {"extension": _padding(500), "active": True, "name": f"Hospital {number}"},
        "Practitioner": lambda: {"extension": _padding(500), "active": True, "name": [{"family": f"Doctor{number}"}]},
        "Encounter": lambda: {
            "extension": _padding(900),
            "status": "finished",
            "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
            "subject": reference("Patient"),
            "participant": [{"individual": reference("Practitioner")}],
            "period": {"start": f"{day}T08:00:00Z", "end": f"{day}T08:30:00Z"},
            "location": [{"location": reference("Location")}],
            "serviceProvider": reference("Organization"),
        },
        "Observation": lambda: {
            "extension": _padding(200),
            "status": "final",
            "category": [{"coding": [{"system": "http://example.org/category", "code": "vital-signs"}]}],
            "code": concept,
            "subject": reference("Patient"),
            "encounter": reference("Encounter"),
            "effectiveDateTime": f"{day}T08:10:00Z",
            "valueQuantity": {
                "value": 100 + number % 80,
                "unit": "mmHg",
                "system": "http://unitsofmeasure.org",
                "code": "mm[Hg]",
            },
        },
        "MedicationRequest": lambda: {
            "extension": _padding(200),
            "status": "active",
            "intent": "order",
            "medicationCodeableConcept": concept,
            "subject": reference("Patient"),
            "encounter": reference("Encounter"),
            "requester": reference("Practitioner"),
            "authoredOn": day,
        },
        "Claim": lambda: {
            "extension": _padding(400),
            "status": "active",
            "type": {"coding": [{"system": "http://example.org/type", "code": "institutional"}]},
            "use": "claim",
            "patient": reference("Patient"),
            "created": day,
            "provider": reference("Organization"),
            "priority": {"coding": [{"code": "normal"}]},
            "prescription": reference("MedicationRequest"),
            "insurance": [{"sequence": 1, "focal": True, "coverage": {"display": "none"}}],
            "item": [{"sequence": 1, "productOrService": concept, "encounter": [reference("Encounter")]}],
        },
        "ExplanationOfBenefit": lambda: {
            "contained": [
                {"resourceType": "Coverage", "id": "cover", "status": "active"}
                | {"beneficiary": reference("Patient"), "payor": [{"display": "payer"}]},
                {"resourceType": "ServiceRequest", "id": "referral", "status": "completed", "intent": "order"}
                | {"subject": reference("Patient")},
            ],
            "extension": _padding(6000),
            "status": "active",
            "type": {"coding": [{"system": "http://example.org/type", "code": "institutional"}]},
            "use": "claim",
            "referral": {"reference": "#referral"},
            "patient": reference("Patient"),
            "created": day,
            "insurer": {"display": "payer"},
            "provider": reference("Practitioner"),
            "claim": reference("Claim"),
            "outcome": "complete",
            "insurance": [{"focal": True, "coverage": {"reference": "#cover"}}],
            "item": [{"sequence": 1, "productOrService": concept, "encounter": [reference("Encounter")]}],
        },
    }
    return json.dumps({"resourceType": resource_type, "identifier": identifier, **resources[resource_type]()}).encode()
