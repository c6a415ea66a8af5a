"""What a tree means, on a version of a resource in memory: the definition that SQL has to agree with.

For a version that is not stored yet, and for older ones, which have no index entry in the database.
"""

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from fhirserver.search.entry import IndexEntry
from fhirserver.search.query.tree import (
    And,
    Comparison,
    IdMatch,
    InBuckets,
    KeyMatch,
    Node,
    Not,
    Or,
    PlacedMatch,
    RangeMatch,
    StringMatch,
    TypeMatch,
    UpdatedMatch,
)

_COMPARE_TEXT: dict[str, Callable[[str, str], bool]] = {
    "starts": str.startswith,
    "contains": operator.contains,
    "ends": str.endswith,
    "is": operator.eq,
    "is not": operator.ne,
}
_COMPARE = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A version of a resource, as far as a tree can ask for it."""

    resource_type: str
    id: str
    last_updated: datetime
    bucket: int
    entry: IndexEntry


def holds(node: Node, candidate: Candidate) -> bool:
    """Whether the candidate is a match. TypeError for what takes more than the candidate: see `is_evaluable`."""
    entry = candidate.entry
    match node:
        case PlacedMatch(by_bucket=by_bucket):
            return not set(by_bucket.get(candidate.bucket, ())).isdisjoint(entry.keys)
        case KeyMatch(keys=keys):
            return not set(keys).isdisjoint(entry.keys)
        case RangeMatch(key=key, alternatives=alternatives):
            return any(
                found == key and any(all(_compares(test, low, high) for test in tests) for tests in alternatives)
                for found, low, high in zip(entry.range_key, entry.range_low, entry.range_high, strict=True)
            )
        case StringMatch(parameter=parameter, how=how, text=text):
            return any(_COMPARE_TEXT[how](string, text) for string in _strings(entry, parameter))
        case TypeMatch(types=types):
            return candidate.resource_type in types
        case IdMatch(ids=ids):
            return candidate.id in ids
        case UpdatedMatch(alternatives=moments):
            return any(
                all(_COMPARE[sign](candidate.last_updated, moment) for sign, moment in tests) for tests in moments
            )
        case InBuckets(buckets=buckets):
            return candidate.bucket in buckets
        case And(parts=parts):
            return all(holds(part, candidate) for part in parts)
        case Or(parts=parts):
            return any(holds(part, candidate) for part in parts)
        case Not(part=part):
            return not holds(part, candidate)
    raise TypeError(f"{node} asks for other resources")


def is_evaluable(node: Node) -> bool:
    """Whether the tree asks for nothing but the resource itself."""
    match node:
        case KeyMatch() | RangeMatch() | StringMatch() | TypeMatch() | IdMatch() | UpdatedMatch() | InBuckets():
            return True
        case And(parts=parts) | Or(parts=parts):
            return all(map(is_evaluable, parts))
        case Not(part=part):
            return is_evaluable(part)
    return False


def _compares(test: Comparison, low: float, high: float) -> bool:
    return bool(_COMPARE[test.operator](low if test.bound == "low" else high, test.value))


def _strings(entry: IndexEntry, parameter: str) -> Sequence[str]:
    found = (item.partition("=") for item in entry.strings.split("\x1e") if item)
    return [value for code, _, value in found if code == parameter]
