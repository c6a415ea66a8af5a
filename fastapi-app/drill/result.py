"""What a check found."""

from dataclasses import dataclass, field
from enum import Enum


class Status(Enum):
    """How a check ended."""

    PASSED = "✓"
    FAILED = "✗"
    NOT_APPLICABLE = "–"


class CheckFailed(Exception):
    """A check found something that is not as it has to be; the message says what."""


class NotApplicable(Exception):
    """There is nothing to check here; the message says why."""


@dataclass
class Chart:
    """Bars: a title, and for each label a number."""

    title: str
    bars: dict[str, float]


@dataclass
class Result:
    """One check: what it is called, how it ended, how long it took, what it measured."""

    name: str
    status: Status = Status.PASSED
    seconds: float = 0.0
    lines: list[str] = field(default_factory=list)
    charts: list[Chart] = field(default_factory=list)

    def note(self, line: str) -> None:
        """A line of detail for the report."""
        self.lines.append(line)

    def expect(self, what: str, found: object, expected: object) -> None:
        """Note what was found. Raises CheckFailed if it is not what was expected."""
        self.note(f"{what}: {found}")
        if found != expected:
            raise CheckFailed(f"{what}: {found}, not {expected}")
