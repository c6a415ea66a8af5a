"""Where a search looks: which types, and which compartment.

https://hl7.org/fhir/R4/http.html#search (system level, `_type`) and https://hl7.org/fhir/R4/compartmentdefinition.html
"""

from collections.abc import Sequence

from fhirserver.fhir.definitions import Definitions
from fhirserver.fhir.outcomes import InvalidRequest
from fhirserver.search.keys import ParameterKeys, self_key
from fhirserver.search.query.tree import IdMatch, KeyMatch, Node, TypeMatch, conjunction, disjunction

_ITSELF = "{def}"


def types_searched(
    params: Sequence[tuple[str, str]],
    resource_type: str,
    compartment: tuple[str, str] | None,
    definitions: Definitions,
) -> tuple[Sequence[str], tuple[str, ...]]:
    """The types that a search is over, and those that have to be told to the database: none if it is over all.

    Raises InvalidRequest for a type that R4 does not have, and for one that is never in the compartment.
    """
    possible = definitions.compartment(compartment[0]).params if compartment else None
    if resource_type:
        listed: tuple[str, ...] = (resource_type,)
    else:
        listed = tuple(dict.fromkeys(part for name, value in params if name == "_type" for part in value.split(",")))
    for name in listed:
        if not definitions.is_resource_type(name):
            raise InvalidRequest(f"_type: R4 has no resource type '{name[:80]}'", code="value", expression="_type")
        if compartment is not None and possible is not None and not possible.get(name) and name != compartment[0]:
            raise InvalidRequest(f"no {name} is ever in the compartment of a {compartment[0]}", code="not-supported")
    if compartment is not None and possible is not None and not listed:
        listed = tuple(dict.fromkeys((compartment[0], *(name for name, codes in possible.items() if codes))))
    return listed or definitions.resource_types, listed


def membership(types: Sequence[str], compartment: str, id: str, definitions: Definitions) -> Node:
    """The tree of what is in the compartment of this resource: it, and what refers to it by one of R4's parameters."""
    target = self_key(compartment, id)
    params = definitions.compartment(compartment).params
    keys = [
        ParameterKeys(name, code).reference ^ target
        for name in types
        for code in params.get(name, ())
        if code != _ITSELF
    ]
    parts: list[Node] = [KeyMatch(f"{compartment}/{id}", tuple(keys), True)] if keys else []
    if compartment in types:
        parts.append(conjunction((TypeMatch((compartment,)), IdMatch((id,)))))
    return disjunction(parts)
