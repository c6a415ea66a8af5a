"""The header Prefer: how much comes back from a write, and what happens to unknown search parameters.

https://hl7.org/fhir/R4/http.html#ops and https://hl7.org/fhir/R4/search.html#errors
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

Return = Literal["minimal", "representation", "OperationOutcome"]
_RETURNS: dict[str, Return] = {
    "minimal": "minimal",
    "representation": "representation",
    "operationoutcome": "OperationOutcome",
}


@dataclass(frozen=True, slots=True)
class Preferences:
    """What a client prefers. `returned` is None if it does not say; `lenient` unless it says strict."""

    returned: Return | None = None
    lenient: bool = True


_NONE = Preferences()


def preferences(header: str | None) -> Preferences:
    """What the header Prefer says. Preferences that are not known are ignored, as RFC 7240 has it."""
    return _NONE if header is None else _parse(header)


@lru_cache(maxsize=256)
def _parse(header: str) -> Preferences:
    returned: Return | None = None
    lenient = True
    for part in re.split("[,;]", header):
        name, _, value = part.partition("=")
        name, value = name.strip().lower(), value.strip().strip('"').lower()
        if name == "return" and returned is None:
            returned = _RETURNS.get(value)
        elif name == "handling" and value in ("strict", "lenient"):
            lenient = value == "lenient"
    return Preferences(returned, lenient)
