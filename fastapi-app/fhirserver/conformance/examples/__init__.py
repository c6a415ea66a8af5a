"""The types that the API documentation shows one by one, each with an example of HL7's (CC0).

The files beside this one are made by `scripts/build_examples.py`.
"""

import json
from pathlib import Path
from typing import Any

EXAMPLES = {
    "Patient": "example",
    "Practitioner": "example",
    "Organization": "f001",
    "Encounter": "f001",
    "Observation": "blood-pressure",
    "Condition": "example",
    "Medication": "med0301",
    "Procedure": "example",
}
FOLDER = Path(__file__).parent


def example(resource_type: str) -> dict[str, Any]:
    """The example of one of the types in `EXAMPLES`."""
    resource: dict[str, Any] = json.loads((FOLDER / f"{resource_type}.json").read_bytes())
    return resource
