"""The tree of a search: what a resource has to be like. Frozen values; `str(node)` is one canonical line.

The leaves say what an index entry (`search/extract.py`) has to contain, and nothing of how a database finds it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

Bound = Literal["low", "high"]
Operator = Literal["<", "<=", ">", ">="]


@dataclass(frozen=True, slots=True)
class Comparison:
    """One bound of an interval against a number: `high >= 5.0`."""

    bound: Bound
    operator: Operator
    value: float

    def __str__(self) -> str:
        return f"{self.bound} {self.operator} {self.value!r}"


@dataclass(frozen=True, slots=True)
class KeyMatch:
    """At least one of these keys is among the entry's. `label` is the clause as the client wrote it.

    `selective` is set where few resources have such a key by nature: a reference, an identifier.
    """

    label: str
    keys: tuple[int, ...]
    selective: bool = False

    def __str__(self) -> str:
        return self.label


@dataclass(frozen=True, slots=True)
class PlacedMatch(KeyMatch):
    """Each of the keys can be had in one bucket only; `by_bucket` says in which."""

    by_bucket: Mapping[int, tuple[int, ...]] = field(default_factory=dict, compare=False)

    def __str__(self) -> str:
        return self.label


@dataclass(frozen=True, slots=True)
class When:
    """The entry's `sort_date` is between these moments (in seconds), or it has the key `long` and is between
    `first_of_long` and the last one, or it has the key `wide`.

    `none_lasts`: no entry has one of these keys.
    """

    first: float
    last: float
    first_of_long: float
    long: int
    wide: int
    none_lasts: bool = False


@dataclass(frozen=True, slots=True)
class RangeMatch:
    """One of the entry's intervals under `key` satisfies all comparisons of one of the alternatives.

    From that it follows that the entry has a key of `among` (unless that is empty), and that its date is within `when`.
    """

    label: str
    key: int
    alternatives: tuple[tuple[Comparison, ...], ...]
    among: tuple[int, ...] = ()
    when: When | None = None

    def __str__(self) -> str:
        tests = " | ".join(" & ".join(map(str, comparisons)) for comparisons in self.alternatives)
        return f"{self.label}[{tests}]"


@dataclass(frozen=True, slots=True)
class StringMatch:
    """A string of the parameter starts with, contains, ends with, is, or is not this normalised text.

    From that it follows that the entry has a key of `among`, unless that is empty.
    """

    parameter: str
    how: Literal["starts", "contains", "ends", "is", "is not"]
    text: str
    among: tuple[int, ...] = ()

    def __str__(self) -> str:
        return f"{self.parameter} {self.how} {self.text!r}"


@dataclass(frozen=True, slots=True)
class TextMatch:
    """A text that goes with a code of the parameter has these words side by side; the last may be the start of one."""

    parameter: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.parameter}:text={' '.join(self.words)!r}"


@dataclass(frozen=True, slots=True)
class WordMatch:
    """The words of the resource satisfy a query (in the syntax of tsquery)."""

    label: str
    query: str

    def __str__(self) -> str:
        return f"{self.label}[{self.query}]"


@dataclass(frozen=True, slots=True)
class NearMatch:
    """The position, whose coordinates are under these keys, is within a distance; then it has one of the cells."""

    label: str
    cells: tuple[int, ...]
    latitude_key: int
    longitude_key: int
    latitude: float
    longitude: float
    kilometres: float

    def __str__(self) -> str:
        return self.label


@dataclass(frozen=True, slots=True)
class CodedMatch:
    """A code of the parameter is in a value set, or stands above or below a code: what these are is yet to be found
    out (`rewrite/pending.py`).

    `value` is the URL of the value set, or `system|code`.
    """

    label: str
    resource_type: str
    parameter: str
    place: str
    relation: Literal["in", "above", "below"]
    value: str

    def __str__(self) -> str:
        return self.label


@dataclass(frozen=True, slots=True)
class HierarchyMatch:
    """A reference of the parameter leads to one of these, or to what stands above or below it: yet to be found out."""

    label: str
    resource_type: str
    parameter: str
    place: str
    relation: Literal["above", "below"]
    targets: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        return self.label


@dataclass(frozen=True, slots=True)
class TypeMatch:
    """The resource is of one of these types."""

    types: tuple[str, ...]

    def __str__(self) -> str:
        return f"_type={','.join(self.types)}"


@dataclass(frozen=True, slots=True)
class IdMatch:
    """The id is one of these."""

    ids: tuple[str, ...]

    def __str__(self) -> str:
        return f"_id={','.join(self.ids)}"


@dataclass(frozen=True, slots=True)
class PlacedIdMatch(IdMatch):
    """Each of the ids is in one bucket only; `by_bucket` says in which."""

    by_bucket: Mapping[int, tuple[str, ...]] = field(default_factory=dict, compare=False)

    def __str__(self) -> str:
        return f"_id={','.join(self.ids)}"


@dataclass(frozen=True, slots=True)
class UpdatedMatch:
    """The time of the last update satisfies all comparisons of one of the alternatives."""

    alternatives: tuple[tuple[tuple[Operator, datetime], ...], ...]

    def __str__(self) -> str:
        tests = " | ".join(
            " & ".join(f"{operator} {moment.isoformat()}" for operator, moment in comparisons)
            for comparisons in self.alternatives
        )
        return f"_lastUpdated[{tests}]"


@dataclass(frozen=True, slots=True)
class InBuckets:
    """The resource lives in one of these buckets (decisions/0002)."""

    buckets: tuple[int, ...]

    def __str__(self) -> str:
        return f"bucket={','.join(map(str, self.buckets))}"


@dataclass(frozen=True, slots=True)
class And:
    """All parts hold; without parts: everything."""

    parts: tuple["Node", ...]

    def __str__(self) -> str:
        return f"({' AND '.join(map(str, self.parts))})" if self.parts else "everything"


@dataclass(frozen=True, slots=True)
class Or:
    """One part holds at least; without parts: nothing."""

    parts: tuple["Node", ...]

    def __str__(self) -> str:
        return f"({' OR '.join(map(str, self.parts))})" if self.parts else "nothing"


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold."""

    part: "Node"

    def __str__(self) -> str:
        return f"NOT {self.part}"


