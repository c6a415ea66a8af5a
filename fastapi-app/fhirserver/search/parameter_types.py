"""Which module of `types/` a search parameter belongs to."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from fhirserver.fhir.definitions import Definitions
from fhirserver.fhir.definitions.search_parameters import SearchParameter
from fhirserver.search.query.tree import Node
from fhirserver.search.types import composite, date, near, number, quantity, reference, string, token, uri
from fhirserver.search.types.clause import Clause, Index, Source


@dataclass(frozen=True, slots=True)
class ParameterType:
    """What a type of search parameter can do."""

    modifiers: tuple[str, ...]
    indexer: Callable[[Source], Index | None]
    parse: Callable[[Clause], Node]


PARAMETER_TYPES = {
    "composite": ParameterType(composite.MODIFIERS, composite.indexer, composite.parse),
    "date": ParameterType(date.MODIFIERS, date.indexer, date.parse),
    "number": ParameterType(number.MODIFIERS, number.indexer, number.parse),
    "quantity": ParameterType(quantity.MODIFIERS, quantity.indexer, quantity.parse),
    "reference": ParameterType(reference.MODIFIERS, reference.indexer, reference.parse),
    "special": ParameterType(near.MODIFIERS, near.indexer, near.parse),
    "string": ParameterType(string.MODIFIERS, string.indexer, string.parse),
    "token": ParameterType(token.MODIFIERS, token.indexer, token.parse),
    "uri": ParameterType(uri.MODIFIERS, uri.indexer, uri.parse),
}

COLUMNS = frozenset({"_id", "_lastUpdated"})
"""Parameters that are columns of the row and need no keys."""


@lru_cache(maxsize=1024)
def searchable(definitions: Definitions, resource_type: str) -> Mapping[str, SearchParameter]:
    """The search parameters of a type that this server can search by."""
    return _usable(definitions, definitions.search_parameters(resource_type))


def indexed(definitions: Definitions, resource_type: str) -> Mapping[str, SearchParameter]:
    """Those that resources of a type are indexed by: also those that can't be searched by yet."""
    pending = definitions.pending_search_parameters(resource_type)
    found = searchable(definitions, resource_type)
    return {**_usable(definitions, pending), **found} if pending else found


def _usable(definitions: Definitions, parameters: Mapping[str, SearchParameter]) -> Mapping[str, SearchParameter]:
    return {
        code: parameter
        for code, parameter in parameters.items()
        if parameter.type in PARAMETER_TYPES
        and parameter.expression is not None
        and (parameter.type != "composite" or composite.is_supported(parameter, definitions))
    }
