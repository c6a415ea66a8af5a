"""https://hl7.org/fhir/R4/search.html#composite

The values of the parts belong together: those of one `Observation.component`, say. So they are indexed together: for
every combination of the keys of the first parts, the last part's keys, intervals and strings have keys of their own.
Where several parts are intervals, they are told apart by the place of the value among those of the resource.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product
from struct import Struct
from typing import Any

from xxhash import xxh3_64_intdigest

from fhirserver.fhir.definitions import Component, Definitions
from fhirserver.fhir.definitions.search_parameters import SearchParameter
from fhirserver.fhir.fhirpath.errors import FhirPathError
from fhirserver.fhir.fhirpath.paths import compile_paths
from fhirserver.fhir.outcomes import InvalidRequest
from fhirserver.search.entry import EntryBuilder
from fhirserver.search.keys import ParameterKeys, signed
from fhirserver.search.query.tree import KeyMatch, Node, Or, RangeMatch, StringMatch, conjunction, disjunction
from fhirserver.search.types import date, number, quantity, reference, string, token, uri
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
_RANGED: dict[str, tuple[_Indexer, _Parse]] = {
    "number": (number.indexer, number.parse),
    "quantity": (quantity.indexer, quantity.parse),
}
_KINDS = {**_KEYED, **_RANGED, "string": (string.indexer, string.parse)}
_MOST_PLACES = 16
_FEWEST = 2


@dataclass(frozen=True, slots=True)
class _Part:
    """One component: the parameter it stands for, with the composite's own keys, and its expression."""

    parameter: SearchParameter
    keys: ParameterKeys
    expression: str


@dataclass(frozen=True, slots=True)
class _Rule:
    """How a component is indexed: what is selected, of the composite's value or of the resource, and how."""

    select: Callable[[Any], list[Any]]
    index: Index
    of_resource: bool


@lru_cache(maxsize=1024)
def _parts(parameter: SearchParameter, definitions: Definitions, place: str) -> tuple[_Part, ...] | None:
    """The components; None if they can't be combined: first keys, then one more of any kind or several intervals."""
    parts = []
    for position, (component, known) in enumerate(_components(parameter, definitions)):
        if known is None or known.type not in _KINDS:
            return None
        keys = ParameterKeys(parameter.base, f"{parameter.code}${position}", place)
        parts.append(_Part(known, keys, component.expression))
    kinds = [part.parameter.type for part in parts]
    keyed = next((number for number, kind in enumerate(kinds) if kind not in _KEYED), len(kinds))
    rest = kinds[keyed:]
    return tuple(parts) if len(rest) <= 1 or all(kind in _RANGED for kind in rest) else None


def _components(
    parameter: SearchParameter, definitions: Definitions
) -> Iterable[tuple[Component, SearchParameter | None]]:
    """The components with the parameters that they stand for, as far as these are known."""
    base = parameter.base
    known = (*definitions.search_parameters(base).values(), *definitions.pending_search_parameters(base).values())
    by_url = {found.url: found for found in known}
    return [(component, by_url.get(component.definition)) for component in parameter.components]


def problem(parameter: SearchParameter, definitions: Definitions) -> str | None:
    """Why the components can't be combined; None if they can."""
    for component, known in _components(parameter, definitions):
        if known is None:
            return f"{parameter.base} has no search parameter with the URL {component.definition}"
        if known.type not in _KINDS:
            return f"{known.code}, a {known.type} parameter, can't be a component"
    parts = _parts(parameter, definitions, "")
    if parts is None:
        return (
            "of the components, tokens, references, URIs and dates have to come first, and then either one of another"
            " type, or numbers and quantities only"
        )
    if len(parts) < _FEWEST or parameter.expression is None:
        return "a composite has an expression and at least two components"
    try:
        for branch in compile_paths(parameter.expression, parameter.base, definitions):
            for part in parts:
                compile_paths(*_based(part.expression, branch.type_name, parameter.base), definitions)
    except FhirPathError as error:
        return str(error)
    return None


def is_supported(parameter: SearchParameter, definitions: Definitions) -> bool:
    """Whether all components of the composite can be combined."""
    return problem(parameter, definitions) is None


