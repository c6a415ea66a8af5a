"""The index entry of a resource: everything by which a search can find it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from fhirserver.fhir.contained_resources import numbered

_NOTHING: Mapping[Any, tuple[str, int]] = {}
INDEX_FORMAT = 1
"""Of what the entries are like. It goes up by one when an entry can differ from what it was for the same resource by
the same definitions: then everything is indexed anew after the upgrade (decisions/0011)."""


@dataclass(slots=True)
class IndexEntry:
    """Columns of the resource's row (decisions/0002).

    `keys`: what compares for equality. `range_key`, `range_low`, `range_high`: intervals, side by side.
    `ref_key`, `ref_target`: references, side by side. `strings`: normalised strings; `texts`: those that go with
    codes. `narrative`, `words`: the words of the narrative and all others, in order. `sort_date`: when it was.

    `index_version` tells by which rules it was made (decisions/0011). `problems`: (code, reason) of the parameters
    whose expression could not be evaluated on this resource, which has no values of them then.
    """

    keys: list[int] = field(default_factory=list)
    range_key: list[int] = field(default_factory=list)
    range_low: list[float] = field(default_factory=list)
    range_high: list[float] = field(default_factory=list)
    ref_key: list[int] = field(default_factory=list)
    ref_target: list[int] = field(default_factory=list)
    self_key: int | None = None
    strings: str = ""
    texts: str = ""
    narrative: Sequence[str] = ()
    words: Sequence[str] = ()
    sort_date: datetime | None = None
    index_version: int = 0
    problems: Sequence[tuple[str, str]] = ()


class EntryBuilder:
    """Collects what the values of a resource contribute. References below `base_url` are to this server.

    `contained` tells type and place of each contained resource by its id. `places` counts the values of composites
    whose parts are told apart by their place.
    """

    __slots__ = (
        "base_url",
        "contained",
        "keys",
        "places",
        "problems",
        "ranges",
        "references",
        "resource",
        "strings",
        "texts",
    )

    def __init__(self, base_url: str, resource: dict[str, Any]) -> None:
        self.base_url = base_url
        self.resource = resource
        self.contained: Mapping[Any, tuple[str, int]] = (
            {item.get("id"): (name, number) for name, number, item in numbered(resource["contained"])}
            if "contained" in resource
            else _NOTHING
        )
        self.keys: set[int] = set()
        self.places: dict[str, int] = {}
        self.problems: dict[str, str] = {}
        self.ranges: dict[tuple[int, float, float], None] = {}
        self.references: dict[tuple[int, int], None] = {}
        self.strings: dict[str, None] = {}
        self.texts: dict[str, None] = {}

    def add_range(self, key: int, low: float, high: float) -> None:
        """An interval under a key."""
        self.ranges[key, low, high] = None
