"""Issues of one resource, and the places they are at."""

from typing import Any, TypeAlias

from fhirserver.fhir.outcomes import Issue

MAX_ISSUES = 100

# The place of the parent, the name, the index in an array. Made for every element, written out for few.
Place: TypeAlias = "tuple[Place | None, str, int | None]"


class TooManyIssues(Exception):
    """There are MAX_ISSUES issues: no need to look any further."""


class Report:
    """Collects issues. `add` raises TooManyIssues with the last one that fits."""

    __slots__ = ("issues",)

    def __init__(self) -> None:
        self.issues: list[Issue] = []

    def add(self, code: str, diagnostics: str, place: Place) -> None:
        """An error of this issue type at this place."""
        self.issues.append(Issue("error", code, diagnostics, (written(place),)))
        if len(self.issues) >= MAX_ISSUES:
            raise TooManyIssues


def written(place: Place) -> str:
    """The place as FHIRPath with JSON's names: `Observation.component[2].valueQuantity.value`."""
    parts: list[str] = []
    at: Place | None = place
    while at is not None:
        at, name, index = at
        parts.append(name if index is None else f"{name}[{index}]")
    return ".".join(reversed(parts))


def kind_of(value: Any) -> str:
    """What a JSON value is, in words."""
    if value is None:
        return "null"
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "an array"
    if isinstance(value, str):
        return "a string"
    return "a boolean" if isinstance(value, bool) else "a number"


def shown(value: Any) -> str:
    """A value for a message, shortened if it is long."""
    text = ascii(value) if isinstance(value, str) and not value.isprintable() else str(value)
    return text if len(text) <= 60 else text[:60] + "…"
