"""What a tree means, on index entries in memory: the definition that SQL has to agree with."""

import operator
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from fhirserver.fhir.definitions import Definitions
from fhirserver.search.entry import IndexEntry
from fhirserver.search.extract import Extractor
from fhirserver.search.query.parse import parse_query
from fhirserver.search.query.tree import (
    And,
    IdMatch,
    KeyMatch,
    Node,
    Not,
    Or,
    RangeMatch,
    StringMatch,
    TypeMatch,
    UpdatedMatch,
)
from fhirserver.search.request import SearchRequest

NOW = datetime(2024, 1, 1, tzinfo=UTC)
BASE_URL = "http://here/fhir"
MADRID = ZoneInfo("Europe/Madrid")

_COMPARE = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


def holds(node: Node, entry: IndexEntry, id: str = "", last_updated: datetime = NOW, resource_type: str = "") -> bool:
    """Whether a resource with this index entry is a match."""
    match node:
        case KeyMatch(keys=keys):
            return not set(keys).isdisjoint(entry.keys)
        case RangeMatch(key=key, alternatives=alternatives):
            intervals = [
                {"low": low, "high": high}
                for found, low, high in zip(entry.range_key, entry.range_low, entry.range_high, strict=True)
                if found == key
            ]
            return any(
                all(_COMPARE[test.operator](interval[test.bound], test.value) for test in tests)
                for interval in intervals
                for tests in alternatives
            )
        case StringMatch(parameter=parameter, how=how, text=text):
            found = [item.partition("=") for item in entry.strings.split("\x1e") if item]
            strings = [value for code, _, value in found if code == parameter]
            return any(text in string if how == "contains" else string.startswith(text) for string in strings)
        case TypeMatch(types=types):
            return resource_type in types
        case IdMatch(ids=ids):
            return id in ids
        case UpdatedMatch(alternatives=moments):
            return any(all(_COMPARE[sign](last_updated, moment) for sign, moment in tests) for tests in moments)
        case And(parts=parts):
            return all(holds(part, entry, id, last_updated, resource_type) for part in parts)
        case Or(parts=parts):
            return any(holds(part, entry, id, last_updated, resource_type) for part in parts)
        case Not(part=part):
            return not holds(part, entry, id, last_updated, resource_type)


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
