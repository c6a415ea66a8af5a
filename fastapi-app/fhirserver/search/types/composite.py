"""https://hl7.org/fhir/R4/search.html#composite

The values of the parts belong together: those of one `Observation.component`, say. So they are indexed together: for
every combination of the keys of the first parts, the last part's keys and intervals have keys of their own.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product
from struct import Struct
from typing import Any

from xxhash import xxh3_64_intdigest

from fhirserver.fhir.definitions import Definitions
from fhirserver.fhir.definitions.search_parameters import SearchParameter
from fhirserver.fhir.fhirpath.errors import FhirPathError
from fhirserver.fhir.fhirpath.paths import compile_paths
from fhirserver.search.entry import EntryBuilder
from fhirserver.search.keys import ParameterKeys, signed
from fhirserver.search.query.tree import KeyMatch, Node, Or, RangeMatch, disjunction
from fhirserver.search.types import date, number, quantity, reference, token, uri
from fhirserver.search.types.clause import Clause, Index, Source, split

MODIFIERS: tuple[str, ...] = ()

_pair = Struct("<qq").pack
_Indexer = Callable[[Source], Index | None]
_Parse = Callable[[Clause], Node]
_KEYED: dict[str, tuple[_Indexer, _Parse]] = {
    "token": (token.indexer, token.parse),
    "reference": (reference.indexer, reference.parse),
    "uri": (uri.indexer, uri.parse),
    "date": (date.indexer, date.parse),
}
_LAST: dict[str, tuple[_Indexer, _Parse]] = {
    **_KEYED,
    "number": (number.indexer, number.parse),
    "quantity": (quantity.indexer, quantity.parse),
}


@dataclass(frozen=True, slots=True)
class _Part:
    """One component: the parameter it stands for, with the composite's own keys, and its expression."""

    parameter: SearchParameter
    keys: ParameterKeys
    expression: str


@lru_cache(maxsize=1024)
def _parts(parameter: SearchParameter, definitions: Definitions) -> tuple[_Part, ...] | None:
    """The components; None if one of them can't be part of a key, or selects what is outside of its base."""
    by_url = {known.url: known for known in definitions.search_parameters(parameter.base).values()}
    parts = []
    for position, component in enumerate(parameter.components):
        known = by_url.get(component.definition)
        is_last = position == len(parameter.components) - 1
        if known is None or known.type not in (_LAST if is_last else _KEYED):
            return None
        keys = ParameterKeys(parameter.base, f"{parameter.code}${position}")
        parts.append(_Part(known, keys, component.expression))
    return tuple(parts) or None


def is_supported(parameter: SearchParameter, definitions: Definitions) -> bool:
    """Whether all components of the composite can be combined."""
    parts = _parts(parameter, definitions)
    if parts is None or parameter.expression is None:
        return False
    try:
        for branch in compile_paths(parameter.expression, parameter.base, definitions):
            for part in parts:
                compile_paths(part.expression, branch.type_name, definitions)
    except FhirPathError:
        return False
    return True


def indexer(source: Source) -> Index | None:
    """The combinations within each value that the composite's own expression selects."""
    components = []
    for part in _parts(source.parameter, source.definitions) or ():
        rules = []
        for branch in compile_paths(part.expression, source.branch.type_name, source.definitions):
            index = _LAST[part.parameter.type][0](replace(source, branch=branch, keys=part.keys))
            if index is not None:
                rules.append((branch.select, index))
        components.append(rules)

    def index_value(value: Any, entry: EntryBuilder) -> None:
        heads: Iterable[int] = (0,)
        for rules in components[:-1]:
            heads = [combined(head, key) for head, key in product(heads, _indexed(rules, value, entry).keys)]
        last = _indexed(components[-1], value, entry)
        for head in heads:
            entry.keys.update(combined(head, key) for key in last.keys)
            for key, low, high in last.ranges:
                entry.add_range(combined(head, key), low, high)

    return index_value


def _indexed(
    rules: Iterable[tuple[Callable[[Any], list[Any]], Index]], value: Any, entry: EntryBuilder
) -> EntryBuilder:
    found = EntryBuilder(entry.base_url)
    for select, index in rules:
        for item in select(value):
            index(item, found)
    return found


def combined(first: int, second: int) -> int:
    """One key of two, in this order."""
    return signed(xxh3_64_intdigest(_pair(first, second)))


def parse(clause: Clause) -> Node:
    """`part$part`: each part as its own parameter takes it."""
    return disjunction(_parse_one(clause, value) for value in clause.values)


def _parse_one(clause: Clause, value: str) -> Node:
    parts = _parts(clause.parameter, clause.definitions) or ()
    texts = split(value, "$")
    if len(texts) != len(parts) or not all(texts):
        names = "$".join(part.parameter.code for part in parts)
        raise clause.wrong(value, f"{len(parts)} values joined by $: {names}")
    nodes = [
        _LAST[part.parameter.type][1](replace(clause, parameter=part.parameter, values=(text,), keys=part.keys))
        for part, text in zip(parts, texts, strict=True)
    ]
    heads: Iterable[int] = (0,)
    for node in nodes[:-1]:
        if not isinstance(node, KeyMatch):
            raise clause.wrong(value, "a value whose first parts are not compared with a prefix")
        heads = [combined(head, key) for head, key in product(heads, node.keys)]
    label, last = clause.label(value), nodes[-1]
    if isinstance(last, KeyMatch):
        return KeyMatch(label, tuple(combined(head, key) for head, key in product(heads, last.keys)))
    if not isinstance(last, RangeMatch):
        raise clause.wrong(value, "a value that can be combined")
    return Or(tuple(replace(last, label=label, key=combined(head, last.key)) for head in heads))
