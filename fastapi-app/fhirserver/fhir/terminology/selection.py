"""Which concepts of a code system a value set selects: a tree of conditions, which `holds` decides for one concept.

What is in a table of its own (`storage/`) is selected by the same tree, compiled to SQL.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import re2

from fhirserver.fhir.terminology.code_system import System
from fhirserver.fhir.terminology.concepts import Concept, Json


@dataclass(frozen=True, slots=True)
class Everything:
    """All concepts."""


@dataclass(frozen=True, slots=True)
class Codes:
    """These codes. Each comes with how the value set itself presents it (`display`, `designation`), which may be {}."""

    listed: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class IsA:
    """A concept and all that is below it; without the concept itself if it is `proper`."""

    code: str
    proper: bool = False


@dataclass(frozen=True, slots=True)
class Above:
    """A concept and all that it is below; `direct`: its parents only, without itself."""

    code: str
    direct: bool = False


@dataclass(frozen=True, slots=True)
class Property:
    """A property has one of these values; any value at all if they are None."""

    name: str
    values: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class Pattern:
    """A value of a property is, as a whole, what a regular expression (RE2: linear time) describes."""

    name: str
    regex: str


@dataclass(frozen=True, slots=True)
class And:
    parts: "Sequence[Selection]"


@dataclass(frozen=True, slots=True)
class Or:
    parts: "Sequence[Selection]"


@dataclass(frozen=True, slots=True)
class Not:
    part: "Selection"


Selection = Everything | Codes | IsA | Above | Property | Pattern | And | Or | Not

NOTHING = Or(())


def codes(listed: Iterable[str]) -> Codes:
    """These codes, which the value set doesn't present in a way of its own."""
    return Codes({code: {} for code in listed})


def holds(selection: Selection, concept: Concept, system: System) -> bool:
    """Whether a concept of this code system is selected."""
    match selection:
        case Codes(listed):
            return concept.code in listed
        case IsA(code, proper):
            return concept.code in system.below(code) or (not proper and code == concept.code)
        case Above(code, direct):
            return _is_above(concept.code, code, system, direct)
        case Everything():
            return True
        case And(parts):
            return all(holds(part, concept, system) for part in parts)
        case Or(parts):
            return any(holds(part, concept, system) for part in parts)
        case Not(part):
            return not holds(part, concept, system)
        case Property(name, values):
            found = concept.values(name)
            return bool(found) if values is None else not values.isdisjoint(found)
        case Pattern(name, regex):
            return any(re2.fullmatch(regex, value) is not None for value in concept.values(name))


def _is_above(code: str, other: str, system: System, direct: bool) -> bool:
    if not direct:
        return code == other or code in system.above(other)
    concept = system.concept(other)
    return concept is not None and code in concept.parents


def holds_for(selection: Selection, code: str) -> bool | None:
    """Whether a code is selected of which nothing else is known; None if that can't be told."""
    match selection:
        case Codes(listed):
            return code in listed
        case And(parts) | Or(parts):
            decisive = isinstance(selection, Or)
            decided = [holds_for(part, code) for part in parts]
            if decisive in decided:
                return decisive
            return None if None in decided else not decisive
        case Not(part):
            decided_part = holds_for(part, code)
            return None if decided_part is None else not decided_part
        case _:
            return None


def presentations(selection: Selection) -> dict[str, Json]:
    """How the value set presents the codes that it lists."""
    match selection:
        case Codes(listed):
            return {code: shown for code, shown in listed.items() if shown}
        case And(parts) | Or(parts):
            found: dict[str, Json] = {}
            for part in parts:
                found = presentations(part) | found
            return found
        case _:
            return {}


def listed_codes(selection: Selection) -> Sequence[str] | None:
    """The codes that may be selected, in the order of the value set, if it lists them one by one; else None."""
    match selection:
        case Codes(listed):
            return list(listed)
        case Or(parts):
            lists = [listed_codes(part) for part in parts]
            if any(codes is None for codes in lists):
                return None
            return list(dict.fromkeys(code for codes in lists for code in codes or ()))
        case And(parts):
            return next((codes for codes in (listed_codes(part) for part in parts) if codes is not None), None)
        case _:
            return None
