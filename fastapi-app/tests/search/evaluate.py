"""Queries asked of single resources in memory."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from fhirserver.fhir.definitions import Definitions
from fhirserver.search import evaluate
from fhirserver.search.entry import IndexEntry
from fhirserver.search.evaluate import Candidate
from fhirserver.search.extract import Extractor
from fhirserver.search.query.parse import parse_query
from fhirserver.search.query.tree import And, Node, Not, Or, RangeMatch, StringMatch
from fhirserver.search.request import SearchRequest

NOW = datetime(2024, 1, 1, tzinfo=UTC)
BASE_URL = "http://here/fhir"
MADRID = ZoneInfo("Europe/Madrid")


def holds(node: Node, entry: IndexEntry, id: str = "", last_updated: datetime = NOW, resource_type: str = "") -> bool:
    """Whether a resource with this index entry is a match. If so, what is said to follow from that has to be true."""
    candidate = Candidate(resource_type, id, last_updated, 0, entry)
    for leaf in _leaves(node):
        assert not evaluate.holds(leaf, candidate) or _follows(leaf, entry), f"{leaf}, but not what follows from it"
    return evaluate.holds(node, candidate)


def _leaves(node: Node) -> Iterator[RangeMatch | StringMatch]:
    if isinstance(node, RangeMatch | StringMatch):
        yield node
    elif isinstance(node, And | Or):
        for part in node.parts:
            yield from _leaves(part)
    elif isinstance(node, Not):
        yield from _leaves(node.part)


def _follows(leaf: RangeMatch | StringMatch, entry: IndexEntry) -> bool:
    if leaf.among and set(leaf.among).isdisjoint(entry.keys):
        return False
    when = leaf.when if isinstance(leaf, RangeMatch) else None
    if when is None or when.wide in entry.keys:
        return True
    first = when.first_of_long if when.long in entry.keys else when.first
    return entry.sort_date is not None and first - 1 <= entry.sort_date.timestamp() <= when.last + 1


def entry_is_sound(entry: IndexEntry) -> bool:
    """Whether the columns of an entry fit together and fit into the database's types."""
    return (
        entry.keys == sorted(set(entry.keys))
        and len(entry.range_key) == len(entry.range_low) == len(entry.range_high)
        and len(entry.ref_key) == len(entry.ref_target)
        and all(low <= high for low, high in zip(entry.range_low, entry.range_high, strict=True))
        and all(-(2**63) <= key < 2**63 for key in (*entry.keys, *entry.range_key, *entry.ref_key, *entry.ref_target))
        and "\x00" not in entry.strings
    )


@dataclass(frozen=True)
class Searcher:
    """Parses queries and asks them of single resources."""

    definitions: Definitions
    zone: tzinfo = UTC

    def extract(self, resource: dict[str, Any]) -> IndexEntry:
        return Extractor(self.definitions, self.zone).extract(resource, resource["resourceType"], BASE_URL)

    def parse(self, resource_type: str, *params: tuple[str, str], lenient: bool = False) -> SearchRequest:
        return parse_query(params, resource_type, self.definitions, self.zone, BASE_URL, lenient=lenient, now=NOW)

    def matches(self, resource: dict[str, Any], query: str, last_updated: datetime = NOW) -> bool:
        """Whether `name=value&…` (not percent-encoded) finds the resource."""
        params = [tuple(part.split("=", 1)) for part in query.split("&")]
        tree = self.parse(resource["resourceType"], *params).tree  # type: ignore[arg-type]
        return holds(tree, self.extract(resource), resource.get("id", ""), last_updated)
