"""Query parameters → search request.

https://hl7.org/fhir/R4/search.html
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, tzinfo

from fhirserver.fhir.definitions import Definitions
from fhirserver.fhir.outcomes import InvalidRequest, Issue
from fhirserver.search.evaluate import is_evaluable
from fhirserver.search.parameter_types import COLUMNS
from fhirserver.search.query.chains import LeadsElsewhere, is_linked, read_any
from fhirserver.search.query.clauses import Context, UnknownParameter, node_of, read_clause
from fhirserver.search.query.contained import contained_options, contained_tree, is_contained_option
from fhirserver.search.query.results import GIVEN_ONCE, ResultParameters
from fhirserver.search.query.routing import buckets_of
from fhirserver.search.query.scope import membership, types_searched
from fhirserver.search.query.tree import NOTHING, Node, TypeMatch, conjunction, disjunction
from fhirserver.search.request import Contained, SearchRequest
from fhirserver.search.rewrite.types import over_types
from fhirserver.search.types.clause import Clause

_OF_THE_ANSWER = frozenset({"_format", "_pretty"})
_MOST_VALUES = 4000
_MOST_LINKED = 50
_WITHOUT_MODIFIERS = _OF_THE_ANSWER | GIVEN_ONCE | {
    "_contained", "_containedType", "_cursor", "_elements", "_filter", "_list", "_query", "_sort", "_type"
}  # fmt: skip


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
    compartment: tuple[str, str] | None = None,
) -> SearchRequest:
    """The request that these decoded (name, value) pairs make on a type; on several if `resource_type` is empty:
    those that `_type` names, else all, or all of the compartment, which is told by the type and id it is about.

    Repeated parameters are joined by AND, comma lists by OR. `now` is what `ap` on dates is measured from. Raises
    InvalidRequest for what makes no sense; an unknown parameter only if not `lenient`, else it is in `ignored`.
    """
    _require_moderate(params)
    parsed = _Parsed()
    context = Context(definitions, zone, base_url, now)
    contained, contained_type = contained_options(params)
    if contained != "false":
        if not resource_type or compartment is not None:
            raise InvalidRequest("_contained goes with one type", code="not-supported", expression="_contained")
        return _contained(params, resource_type, context, contained == "both", contained_type == "contained", lenient)
    types, listed = types_searched(params, resource_type, compartment, definitions)
    if compartment is not None:
        parsed.nodes.append(membership(types, *compartment, definitions))
    results = ResultParameters((resource_type,) if resource_type else listed, definitions)
    for name, value in params:
        if "\x00" in name or "\x00" in value:
            shown = name.replace("\x00", "")[:80]
            raise InvalidRequest(
                f"{shown}: the character U+0000 is not allowed", code="value", expression=shown.partition(":")[0]
            )
        base, colon, modifier = name.partition(":")
        if colon and base in _WITHOUT_MODIFIERS:
            raise InvalidRequest(f"{base} takes no modifier '{modifier[:80]}'", code="not-supported", expression=base)
        if name in _OF_THE_ANSWER or is_contained_option(name):
            continue
        if results.take(name, value):
            if name in GIVEN_ONCE:
                parsed.applied = [item for item in parsed.applied if item[0] != name]
            if name != "_cursor":
                parsed.applied.append((name, value))
            continue
        try:
            if name == "_type" and not resource_type:
                pass
            elif resource_type and not is_linked(name):
                clause = read_clause(name, value, resource_type, context)
                if value != "":
                    parsed.nodes.append(node_of(clause))
                    parsed.clauses.append(clause)
            elif value != "":
                parsed.nodes.append(over_types(_of_each(types, name, value, context)))
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
        () if resource_type else listed,
        "/".join((*(compartment or ()), resource_type or ("*" if compartment else ""))),
        **results.fields(),
        buckets=buckets_of(parsed.clauses, resource_type, definitions) if resource_type else None,
        applied=tuple(parsed.applied),
        ignored=tuple(parsed.ignored),
    )


def _require_moderate(params: Sequence[tuple[str, str]]) -> None:
    """InvalidRequest for so much that nothing but finding out what it means would take long."""
    values = sum(value.count(",") + 1 for _, value in params)
    linked = sum(is_linked(name) for name, _ in params)
    for number, most, what in ((values, _MOST_VALUES, "values"), (linked, _MOST_LINKED, "chains and _has")):
        if number > most:
            raise InvalidRequest(f"the search has {number} {what}; {most} are allowed", code="too-costly")


def _contained(
    params: Sequence[tuple[str, str]],
    resource_type: str,
    context: Context,
    both: bool,
    is_type: bool,
    lenient: bool,
) -> SearchRequest:
    """The request for what contains such resources, or (`both`) is one."""
    options = [item for item in params if is_contained_option(item[0])]
    rest = [item for item in params if not is_contained_option(item[0])]
    plain = parse_query(
        [item for item in rest if item[0] != "_sort"],
        resource_type,
        context.definitions,
        context.zone,
        context.base_url,
        lenient=lenient,
        now=context.now,
    )
    results = ResultParameters((), context.definitions)
    for name, value in rest:
        results.take(name, value)
    criteria = [item for item in plain.applied if not results.take(*item)]
    tree = contained_part = contained_tree(criteria, resource_type, context)
    if is_type and not is_evaluable(tree):
        raise InvalidRequest(
            "_containedType=contained goes with criteria on the contained resource itself only",
            code="not-supported",
            expression="_containedType",
        )
    if both:
        tree = disjunction((conjunction((TypeMatch((resource_type,)), plain.tree)), tree))
    return replace(
        plain,
        **results.fields(),
        resource_type="",
        tree=tree,
        buckets=None,
        contained=Contained(resource_type, contained_part) if is_type else None,
        applied=(*plain.applied, *((name, value) for name, value in rest if name == "_sort"), *options),
    )


def _of_each(types: Sequence[str], name: str, value: str, context: Context) -> dict[str, Node]:
    """The parameter as each type reads it. Nothing of a type that the `_has` does not lead to, unless none is left."""
    if name.partition(":")[0] in COLUMNS:
        return dict.fromkeys(types, read_any(name, value, types[0], context))
    nodes: dict[str, Node] = {}
    elsewhere: LeadsElsewhere | None = None
    for type_ in types:
        try:
            nodes[type_] = read_any(name, value, type_, context)
        except LeadsElsewhere as error:
            nodes[type_], elsewhere = NOTHING, error
    if elsewhere is not None and all(node == NOTHING for node in nodes.values()):
        raise elsewhere
    return nodes


def _warning(issue: Issue) -> Issue:
    return replace(issue, severity="warning", diagnostics=f"{issue.diagnostics}: ignored")
