"""Query parameters → search request.

https://hl7.org/fhir/R4/search.html
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, tzinfo

from fhirserver.fhir.definitions import Definitions
from fhirserver.fhir.outcomes import InvalidRequest, Issue
from fhirserver.search.query.chains import is_linked, read_linked
from fhirserver.search.query.clauses import Context, UnknownParameter, node_of, read_clause
from fhirserver.search.query.results import ResultParameters
from fhirserver.search.query.routing import buckets_of
from fhirserver.search.query.tree import Node, conjunction
from fhirserver.search.request import SearchRequest
from fhirserver.search.types.clause import Clause

_OF_THE_ANSWER = frozenset({"_format", "_pretty"})


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
    context = Context(definitions, zone, base_url, now)
    for name, value in params:
        if "\x00" in name or "\x00" in value:
            shown = name.replace("\x00", "")[:80]
            raise InvalidRequest(
                f"{shown}: the character U+0000 is not allowed", code="value", expression=shown.partition(":")[0]
            )
        if name in _OF_THE_ANSWER:
            continue
        if results.take(name, value):
            if name != "_cursor":
                parsed.applied.append((name, value))
            continue
        try:
            if is_linked(name):
                if value != "":
                    parsed.nodes.append(read_linked(name, value, resource_type, context))
            else:
                clause = read_clause(name, value, resource_type, context)
                if value != "":
                    parsed.nodes.append(node_of(clause))
                    parsed.clauses.append(clause)
        except UnknownParameter as error:
            if not lenient:
                raise
            parsed.ignored += [_warning(issue) for issue in error.issues]
            continue
        if value != "":
            parsed.applied.append((name, value))
    return SearchRequest(
        resource_type,
        conjunction(parsed.nodes),
        **results.fields(),
        buckets=buckets_of(parsed.clauses, resource_type, definitions),
        applied=tuple(parsed.applied),
        ignored=tuple(parsed.ignored),
    )


def _warning(issue: Issue) -> Issue:
    return replace(issue, severity="warning", diagnostics=f"{issue.diagnostics}: ignored")
