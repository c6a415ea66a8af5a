"""Made-up patients and observations: the same for the same run, so that what is found can be told beforehand."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random
from typing import Any

SYSTEM = "urn:fhirserver:drill"
_GIVEN = ("Ana", "Luis", "Marta", "Iván", "Lucía", "Óscar", "Elena", "Pablo", "Inés", "Raúl")


@dataclass(frozen=True)
class Person:
    """A patient that does not exist."""

    number: int
    given: str
    gender: str
    born: date


def people(run: str, count: int) -> list[Person]:
    """So many persons of a run."""
    random = Random(run)
    first = date(1930, 1, 1)
    return [
        Person(
            number,
            random.choice(_GIVEN),
            random.choice(("female", "male")),
            first + timedelta(random.randrange(32_000)),
        )
        for number in range(count)
    ]


def family(run: str) -> str:
    """The family name that only a run's patients have."""
    return f"Drill{run}"


def patient(run: str, person: Person) -> dict[str, Any]:
    """The resource of a person."""
    return {
        "resourceType": "Patient",
        "meta": {"tag": [{"system": SYSTEM, "code": run}]},
        "identifier": [{"system": SYSTEM, "value": f"{run}-{person.number}"}],
        "name": [{"family": family(run), "given": [person.given]}],
        "gender": person.gender,
        "birthDate": person.born.isoformat(),
    }


def observation(run: str, patient_id: str, number: int) -> dict[str, Any]:
    """A heart rate of a patient."""
    return {
        "resourceType": "Observation",
        "meta": {"tag": [{"system": SYSTEM, "code": run}]},
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4", "display": "Heart rate"}]},
        "subject": {"reference": f"Patient/{patient_id}"},
        "effectiveDateTime": (date(2024, 1, 1) + timedelta(number % 365)).isoformat(),
        "valueQuantity": {
            "value": 60 + number % 40,
            "unit": "beats/minute",
            "system": "http://unitsofmeasure.org",
            "code": "/min",
        },
    }


def transaction(resources: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """A bundle that creates all of them or none."""
    entries = [
        {"resource": resource, "request": {"method": "POST", "url": resource["resourceType"]}} for resource in resources
    ]
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}
