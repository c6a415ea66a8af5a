"""https://hl7.org/fhir/R4/search.html#string"""

from collections.abc import Iterable
from typing import Any

from fhirserver.fhir.datatypes.text import normalised
from fhirserver.search.entry import EntryBuilder
from fhirserver.search.keys import ParameterKeys
from fhirserver.search.query.tree import KeyMatch, Node, StringMatch, disjunction
from fhirserver.search.types.clause import Clause, Index, Source, unescape

MODIFIERS = ("exact", "contains", "text")
SEPARATOR = "\x1e"

_PREFIXES = (1, 2, 4)

_PARTS = {
    "HumanName": ("text", "family", "given", "prefix", "suffix"),
    "Address": ("text", "line", "city", "district", "state", "postalCode", "country"),
}
_PLAIN = frozenset({"string", "markdown", "code", "uri", "url", "canonical", "id"})


def indexer(source: Source) -> Index | None:
    """Every part of a name or an address is a string of its own."""
    keys = source.keys
    parts = _PARTS.get(source.branch.type_name)
    if parts is None and source.branch.type_name not in _PLAIN:
        return None

    def index(value: Any, entry: EntryBuilder) -> None:
        for text in _strings(value, parts):
            entry.keys.add(keys.exact(text))
            found = normalised(text)
            entry.keys.update(keys.prefix(found[:length]) for length in _PREFIXES if length <= len(found))
            entry.strings[f"{keys.name}={found}"] = None

    return index


def _strings(value: Any, parts: Iterable[str] | None) -> Iterable[str]:
    if parts is None:
        if isinstance(value, str):
            yield value
        return
    if not isinstance(value, dict):
        return
    for part in parts:
        found = value.get(part)
        if isinstance(found, str):
            yield found
        elif isinstance(found, list):
            for item in found:
                if isinstance(item, str):
                    yield item


def parse(clause: Clause) -> Node:
    """A string starts with the value, contains it (`:contains`, `:text`), or is exactly it."""
    return disjunction(_parse_one(clause, value) for value in clause.values)


def _parse_one(clause: Clause, value: str) -> Node:
    text = unescape(value)
    if clause.modifier == "exact":
        return KeyMatch(clause.label(value), (clause.keys.exact(text),))
    wanted = normalised(text)
    if not wanted:
        raise clause.wrong(value, "a text to look for")
    if clause.modifier in ("contains", "text"):
        return StringMatch(clause.keys.name, "contains", wanted)
    return StringMatch(clause.keys.name, "starts", wanted, prefix_keys(clause.keys, wanted))


def prefix_keys(keys: ParameterKeys, text: str) -> tuple[int, ...]:
    """The key that every string has which starts with this normalised text."""
    return (keys.prefix(text[: max(length for length in _PREFIXES if length <= len(text))]),)