def indexer(source: Source) -> Index | None:
    """The combinations within each value that the composite's own expression selects."""
    parts = _parts(source.parameter, source.definitions, source.keys.place) or ()
    components = []
    for part in parts:
        rules = []
        expression, base = _based(part.expression, source.branch.type_name, source.parameter.base)
        for branch in compile_paths(expression, base, source.definitions):
            index = _KINDS[part.parameter.type][0](replace(source, branch=branch, keys=part.keys))
            if index is not None:
                rules.append(_Rule(branch.select, index, base is not source.branch.type_name))
        components.append(rules)
    ranged = _number_of_ranges(parts)
    first = len(components) - max(1, ranged)
    name = source.keys.name

    def index_value(value: Any, entry: EntryBuilder) -> None:
        heads: Iterable[int] = (0,)
        for rules in components[:first]:
            heads = [combined(head, key) for head, key in product(heads, _indexed(rules, value, entry).keys)]
        if ranged > 1:
            place = entry.places.get(name, 0)
            entry.places[name] = place + 1
            if place == _MOST_PLACES:
                return
            heads = [combined(head, place) for head in heads]
        for rules in components[first:]:
            last = _indexed(rules, value, entry)
            for head in heads:
                entry.keys.update(combined(head, key) for key in last.keys)
                if last.ranges:
                    entry.keys.add(head)
                for key, low, high in last.ranges:
                    entry.add_range(combined(head, key), low, high)
                for text in last.strings:
                    entry.strings[_name(name, head) + text[text.index("=") :]] = None

    return index_value


def _based(expression: str, type_name: str, resource_type: str) -> tuple[str, str]:
    """The expression of a component, and the type it starts from: that of the composite's value, or the resource."""
    of_resource = expression.removeprefix("%resource.")
    return (expression, type_name) if of_resource is expression else (of_resource, resource_type)


def _number_of_ranges(parts: Iterable[_Part]) -> int:
    return sum(part.parameter.type in _RANGED for part in parts)


def _name(name: str, head: int) -> str:
    """What the strings of a combination are called."""
    return f"{name}${head:x}"


def _indexed(rules: Iterable[_Rule], value: Any, entry: EntryBuilder) -> EntryBuilder:
    found = EntryBuilder(entry.base_url, entry.resource)
    for rule in rules:
        for item in rule.select(entry.resource if rule.of_resource else value):
            rule.index(item, found)
    return found


def combined(first: int, second: int) -> int:
    """One key of two, in this order."""
    return signed(xxh3_64_intdigest(_pair(first, second)))


def parse(clause: Clause) -> Node:
    """`part$part`: each part as its own parameter takes it."""
    return disjunction(_parse_one(clause, value) for value in clause.values)


def _parse_one(clause: Clause, value: str) -> Node:
    parts = _parts(clause.parameter, clause.definitions, clause.keys.place) or ()
    texts = split(value, "$")
    if len(texts) != len(parts) or not all(texts):
        names = "$".join(part.parameter.code for part in parts)
        raise clause.wrong(value, f"{len(parts)} values joined by $: {names}")
    nodes = [_parse_part(clause, part, text) for part, text in zip(parts, texts, strict=True)]
    ranged = _number_of_ranges(parts)
    first = len(nodes) - max(1, ranged)
    heads: Iterable[int] = (0,)
    for node in nodes[:first]:
        if not isinstance(node, KeyMatch):
            raise clause.wrong(value, "a value whose first parts are not compared with a prefix")
        heads = [combined(head, key) for head, key in product(heads, node.keys)]
    if ranged > 1:
        heads = [combined(head, place) for head in heads for place in range(_MOST_PLACES)]
        return Or(tuple(_under(clause, value, head, parts[first:], nodes[first:]) for head in heads))
    label, last = clause.label(value), nodes[-1]
    if isinstance(last, KeyMatch):
        return KeyMatch(label, tuple(combined(head, key) for head, key in product(heads, last.keys)))
    return disjunction(_under(clause, value, head, parts[-1:], [last]) for head in heads)


def _parse_part(clause: Clause, part: _Part, text: str) -> Node:
    try:
        return _KINDS[part.parameter.type][1](replace(clause, parameter=part.parameter, values=(text,), keys=part.keys))
    except InvalidRequest as error:
        raise InvalidRequest(
            f"{clause.name}: {error}", expression=clause.parameter.code, code=error.issues[0].code
        ) from error


def _under(clause: Clause, value: str, head: int, parts: Sequence[_Part], nodes: Sequence[Node]) -> Node:
    """The last parts of a combination."""
    found: list[Node] = []
    for part, node in zip(parts, nodes, strict=True):
        if not isinstance(node, RangeMatch | StringMatch):
            raise clause.wrong(value, "a value that can be combined")
        among = tuple(combined(head, key) for key in node.among)
        if isinstance(node, StringMatch):
            found.append(replace(node, parameter=_name(clause.keys.name, head), among=among))
        else:
            any_value = node.among == (part.keys.present,)
            key = combined(head, node.key)
            found.append(RangeMatch(clause.label(value), key, node.alternatives, (head,) if any_value else among))
    return conjunction(found)
