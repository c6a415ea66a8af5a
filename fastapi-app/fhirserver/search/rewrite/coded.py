"""Codes that are told by a value set or a hierarchy → the keys of these codes.

`code:in=http://…/vital-signs` → a match of any of the keys of its codes; `code:below=http://loinc.org|LP1-1` → of the
code and those below it. What the codes are is found out in between: nothing here waits.
"""

from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import replace

from fhirserver.search.keys import ParameterKeys
from fhirserver.search.query.tree import And, Chain, CodedMatch, Has, KeyMatch, Linked, Node, Not, Or

Codes = Mapping[str, Set[str]]
"""Codes by their code system."""


def coded_leaves(node: Node) -> Iterator[CodedMatch]:
    """The leaves whose codes are to be found out, also those at the other end of references."""
    match node:
        case CodedMatch():
            yield node
        case And(parts=parts) | Or(parts=parts):
            for part in parts:
                yield from coded_leaves(part)
        case Not(part=part):
            yield from coded_leaves(part)
        case Chain(targets=targets):
            for target in targets:
                yield from coded_leaves(target.node)
        case Has(source=source):
            yield from coded_leaves(source.node)


def with_codes(node: Node, found: Mapping[CodedMatch, Codes]) -> Node:
    """The tree with what was found out."""
    return _replaced(node, lambda leaf: _keys(leaf, found[leaf]))


def _keys(leaf: CodedMatch, codes: Codes) -> Node:
    keys = ParameterKeys(leaf.resource_type, leaf.parameter, leaf.place)
    return KeyMatch(leaf.label, tuple(keys.token(system, code) for system in codes for code in sorted(codes[system])))


def _replaced(node: Node, by: Callable[[CodedMatch], Node]) -> Node:
    match node:
        case CodedMatch():
            return by(node)
        case And(parts=parts) | Or(parts=parts):
            return replace(node, parts=tuple(_replaced(part, by) for part in parts))
        case Not(part=part):
            return Not(_replaced(part, by))
        case Chain(targets=targets):
            return replace(node, targets=tuple(_linked(target, by) for target in targets))
        case Has(source=source):
            return replace(node, source=_linked(source, by))
    return node


def _linked(linked: Linked, by: Callable[[CodedMatch], Node]) -> Linked:
    return replace(linked, node=_replaced(linked.node, by))
