"""One parameter of a query: name and value → clause → tree.

https://hl7.org/fhir/R4/search.html
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import Any

from fhirserver.fhir.datatypes.ids import is_id
from fhirserver.fhir.definitions import Definitions
from fhirserver.fhir.definitions.search_parameters import SearchParameter
from fhirserver.fhir.outcomes import FhirError, InvalidRequest
from fhirserver.search.keys import ParameterKeys
from fhirserver.search.parameter_types import COLUMNS, PARAMETER_TYPES, searchable
from fhirserver.search.query.tree import EVERYTHING, NOTHING, IdMatch, KeyMatch, Node, Not, WordMatch
from fhirserver.search.types.clause import MAX_VALUES, Clause, prefixed, split, unescape
from fhirserver.search.types.date import parse_last_updated
from fhirserver.search.types.token import is_of_identifiers
from fhirserver.search.words import word_query

_WORDS = ("_text", "_content")
_MOST_READ = 100_000
_A_CLAUSE = 5  # is as much work as so many values


class UnknownParameter(InvalidRequest):
    """The type has no such search parameter: whether that is an error, the client may choose."""

    code = "not-supported"


class TooMuch(FhirError):
    """The query is too long. No InvalidRequest: it is not that one of several types has no such parameter."""

    status = 400
    code = "too-costly"


class Effort:
    """How much of a query has been read: each clause as often as there are types and ends of chains to read it for."""

    def __init__(self) -> None:
        self._read = 0

    def spend(self, code: str, values: int) -> None:
        """Count a clause with so many values. Raises TooMuch."""
        self._read += _A_CLAUSE + values
        if self._read > _MOST_READ:
            raise TooMuch(
                f"{code}: the search is for too many values, over all types and chains that they are for;"
                " ask for fewer, or of fewer types",
                expression=code,
            )


@dataclass(frozen=True, slots=True)
class Context:
    """What a query is read with. `now` is what `ap` on dates is measured from; `place` is that of a contained resource,
    if it is about one (`contained.py`)."""

    definitions: Definitions
    zone: tzinfo
    base_url: str
    now: datetime
    place: str = ""
    effort: Effort = field(default_factory=Effort)


def find_parameter(definitions: Definitions, resource_type: str, code: str) -> SearchParameter | None:
    """The search parameter of a type, if it has one. Raises InvalidRequest for one that can't be searched by yet."""
    found = definitions.search_parameters(resource_type).get(code)
    if found is None and code in definitions.pending_search_parameters(resource_type):
        raise InvalidRequest(
            f"'{code}' of {resource_type} can't be searched by yet: what was stored before it has to be reindexed"
            " ($reindex)",
            code="not-supported",
            expression=code,
        )
    return found


def without_identity(name: str) -> InvalidRequest:
    """The error for what can't be asked of a contained resource."""
    return InvalidRequest(
        f"{name[:80]}: a contained resource has no identity, no date and no words of its own",
        code="not-supported",
        expression=name[:80],
    )


def read_clause(name: str, value: str, resource_type: str, context: Context) -> Clause:
    """The clause that a parameter of a type is. Raises UnknownParameter, InvalidRequest."""
    code, _, modifier = name.partition(":")
    if context.place and code in (*COLUMNS, *_WORDS):
        raise without_identity(name)
    parameter = find_parameter(context.definitions, resource_type, code)
    if parameter is None:
        raise UnknownParameter(f"{resource_type} has no search parameter '{code[:80]}'", expression=name[:80])
    if code not in searchable(context.definitions, resource_type) and code not in _WORDS:
        raise InvalidRequest(
            f"'{code}', a {parameter.type} parameter, is not supported", code="not-supported", expression=code
        )
    _require_modifier(parameter, modifier, context.definitions)
    values = (value,) if code in _WORDS else tuple(split(value, ","))
    _require_comparators(parameter, values)
    if len(values) > MAX_VALUES:
        raise InvalidRequest(
            f"{name} has {len(values)} values; {MAX_VALUES} are allowed", code="too-costly", expression=code
        )
    context.effort.spend(code, len(values))
    if value and not all(values):
        raise InvalidRequest(f"{name}: one of the values is empty", code="value", expression=code)
    return Clause(
        parameter,
        modifier or None,
        values,
        ParameterKeys(resource_type, code, context.place),
        context.definitions,
        context.zone,
        context.base_url,
        context.now,
    )


def _allowed_modifiers(parameter: SearchParameter, definitions: Definitions) -> tuple[str, ...]:
    if parameter.code == "_id":
        allowed: tuple[str, ...] = ("missing", "not")
    elif parameter.code == "_lastUpdated":
        allowed = ("missing",)
    elif parameter.code in _WORDS or parameter.type == "composite":
        allowed = ()
    else:
        allowed = ("missing", *PARAMETER_TYPES[parameter.type].modifiers)
        if parameter.type == "reference":
            allowed += ("[type]",)
        if parameter.type == "token" and not is_of_identifiers(parameter, definitions):
            allowed = tuple(name for name in allowed if name != "of-type")
    return tuple(name for name in allowed if name in parameter.modifiers) if parameter.modifiers else allowed


def _require_modifier(parameter: SearchParameter, modifier: str, definitions: Definitions) -> None:
    if not modifier:
        return
    allowed = _allowed_modifiers(parameter, definitions)
    if modifier in allowed and modifier != "[type]":
        return
    if "[type]" in allowed and definitions.is_resource_type(modifier):
        return
    raise InvalidRequest(
        f"{parameter.code} is a {parameter.type} parameter and takes no modifier '{modifier[:80]}'; it takes "
        + (", ".join(f":{name}" for name in allowed) or "none"),
        code="not-supported",
        expression=parameter.code,
    )


def _require_comparators(parameter: SearchParameter, values: Sequence[str]) -> None:
    """Of the prefixes that the parameter's definition lists, if it does."""
    if not parameter.comparators or parameter.type not in ("date", "number", "quantity"):
        return
    for value in values:
        prefix, rest = prefixed(value)
        if rest != value and prefix not in parameter.comparators:
            raise InvalidRequest(
                f"{parameter.code} takes no prefix '{prefix}'; it takes {', '.join(parameter.comparators)}",
                code="not-supported",
                expression=parameter.code,
            )


def node_of(clause: Clause) -> Node:
    """The tree of a clause."""
    if clause.modifier == "missing":
        if clause.values not in (("true",), ("false",)):
            raise clause.wrong(",".join(clause.values), "true or false")
        if clause.parameter.code in COLUMNS:  # which everything has
            return NOTHING if clause.values == ("true",) else EVERYTHING
        present = KeyMatch(f"{clause.parameter.code}:missing=false", (clause.keys.present,))
        return Not(present) if clause.values == ("true",) else present
    if clause.parameter.code == "_id":
        match = IdMatch(tuple(_id(clause, value) for value in clause.values))
        return Not(match) if clause.modifier == "not" else match
    if clause.parameter.code == "_lastUpdated":
        return parse_last_updated(clause)
    if clause.parameter.code in _WORDS:
        [text] = clause.values
        query = word_query(text, clause.name, narrative=clause.parameter.code == "_text")
        return WordMatch(clause.label(text), query)
    return PARAMETER_TYPES[clause.parameter.type].parse(clause)


def _id(clause: Clause, value: str) -> str:
    text: Any = unescape(value)
    if not is_id(text):
        raise clause.wrong(value, "an id")
    return str(text)
