"""Parameters of other resources: chains (`subject:Patient.name`) and `_has` (`_has:Observation:patient:code`).

https://hl7.org/fhir/R4/search.html#chaining and #has. Both go to any depth up to a limit, and into each other.
"""

import re
from collections.abc import Callable
from dataclasses import replace

from fhirserver.fhir.datatypes.ids import is_id
from fhirserver.fhir.definitions.search_parameters import SearchParameter
from fhirserver.fhir.outcomes import InvalidRequest
from fhirserver.search.keys import MOST_PLACES, ParameterKeys, place_of
from fhirserver.search.parameter_types import searchable
from fhirserver.search.query.clauses import (
    Context,
    UnknownParameter,
    find_parameter,
    node_of,
    read_clause,
    without_identity,
)
from fhirserver.search.query.comparisons import compared
from fhirserver.search.query.filter import Reader, read_filter
from fhirserver.search.query.tree import Chain, Has, IdMatch, KeyMatch, Linked, Node, conjunction, disjunction
from fhirserver.search.types.reference import target_types

_HAS = "_has:"
_LINKED = ("_has", "_list", "_filter")
_MAX_DEPTH = 8
_MOST_CONTAINED = 8
_ESCAPES = re.compile(r"([\\,$])")  # but not |, which tells system from code
_ESCAPES_OF_COMPOSITES = re.compile(r"([\\,])")  # nor $, which is between the parts


class LeadsElsewhere(InvalidRequest):
    """A `_has` by a parameter that never leads to this type."""


def is_linked(name: str) -> bool:
    """Whether this is the name of a chain, a `_has`, a `_list` or a `_filter`."""
    return name.startswith(_HAS) or name in _LINKED or "." in name


def read_linked(name: str, value: str, resource_type: str, context: Context, depth: int = 0) -> Node:
    """The tree of a chain or a `_has`. Raises UnknownParameter if no type that it leads to has the parameter."""
    if depth == _MAX_DEPTH:
        raise InvalidRequest(
            f"'{name[:80]}…' leads over more than {_MAX_DEPTH} references", code="too-costly", expression=name[:80]
        )
    if context.place and name.startswith(("_has", "_list")):
        raise without_identity(name)
    if name.startswith("_has"):
        return _read_has(name, value, resource_type, context, depth)
    if name == "_list":
        return _read_list(value)
    if name == "_filter":
        try:
            return read_filter(value, resource_type, _filter_reader(context, depth))
        except UnknownParameter as error:  # a part of a condition can't be left out
            raise InvalidRequest(error.issues) from error
    link, _, rest = name.partition(".")
    code, _, modifier = link.partition(":")
    return _chained(
        name,
        code,
        modifier,
        resource_type,
        context,
        lambda target, there: read_any(rest, value, target, there, depth + 1),
        is_last=depth == 0 and not is_linked(rest),
    )


def _chained(
    name: str,
    code: str,
    modifier: str,
    resource_type: str,
    context: Context,
    of_target: Callable[[str, Context], Node],
    *,
    is_last: bool,
) -> Node:
    """A reference by a parameter to what has the tree that `of_target` gives for its type, or to a contained resource.

    `is_last`: it is a chain of one step; only these lead into what is contained, if not to more than a few types.

    Without a type it is read for all types that it can lead to, and has to make sense for one of them.
    """
    parameter = _reference(name, code, resource_type, context)
    targets = (modifier,) if modifier else target_types(parameter)
    if modifier and modifier not in target_types(parameter):
        raise InvalidRequest(
            f"{code} leads to {', '.join(target_types(parameter))}, not to '{modifier[:80]}'",
            code="value",
            expression=name[:80],
        )
    elsewhere = replace(context, place="")
    linked = []
    refused: InvalidRequest | None = None
    for target in targets:
        try:
            linked.append(Linked(target, of_target(target, elsewhere)))
        except InvalidRequest as error:
            # What one type doesn't have or doesn't allow, another may. What is said of a known parameter says more.
            if refused is None or isinstance(refused, UnknownParameter):
                refused = error
    if refused is not None and not linked:
        if isinstance(refused, UnknownParameter) and len(targets) > 1:
            raise UnknownParameter(f"{refused}, nor has anything else that {code} leads to", expression=name[:80])
        raise refused
    link = f"{code}:{modifier}" if modifier else code
    keys = ParameterKeys(resource_type, code, context.place)
    inside = [_contained(keys, target.resource_type, context, of_target) for target in linked] if is_last else []
    known = tuple(node for node in inside if node is not None) if len(inside) <= _MOST_CONTAINED else ()
    return Chain(f"{resource_type}.{link}", keys.reference, tuple(linked), known)