@dataclass(frozen=True, slots=True)
class Linked:
    """Resources of a type that match a tree, at one end of a reference."""

    resource_type: str
    node: "Node"

    def __str__(self) -> str:
        return f"{self.resource_type}({self.node})"


@dataclass(frozen=True, slots=True)
class Chain:
    """The resource refers by a parameter (its reference key) to a resource that is one of `targets`.

    Or to one that it contains itself, which is the same in other words: `contained`.
    """

    label: str
    reference: int
    targets: tuple[Linked, ...]
    contained: tuple["Node", ...] = ()

    def __str__(self) -> str:
        return f"{self.label} -> {' | '.join(map(str, self.targets))}"


@dataclass(frozen=True, slots=True)
class Has:
    """A resource that is `source` refers to this one by a parameter (its reference key)."""

    label: str
    reference: int
    source: Linked

    def __str__(self) -> str:
        return f"{self.label} <- {self.source}"


Node = (
    KeyMatch
    | RangeMatch
    | StringMatch
    | TextMatch
    | WordMatch
    | NearMatch
    | CodedMatch
    | HierarchyMatch
    | TypeMatch
    | IdMatch
    | UpdatedMatch
    | InBuckets
    | Chain
    | Has
    | And
    | Or
    | Not
)

EVERYTHING = And(())
NOTHING = Or(())


def conjunction(parts: Iterable[Node]) -> Node:
    """All of them; a single one stands for itself, and nested conjunctions are one."""
    flat: list[Node] = []
    for part in parts:
        flat.extend(part.parts if isinstance(part, And) else (part,))
    return flat[0] if len(flat) == 1 else And(tuple(flat))


def disjunction(parts: Iterable[Node]) -> Node:
    """One of them at least; keys and ids of the same clause become one leaf."""
    flat = list(parts)
    if len(flat) == 1:
        return flat[0]
    keys = [part for part in flat if isinstance(part, KeyMatch)]
    if keys and len(keys) == len(flat):
        labels = ",".join(key.label for key in keys)
        merged = tuple(dict.fromkeys(key for match in keys for key in match.keys))
        return KeyMatch(labels, merged, all(match.selective for match in keys))
    return Or(tuple(flat))
