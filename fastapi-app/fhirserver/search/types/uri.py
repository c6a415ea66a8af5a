"""https://hl7.org/fhir/R4/search.html#uri"""

from typing import Any

from fhirserver.search.entry import EntryBuilder
from fhirserver.search.query.tree import KeyMatch, Node, disjunction
from fhirserver.search.types.clause import Clause, Index, Source, unescape

MODIFIERS = ("above", "below")

_MAX_LEVELS = 32

_URIS = frozenset({"uri", "url", "canonical", "oid", "uuid"})


def indexer(source: Source) -> Index | None:
    """URIs as they are, and what they are below; a canonical with a version is found without it too."""
    if source.branch.type_name not in _URIS:
        return None
    keys = source.keys
    canonical = source.branch.type_name == "canonical"

    def index(value: Any, entry: EntryBuilder) -> None:
        if isinstance(value, str):
            entry.keys.add(keys.uri(value))
            entry.keys.update(map(keys.under, _levels(value)))
            if canonical and "|" in value:
                entry.keys.add(keys.uri(value.partition("|")[0]))

    return index


def parse(clause: Clause) -> Node:
    """The URI is exactly this one, lies below it, or above it in the hierarchy of its path."""
    return disjunction(_parse_one(clause, value) for value in clause.values)


def _parse_one(clause: Clause, value: str) -> Node:
    uri = unescape(value)
    if clause.modifier is None:
        return KeyMatch(clause.label(value), (clause.keys.uri(uri),))
    if "://" not in uri:
        raise clause.wrong(value, "a URL with a path; :above and :below are not for other URIs")
    if clause.modifier == "below":
        return KeyMatch(clause.label(value), (clause.keys.under(uri.rstrip("/")),))
    return KeyMatch(
        clause.label(value), tuple(clause.keys.uri(form) for level in _levels(uri) for form in (level, level + "/"))
    )


def _levels(uri: str) -> list[str]:
    """A URL and those above it: `http://a/b/c`, `http://a/b`, `http://a`; none of another URI.

    Above a canonical of one version, `http://a/b|1.2`, are `http://a/b|1` and `http://a/b`.
    """
    url, _, version = uri.partition("|")
    scheme, mark, rest = url.partition("://")
    if not mark:
        return []
    numbers = version.split(".") if version else []
    found = [f"{url}|{'.'.join(numbers[:length])}" for length in range(len(numbers), 0, -1)]
    parts = rest.rstrip("/").split("/")
    found += [f"{scheme}://{'/'.join(parts[:length])}" for length in range(len(parts), 0, -1)]
    return found[:_MAX_LEVELS]