def _contained(
    keys: ParameterKeys, target: str, context: Context, of_target: Callable[[str, Context], Node]
) -> Node | None:
    """A reference to a contained resource that has the tree; None for what can't be asked of one.

    The key of references to any contained resource of the type comes first: few resources have it.
    """
    if context.place:
        return None  # what is contained is not indexed as to refer to its neighbours
    places = []
    for number in range(MOST_PLACES):
        refers = KeyMatch(f"#{target}{number}", (keys.contained(target, number),), True)
        try:
            places.append(conjunction((refers, of_target(target, replace(context, place=place_of(number))))))
        except InvalidRequest:
            return None
    return conjunction((KeyMatch(f"#{target}", (keys.contained(target, None),), True), disjunction(places)))


def _read_list(value: str) -> Node:
    """The items of Lists, which are told by their ids."""
    if value.startswith("$"):
        raise InvalidRequest(
            f"_list takes the ids of Lists: this server makes no functional lists, such as {value[:80]!r}, by itself",
            code="not-supported",
            expression="_list",
        )
    ids = tuple(value.split(","))
    if not all(is_id(id) for id in ids):
        raise InvalidRequest(f"_list takes the ids of Lists, not {value[:80]!r}", code="value", expression="_list")
    return Has(f"_list={value}", ParameterKeys("List", "item").reference, Linked("List", IdMatch(ids)))


def _filter_reader(context: Context, depth: int) -> Reader:
    def compare(name: str, operator: str, value: str, type_: str) -> Node:
        clause = read_clause(name, "x", type_, context)
        escapes = _ESCAPES_OF_COMPOSITES if clause.parameter.type == "composite" else _ESCAPES
        return compared(clause, operator, value, escapes.sub(r"\\\1", value), node_of)

    def link(name: str, type_: str, of_target: Callable[[str, Reader], Node]) -> Node:
        return _chained(
            name,
            name,
            "",
            type_,
            context,
            lambda target, there: of_target(target, _filter_reader(there, depth + 1)),
            is_last=depth == 0,
        )

    return Reader(compare, link)


def _read_has(name: str, value: str, resource_type: str, context: Context, depth: int) -> Node:
    parts = name.split(":", 3)
    if len(parts) != 4 or not parts[3]:
        raise InvalidRequest(
            f"_has takes the form _has:Type:parameter:parameter, not '{name[:80]}'", code="value", expression="_has"
        )
    _, source, code, rest = parts
    if not context.definitions.is_resource_type(source):
        raise InvalidRequest(f"_has: no resource type '{source[:80]}'", code="value", expression="_has")
    parameter = _reference(name, code, source, context)
    if resource_type not in target_types(parameter):
        raise LeadsElsewhere(
            f"_has: {source}.{code} leads to {', '.join(target_types(parameter))}, not to {resource_type}",
            code="value",
            expression="_has",
        )
    inner = read_any(rest, value, source, context, depth + 1)
    return Has(f"_has:{source}:{code}", ParameterKeys(source, code).reference, Linked(source, inner))


def read_any(name: str, value: str, resource_type: str, context: Context, depth: int = 0) -> Node:
    """The tree of any parameter of a type: of its own, a chain or a `_has`."""
    if is_linked(name):
        return read_linked(name, value, resource_type, context, depth)
    return node_of(read_clause(name, value, resource_type, context))


def _reference(name: str, code: str, resource_type: str, context: Context) -> SearchParameter:
    parameter = find_parameter(context.definitions, resource_type, code)
    if parameter is None or code not in searchable(context.definitions, resource_type):
        raise UnknownParameter(f"{resource_type} has no search parameter '{code[:80]}'", expression=name[:80])
    if parameter.type != "reference":
        raise InvalidRequest(
            f"'{name[:80]}': {code} is a {parameter.type} parameter and leads to no other resource",
            code="value",
            expression=name[:80],
        )
    return parameter
