"""Issues of one resource, and the places they are at."""

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeAlias

from fhirserver.fhir.definitions import Binding
from fhirserver.fhir.fhirpath import Environment
from fhirserver.fhir.outcomes import Issue, Severity

MAX_ISSUES = 100

# The place of the parent, the name, the index in an array. Made for every element, written out for few.
Place: TypeAlias = "tuple[Place | None, str, int | None]"


class TooManyIssues(Exception):
    """There are MAX_ISSUES errors: no need to look any further."""


@dataclass(frozen=True, slots=True)
class Context:
    """What is known of where a resource comes from.

    `outer_only`: resources within it (in a Bundle, in Parameters) are not looked into. `conditional`: references may be
    search criteria, as in a transaction.
    """

    outer_only: bool = False
    conditional: bool = False


@dataclass(frozen=True, slots=True)
class Question:
    """What only terminology can tell: whether one of these codes, with their systems, is in the value set bound to.

    Without a binding: whether the code, which has this display, is one of its system.
    """

    place: Place
    binding: Binding | None
    codes: tuple[tuple[str | None, str], ...]
    display: str | None = None


class Fragment(NamedTuple):
    """A reference to a contained resource: its id, empty for the one that contains all; the types allowed there."""

    id: str
    place: Place
    allowed: frozenset[str] | None
    has_to_exist: bool = True


class ProfileRun(Protocol):
    """The check against profiles, besides that against R4."""

    def resource(self, value: dict[str, Any], place: Place) -> None:
        """Called with each resource, the outermost and those within, once R4's own rules are checked."""

    def extension(self, value: dict[str, Any], url: str, place: Place) -> None:
        """Called with each extension that has an absolute url."""


class Report:
    """Collects issues. `add` raises TooManyIssues with the last error that fits.

    `malformed` counts the values that are not of their JSON type, so that a rule can tell whether it makes sense to
    look at an element. `fragments` are the references to contained resources within the resource at hand, `environment`
    is what FHIRPath knows of that, `start` the place where it begins. `questions` are left to those who may wait for an
    answer. `profiles` is what checks profiles, `unknown_profiles` those that nothing is known of, with the place that
    asks for each.
    """

    __slots__ = (
        "_errors", "context", "environment", "fragments", "issues", "malformed", "profiles", "questions", "start",
        "unknown_profiles",
    )  # fmt: skip

    def __init__(self, context: Context) -> None:
        self.context = context
        self.issues: list[Issue] = []
        self._errors = 0
        self.malformed = 0
        self.fragments: list[Fragment] = []
        self.questions: list[Question] = []
        self.environment = Environment()
        self.start: Place | None = None
        self.profiles: ProfileRun | None = None
        self.unknown_profiles: list[tuple[str, Place]] = []

    def add(self, code: str, diagnostics: str, place: Place, severity: Severity = "error") -> None:
        """An issue of this type at this place. What is no error is left out when there is too much of it."""
        is_full = len(self.issues) >= MAX_ISSUES
        if severity == "error":
            if is_full:
                # Never an error: with the last one that fits it would have ended.
                last = max(index for index, issue in enumerate(self.issues) if not issue.is_error)
                del self.issues[last]
            self._errors += 1
        elif is_full:
            return
        self.issues.append(Issue(severity, code, diagnostics, (written(place),)))
        if self._errors >= MAX_ISSUES:
            raise TooManyIssues

    def add_malformed(self, diagnostics: str, place: Place) -> None:
        """The value at this place has another form than JSON has for its type."""
        self.malformed += 1
        self.add("structure", diagnostics, place)


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
