"""What goes wrong with an expression."""

from typing import NamedTuple


class Place(NamedTuple):
    """A position in an expression."""

    text: str
    position: int


class FhirPathError(ValueError):
    """The expression is not FHIRPath, or can't be evaluated on what it was given; the message says where."""

    def __init__(self, problem: str, place: Place | None = None):
        self.problem = problem
        self.place = place
        where = "" if place is None else f" (position {place.position} of {_shortened(place.text)})"
        super().__init__(problem + where)


def _shortened(text: str) -> str:
    return f"'{text}'" if len(text) <= 200 else f"'{text[:200]}…'"
