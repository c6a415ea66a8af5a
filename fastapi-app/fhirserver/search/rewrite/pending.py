"""Leaves that are yet to be found out → the keys that they stand for.

`code:in=http://…/vital-signs` → a match of any of the keys of its codes; `location:below=1` → of the location and those
that are part of it. What these are is found out in between (`interactions/pending.py`): nothing here waits.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from fhirserver.search.query.tree import And, Chain, CodedMatch, Has, HierarchyMatch, KeyMatch, Linked, Node, Not, Or

Pending = CodedMatch | HierarchyMatch


def pending_leaves(node: Node) -> Iterator[Pending]:
    """The leaves that are to be found out, also those at the other end of references."""
    match node:
        case CodedMatch() | HierarchyMatch():
            yield node
        case And(parts=parts) | Or(parts=parts):
            for part in parts:
                yield from pending_leaves(part)
        case Not(part=part):
            yield from pending_leaves(part)
        case Chain(targets=targets, contained=contained):
            for part in (*(target.node for target in targets), *contained):
                yield from pending_leaves(part)
        case Has(source=source):
            yield from pending_leaves(source.node)


def with_found(node: Node, found: Mapping[Pending, KeyMatch]) -> Node:
    """The tree with what was found out."""
    match node:
        case CodedMatch() | HierarchyMatch():
            return found[node]
        case And(parts=parts) | Or(parts=parts):
            return replace(node, parts=tuple(with_found(part, found) for part in parts))
        case Not(part=part):
            return Not(with_found(part, found))
        case Chain(targets=targets, contained=contained):
            inside = tuple(with_found(part, found) for part in contained)
            return replace(node, targets=tuple(_linked(target, found) for target in targets), contained=inside)
        case Has(source=source):
            return replace(node, source=_linked(source, found))
    return node


def _linked(linked: Linked, found: Mapping[Pending, KeyMatch]) -> Linked:
    return replace(linked, node=with_found(linked.node, found))
