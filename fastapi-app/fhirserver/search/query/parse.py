"""Query parameters → search request.

https://hl7.org/fhir/R4/search.html
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import Any

from fhirserver.fhir.datatypes.ids import is_id
from fhirserver.fhir.definitions import Definitions
from fhirserver.fhir.definitions.search_parameters import SearchParameter
from fhirserver.fhir.outcomes import InvalidRequest, Issue
from fhirserver.search.keys import ParameterKeys
from fhirserver.search.parameter_types import PARAMETER_TYPES, searchable
from fhirserver.search.query.results import ResultParameters
from fhirserver.search.query.routing import buckets_of
from fhirserver.search.query.tree import IdMatch, KeyMatch, Node, Not, conjunction
from fhirserver.search.request import SearchRequest
from fhirserver.search.types.clause import MAX_VALUES, Clause, split, unescape
from fhirserver.search.types.date import parse_last_updated

_OF_THE_ANSWER = frozenset({"_format", "_pretty"})
_NOT_HERE = frozenset({"_has", "_filter", "_list", "_contained", "_containedType"})


@dataclass(slots=True)
class _Parsed:
    nodes: list[Node] = field(default_factory=list)
    clauses: list[Clause] = field(default_factory=list)
    applied: list[tuple[str, str]] = field(default_factory=list)
    ignored: list[Issue] = field(default_factory=list)


def parse_query(
    params: Sequence[tuple[str, str]],
    resource_type: str,
    definitions: Definitions,
    zone: tzinfo,
    base_url: str,
    *,
    lenient: bool,
    now: datetime,
) -> SearchRequest:
    """The request that these decoded (name, value) pairs make on a type.

    Repeated parameters are joined by AND, comma lists by OR. `now` is what `ap` on dates is measured from. Raises
    InvalidRequest for what makes no sense; an unknown parameter only if not `lenient`, else it is in `ignored`.
    """
    parsed = _Parsed()
    results = ResultParameters(resource_type, definitions)
    for name, value in params:
        if name in _OF_THE_ANSWER:
            continue
        if results.take(name, value):
            if name != "_cursor":
                parsed.applied.append((name, value))
            continue
        clause = _clause(name, value, resource_type, definitions, zone, base_url, now)
        if isinstance(clause, str):
            if not lenient:
                raise InvalidRequest(clause, code="not-supported", expression=name[:80])
            parsed.ignored.append(Issue("warning", "not-supported", f"{clause}: ignored", (name[:80],)))
            continue
        if value == "":
            continue
        parsed.nodes.append(_node(clause))
        parsed.clauses.append(clause)
        parsed.applied.append((name, value))
    return SearchRequest(
        resource_type,
        conjunction(parsed.nodes),
        **results.fields(),
        buckets=buckets_of(parsed.clauses, resource_type, definitions),
        applied=tuple(parsed.applied),
        ignored=tuple(parsed.ignored),
    )


def _clause(
    name: str,
    value: str,
    resource_type: str,
    definitions: Definitions,
    zone: tzinfo,
    base_url: str,
    now: datetime,
) -> Clause | str:
    """The clause, or why the parameter is not known."""
    if "." in name or name.partition(":")[0] in _NOT_HERE:
        raise InvalidRequest(
            f"'{name[:80]}': this kind of parameter is not supported",
            code="not-supported",
            expression=name[:80],
        )
    code, _, modifier = name.partition(":")
    parameter = definitions.search_parameters(resource_type).get(code)
    if parameter is None:
        return f"{resource_type} has no search parameter '{code[:80]}'"
    if code not in searchable(definitions, resource_type):
        raise InvalidRequest(
            f"'{code}', a {parameter.type} parameter, is not supported", code="not-supported", expression=code
        )
    _require_modifier(parameter, modifier, definitions)
    values = tuple(split(value, ","))
    if len(values) > MAX_VALUES:
        raise InvalidRequest(
            f"{name} has {len(values)} values; {MAX_VALUES} are allowed", code="too-costly", expression=code
        )
    if value and not all(values):
        raise InvalidRequest(f"{name}: one of the values is empty", code="value", expression=code)
    return Clause(
        parameter,
        modifier or None,
        values,
        ParameterKeys(resource_type, code),
        definitions,
        zone,
        base_url,
        now,
    )


def _require_modifier(parameter: SearchParameter, modifier: str, definitions: Definitions) -> None:
    if parameter.code == "_id":
        allowed: tuple[str, ...] = ("not",)
    elif parameter.code == "_lastUpdated":
        allowed = ()
    else:
        allowed = ("missing", *PARAMETER_TYPES[parameter.type].modifiers)
    if not modifier or modifier in allowed:
        return
    if parameter.type == "reference":
        if definitions.is_resource_type(modifier):
            return
        allowed += ("[type]",)
    raise InvalidRequest(
        f"{parameter.code} is a {parameter.type} parameter and takes no modifier '{modifier[:80]}'; it takes "
        + (", ".join(f":{name}" for name in allowed) or "none"),
        code="not-supported",
        expression=parameter.code,
    )


def _node(clause: Clause) -> Node:
    if clause.modifier == "missing":
        if clause.values not in (("true",), ("false",)):
            raise clause.wrong(",".join(clause.values), "true or false")
        present = KeyMatch(f"{clause.parameter.code}:missing=false", (clause.keys.present,))
        return Not(present) if clause.values == ("true",) else present
    if clause.parameter.code == "_id":
        match = IdMatch(tuple(_id(clause, value) for value in clause.values))
        return Not(match) if clause.modifier == "not" else match
    if clause.parameter.code == "_lastUpdated":
        return parse_last_updated(clause)
    return PARAMETER_TYPES[clause.parameter.type].parse(clause)


def _id(clause: Clause, value: str) -> str:
    text: Any = unescape(value)
    if not is_id(text):
        raise clause.wrong(value, "an id")
    return str(text)
