"""Search → the same search among what may be seen, at every resource that it touches.

`patient -> Patient(name starts 'ana')` on Observation
→ `(patient -> Patient((name starts 'ana' AND <what may be seen of Patient>)) AND <what may be seen of Observation>)`

What may not be seen does not exist: neither as a match nor at the other end of a reference. So no answer, no total and
no order depends on it.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from fhirserver.search.query.tree import (
    EVERYTHING,
    And,
    Chain,
    CodedMatch,
    Has,
    HierarchyMatch,
    IdMatch,
    InBuckets,
    KeyMatch,
    Linked,
    NearMatch,
    Node,
    Not,
    Or,
    RangeMatch,
    StringMatch,
    TextMatch,
    TypeMatch,
    UpdatedMatch,
    WordMatch,
    conjunction,
)
from fhirserver.search.request import SearchRequest, Sort
from fhirserver.search.rewrite.narrow import narrowed
from fhirserver.search.rewrite.types import over_types

Within = Callable[[str], Node | None]
"""For a resource type the tree that its resources have to match; None if all do."""


def restrict(request: SearchRequest, within: Within, all_types: Sequence[str]) -> SearchRequest:
    """The request, restricted. Where all of its matches live follows from the restriction too."""
    types = (request.resource_type,) if request.resource_type else request.types or all_types
    seen = over_types({name: within(name) or EVERYTHING for name in types})
    tree = conjunction((_inside(request.tree, within), seen))
    buckets = buckets_of(tree)
    if request.buckets is not None:
        buckets = request.buckets if buckets is None else request.buckets & buckets
    sort = tuple(_sort(key, within) for key in request.sort)
    return replace(request, tree=narrowed(tree, buckets), sort=sort, buckets=buckets, restricted=True)


def _sort(sort: Sort, within: Within) -> Sort:
    """The key of an order, along references to what may be seen only."""
    links = ((replace(link, within=within(link.resource_type)), _sort(key, within)) for link, key in sort.links)
    return replace(sort, links=tuple(links))


def buckets_of(node: Node) -> frozenset[int] | None:
    """The buckets that hold all matches, as far as `InBuckets` tells; None if they can be anywhere."""
    match node:
        case InBuckets(buckets=buckets):
            return frozenset(buckets)
        case And(parts=parts):
            known = [found for part in parts if (found := buckets_of(part)) is not None]
            return frozenset.intersection(*known) if known else None
        case Or(parts=parts):
            each = [buckets_of(part) for part in parts]
            return frozenset().union(*(found for found in each if found is not None)) if None not in each else None
    return None


def _inside(node: Node, within: Within) -> Node:
    """The node with every resource that it leads to restricted."""
    match node:
        case KeyMatch() | RangeMatch() | StringMatch() | TextMatch() | WordMatch() | NearMatch() | TypeMatch():
            return node
        case IdMatch() | UpdatedMatch() | InBuckets():
            return node
        case CodedMatch() | HierarchyMatch():
            raise ValueError(f"{node} is to be found out first")
        case Chain(targets=targets, contained=contained):
            inside = tuple(_inside(part, within) for part in contained)
            return replace(node, targets=tuple(_linked(target, within) for target in targets), contained=inside)
        case Has(source=source):
            return replace(node, source=_linked(source, within))
        case And(parts=parts):
            return And(tuple(_inside(part, within) for part in parts))
        case Or(parts=parts):
            return Or(tuple(_inside(part, within) for part in parts))
        case Not(part=part):
            return Not(_inside(part, within))


def _linked(linked: Linked, within: Within) -> Linked:
    seen = within(linked.resource_type) or EVERYTHING
    return replace(linked, node=conjunction((_inside(linked.node, within), seen)))
