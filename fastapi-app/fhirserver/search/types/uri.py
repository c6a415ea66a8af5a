"""https://hl7.org/fhir/R4/search.html#uri"""

from typing import Any

from fhirserver.search.entry import EntryBuilder
from fhirserver.search.query.tree import KeyMatch, Node, disjunction
from fhirserver.search.types.clause import Clause, Index, Source, unescape

MODIFIERS: tuple[str, ...] = ()

_URIS = frozenset({"uri", "url", "canonical", "oid", "uuid"})


def indexer(source: Source) -> Index | None:
    """URIs as they are; a canonical with a version is found without it too."""
    if source.branch.type_name not in _URIS:
        return None
    keys = source.keys
    canonical = source.branch.type_name == "canonical"

    def index(value: Any, entry: EntryBuilder) -> None:
        if isinstance(value, str):
            entry.keys.add(keys.uri(value))
            if canonical and "|" in value:
                entry.keys.add(keys.uri(value.partition("|")[0]))

    return index


def parse(clause: Clause) -> Node:
    """The URI is exactly this one."""
    return disjunction(KeyMatch(clause.label(value), (clause.keys.uri(unescape(value)),)) for value in clause.values)
