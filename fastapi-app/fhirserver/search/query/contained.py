"""`_contained`: searches for what is contained in other resources.

https://hl7.org/fhir/R4/search.html#contained. Resources of a type that are contained in one resource are told apart by
their place among them, so that criteria meet in one of them.
"""

from collections.abc import Sequence
from dataclasses import replace

from fhirserver.fhir.outcomes import InvalidRequest
from fhirserver.search.keys import MOST_PLACES, ParameterKeys, place_of
from fhirserver.search.query.chains import read_any
from fhirserver.search.query.clauses import Context
from fhirserver.search.query.tree import KeyMatch, Node, conjunction, disjunction

_VALUES = {"_contained": ("false", "true", "both"), "_containedType": ("container", "contained")}


def contained_key(resource_type: str, number: int) -> int:
    """The key of a resource that contains one of this type at this place."""
    return ParameterKeys(resource_type, "_contained", place_of(number)).present


def contained_options(params: Sequence[tuple[str, str]]) -> tuple[str, str]:
    """The values of `_contained` and `_containedType`, the first of each if they are not given."""
    found = {name: allowed[0] for name, allowed in _VALUES.items()}
    for name, value in params:
        if name in found:
            if value not in _VALUES[name]:
                allowed = ", ".join(_VALUES[name])
                raise InvalidRequest(f"{name} is one of {allowed}, not {value[:80]!r}", code="value", expression=name)
            found[name] = value
    return found["_contained"], found["_containedType"]


def is_contained_option(name: str) -> bool:
    """Whether this is one of the two parameters."""
    return name in _VALUES


def contained_tree(criteria: Sequence[tuple[str, str]], resource_type: str, context: Context) -> Node:
    """What contains a resource of the type that satisfies the criteria."""
    return disjunction(_at(number, criteria, resource_type, context) for number in range(MOST_PLACES))


def _at(number: int, criteria: Sequence[tuple[str, str]], resource_type: str, context: Context) -> Node:
    here = replace(context, place=place_of(number))
    label = f"contains {resource_type}{here.place}"
    parts: list[Node] = [KeyMatch(label, (contained_key(resource_type, number),))]
    parts += [read_any(name, value, resource_type, here) for name, value in criteria]
    return conjunction(parts)
