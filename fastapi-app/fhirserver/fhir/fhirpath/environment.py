"""What an expression is evaluated in: variables, clock, references, terminology, bounds. All given by the caller."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from fhirserver.fhir.fhirpath.errors import FhirPathError

_CHECK_EVERY = 4096


class Terminology(Protocol):
    """What memberOf, subsumes and subsumedBy ask. Codings are dicts; of a bare code only `code` is there.

    None means that it can't be told.
    """

    def member_of(self, codings: Sequence[Mapping[str, Any]], value_set: str) -> bool | None:
        """Whether one of the codings is in a value set (canonical URL)."""

    def subsumes(self, general: Mapping[str, Any], special: Mapping[str, Any]) -> bool | None:
        """Whether a coding is the same as, or an ancestor of, another."""


@dataclass(slots=True, eq=False)
class Environment:
    """The surroundings of evaluations of one resource, one after the other; not to be shared between threads.

    - `resource`: %resource; the node itself if it is not given. `root_resource`: %rootResource; else `resource`.
    - `variables`: others by name without `%`. Values: raw resources, Nodes, values of System types, lists of these.
    - `now`: what now(), today() and timeOfDay() say.
    - `resolve`: the resource behind a Reference (dict) or URL (str) that is not contained in `root_resource`.
      See `stub` for one that tells only the type.
    - `conforms_to(value, url)`: whether something conforms to a profile; None if the profile is not known.
    - `html_checks(text)`: whether XHTML is what R4 allows in narratives.
    - `in_slice(value, profile, slice name)`: for slice().
    What these call may evaluate other expressions, but in an environment of its own.
    - `max_steps` bounds the work of one evaluation; `expired` is asked now and then and ends it by saying True.
    """

    resource: dict[str, Any] | None = None
    root_resource: dict[str, Any] | None = None
    variables: Mapping[str, Any] = field(default_factory=dict)
    now: datetime | None = None
    resolve: Callable[[Any], dict[str, Any] | None] | None = None
    terminology: Terminology | None = None
    conforms_to: Callable[[Any, str], bool | None] | None = None
    html_checks: Callable[[str], bool] | None = None
    in_slice: Callable[[Any, str, str], bool] | None = None
    max_steps: int = 300_000
    expired: Callable[[], bool] | None = None
    # The state of the evaluation that is under way.
    context: Any = None
    index: Any = None
    total: Any = None
    steps: int = 0
    memory: dict[Any, Any] = field(default_factory=dict)

    def start(self, node: Any) -> None:
        """Begin an evaluation."""
        self.context = node
        self.steps = 0
        if self.memory:
            self.memory = {}

    @property
    def current_resource(self) -> Any:
        """%resource"""
        return self.context if self.resource is None else self.resource

    @property
    def current_root(self) -> Any:
        """%rootResource"""
        return self.current_resource if self.root_resource is None else self.root_resource

    def spend(self, steps: int) -> None:
        """Note that work was done. Raises FhirPathError when it is too much."""
        before, self.steps = self.steps, self.steps + steps
        if self.steps > self.max_steps:
            raise FhirPathError(f"the evaluation takes more than {self.max_steps} steps")
        if self.expired is not None and before // _CHECK_EVERY != self.steps // _CHECK_EVERY and self.expired():
            raise FhirPathError("the evaluation takes too long")
