"""The ways to a page: which of the conditions and orders that mean the same lets PostgreSQL find it soon.

It is decisions/0013 as code. What is chosen by statistics is a matter of speed only.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import ceil, sqrt

from fhirserver.search.query.tree import (
    And,
    Chain,
    Has,
    IdMatch,
    KeyMatch,
    NearMatch,
    Node,
    Or,
    RangeMatch,
    StringMatch,
    When,
    conjunction,
)
from fhirserver.search.request import SearchRequest
from fhirserver.storage.compile.shares import Statistics, at_most, likely

FEW = 600
"""So many rows are fetched and sorted sooner than any order is gone through."""
_MANY_OF_A_BUCKET = 2000
_DENSE = 0.02  # a share of rows that is met soon on the way through any order
_MARGIN = 2.5
_INDEXED = 3  # characters
# The entry of an index costs that much of what a row costs.
_ENTRY = 0.02


@dataclass(frozen=True, slots=True)
class Way:
    """One of them.

    `sorts`: what matches is fetched and sorted, no order is gone through. `by_keys`: nor is what has the type. `bound`:
    only up to this id. `steps`: only so many resources of the type, from the beginning of the order. `by_strings`: the
    index on strings comes into question too. `in_buckets`: where the matches live is said too.
    """

    sorts: bool = False
    by_keys: bool = False
    bound: str | None = None
    steps: int | None = None
    by_strings: bool = False
    in_buckets: bool = True


def ways(
    request: SearchRequest, position: str | None, statistics: Statistics | None, *, down: bool, few: bool
) -> Iterator[Way]:
    """The ways to go, one after the other until one gives a whole page; the last gives what there is.

    `position` is the id that an order by ids goes on from, `down` its direction. `few`: it is known that few match.
    """
    scattered = request.buckets is None or len(request.buckets) > 1
    by_keys = scattered and is_selective(request.tree) and not _asks_for_ids(request.tree)
    way = Way(scattered and (few or is_selective(request.tree)), by_keys)
    if statistics is None:
        yield way
        return
    if scattered and at_most(request.tree, statistics) * statistics.rows <= FEW:
        yield Way(True, True)
        return
    if not scattered and request.sort and request.sort[0].by == "sort_date":
        share = likely(request.tree, statistics)
        yield Way(in_buckets=share is None or share * statistics.rows < _MANY_OF_A_BUCKET)
        return
    if request.buckets is None and request.resource_type and all(sort.by == "id" for sort in request.sort):
        if _asks_for_a_text(request.tree) and not way.sorts:
            yield Way(steps=balance(request, statistics, statistics.types.get(request.resource_type, 0.0)))
            yield Way(by_strings=True)
            return
        part = _part(request, statistics)
        bound = statistics.bound(position, part, down=down) if part is not None else None
        if bound is not None:
            yield Way(bound=bound)
    yield way


def _part(request: SearchRequest, statistics: Statistics) -> float | None:
    """The part of the table that has a page of matches, if that is worth to be looked at alone."""
    share = likely(request.tree, statistics)
    if share is None or share > _DENSE:
        return None
    matches = share * statistics.rows
    part = _MARGIN * ((request.count or 0) + 1) / matches
    return part if matches > FEW and part * statistics.rows * _ENTRY < matches else None


def balance(request: SearchRequest, statistics: Statistics, share: float = 1.0) -> int:
    """So many matches among this share of all rows are fetched as soon as a page of them is met on the way through."""
    return ceil(sqrt(((request.count or 0) + 1) * share * statistics.rows))


def to_all(request: SearchRequest) -> Way:
    """The way to all matches, in no order."""
    return Way(by_keys=asks_for_keys(request.tree), by_strings=_asks_for_a_text(request.tree))


def asks_for_keys(node: Node) -> bool:
    """Whether all that matches is found by keys."""
    match node:
        case KeyMatch():
            return True
        case RangeMatch(among=among) | StringMatch(among=among):
            return bool(among)
        case And(parts=parts):
            return any(map(asks_for_keys, parts)) and not any(map(_asks_for_ids, parts))
        case Or(parts=parts):
            return bool(parts) and all(map(asks_for_keys, parts))
    return False


def _asks_for_a_text(node: Node) -> bool:
    """Whether strings have to contain a text, by which an index finds them."""
    match node:
        case StringMatch(how="contains" | "ends", text=text):
            return len(text) >= _INDEXED
        case And(parts=parts):
            return any(map(_asks_for_a_text, parts))
        case Or(parts=parts):
            return bool(parts) and all(map(_asks_for_a_text, parts))
    return False


def is_selective(node: Node) -> bool:
    """Whether few rows match by nature."""
    match node:
        case KeyMatch(selective=selective):
            return selective
        case IdMatch() | Chain() | Has() | NearMatch():
            return True
        case And(parts=parts):
            return any(is_selective(part) for part in parts)
        case Or(parts=parts):
            return bool(parts) and all(is_selective(part) for part in parts)
    return False


def _asks_for_ids(node: Node) -> bool:
    """Whether ids are asked for, which an index has by type only."""
    return isinstance(node, IdMatch) or (isinstance(node, And | Or) and any(map(_asks_for_ids, node.parts)))


def dates(request: SearchRequest, statistics: Statistics) -> When | None:
    """Between which dates all matches are that don't last for days, if hardly any last so long; None where it doesn't
    matter, as few have the keys that are asked for."""
    if at_most(request.tree, statistics) * statistics.rows <= FEW:
        return None
    found = [part.when for part in _parts(request.tree) if isinstance(part, RangeMatch) and part.when is not None]
    if not found or not request.resource_type or request.buckets is not None:
        return None
    if statistics.share((found[0].long, found[0].wide)) * statistics.rows > FEW:
        return None
    first, last = max(when.first for when in found), min(when.last for when in found)
    return When(first, last, first, found[0].long, found[0].wide)


def none_lasts(request: SearchRequest) -> SearchRequest:
    """The request where it is known that nothing of the type lasts for days."""
    parts = (
        replace(part, when=replace(part.when, none_lasts=True))
        if isinstance(part, RangeMatch) and part.when is not None
        else part
        for part in _parts(request.tree)
    )
    return replace(request, tree=conjunction(parts))


def _parts(tree: Node) -> Sequence[Node]:
    return tree.parts if isinstance(tree, And) else (tree,)
