"""The codes of the value sets that R4 binds elements to with strength `required`.

https://hl7.org/fhir/R4/terminologies.html#required
"""

from collections.abc import Mapping
from typing import Any

Codes = Mapping[str, frozenset[str]]


def read_value_sets(content: Mapping[str, Any]) -> dict[str, Codes | None]:
    """Codes by system, by canonical URL of the value set; None if the codes cannot be listed.

    Those are the sets of all media types, all currencies, all UCUM units, and one of LOINC.
    """
    return {
        url: None if systems is None else {system: frozenset(codes) for system, codes in systems.items()}
        for url, systems in content.items()
    }
