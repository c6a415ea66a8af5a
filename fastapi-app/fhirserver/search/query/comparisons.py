"""The operators of `_filter` on each type of parameter.

https://hl7.org/fhir/R4/search_filter.html#ops
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Literal

from fhirserver.fhir.datatypes.text import normalised
from fhirserver.fhir.outcomes import InvalidRequest
from fhirserver.search.query.tree import Node, Not, StringMatch, conjunction
from fhirserver.search.types.clause import Clause
from fhirserver.search.types.date import overlapping
from fhirserver.search.types.string import prefix_keys

_PREFIXED = ("eq", "ne", "gt", "lt", "ge", "le", "ap", "sa", "eb")
_How = Literal["starts", "contains", "ends", "is", "is not"]
_STRINGS: Mapping[str, _How] = {"eq": "is", "ne": "is not", "co": "contains", "sw": "starts", "ew": "ends"}
_MODIFIERS = {"ss": "above", "sb": "below", "in": "in", "ni": "not-in"}
_BY_TYPE: Mapping[str, tuple[str, ...]] = {
    "string": tuple(_STRINGS),
    "token": ("eq", "ne", *_MODIFIERS),
    "reference": ("eq", "ne", "re"),
    "uri": ("eq", "ne", "sw"),
    "date": (*_PREFIXED, "po"),
    "number": _PREFIXED,
    "quantity": _PREFIXED,
    "composite": ("eq", "ne"),
}

Of = Callable[[Clause], Node]


def compared(clause: Clause, operator: str, value: str, escaped: str, of: Of) -> Node:
    """The tree of `parameter operator value`. `escaped` is the value as it stands in a query; `of` gives the tree of
    a clause. Raises InvalidRequest for an operator that the type of the parameter does not have.

    A code, a reference or a URI that there is and that is not equal satisfies `ne`.
    """
    kind = "token" if clause.parameter.code == "_id" else clause.parameter.type
    if operator == "pr":
        return of(replace(clause, modifier="missing", values=({"true": "false", "false": "true"}.get(value, value),)))
    if operator not in _BY_TYPE.get(kind, ()):
        allowed = ", ".join((*_BY_TYPE.get(kind, ()), "pr"))
        raise InvalidRequest(
            f"_filter: {clause.parameter.code} is a {kind} parameter and takes {allowed}, not {operator}",
            code="not-supported",
            expression="_filter",
        )
    if kind == "string":
        return _string(clause, operator, value, of)
    if kind in ("date", "number", "quantity"):
        if operator == "po":
            return overlapping(clause, escaped)
        return of(replace(clause, values=(operator + escaped,)))
    if operator in _MODIFIERS:
        return of(replace(clause, modifier=_MODIFIERS[operator], values=(escaped,)))
    if operator == "sw":
        return of(replace(clause, modifier="below", values=(escaped,)))
    node = of(replace(clause, values=(escaped,)))
    return _but_not(clause, node, of) if operator == "ne" else node


def _string(clause: Clause, operator: str, value: str, of: Of) -> Node:
    wanted = normalised(value)
    if not wanted:
        raise clause.wrong(value, "a text to look for")
    node = of(replace(clause, values=("x",)))
    if not isinstance(node, StringMatch):
        raise clause.wrong(value, f"what {operator} can be applied to")
    how = _STRINGS[operator]
    among = prefix_keys(clause.keys, wanted) if how in ("starts", "is") else ()
    return replace(node, how=how, text=wanted, among=among)


def _but_not(clause: Clause, node: Node, of: Of) -> Node:
    if clause.parameter.code == "_id":
        return Not(node)
    return conjunction((of(replace(clause, modifier="missing", values=("false",))), Not(node)))
