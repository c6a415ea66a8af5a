"""The parameters of a query that say how the matches are to be given: order, size, what comes along.

https://hl7.org/fhir/R4/search.html#return
"""

from collections.abc import Sequence
from typing import Any

from fhirserver.fhir.definitions import Definitions
from fhirserver.fhir.definitions.search_parameters import SearchParameter
from fhirserver.fhir.fhirpath.paths import compile_paths
from fhirserver.fhir.outcomes import InvalidRequest
from fhirserver.search.keys import ParameterKeys
from fhirserver.search.query.clauses import find_parameter
from fhirserver.search.request import Include, Link, Sort
from fhirserver.search.types.reference import target_types
from fhirserver.search.types.sorting import sort_paths

GIVEN_ONCE = frozenset({"_count", "_total", "_summary", "_maxresults", "_explain"})
"""Those of which the last one counts; the others add up."""

_TOTALS = ("none", "estimate", "accurate")
_SUMMARIES = ("true", "text", "data", "count", "false")
_MAX_COUNT_DIGITS = 9
_MAX_DEPTH = 4
_MAX_SORT_KEYS = 16


class ResultParameters:
    """Takes result parameters one by one; `fields` are those of a SearchRequest.

    `types` are those that the search is over, none if they are not told one by one.
    """

    def __init__(self, types: Sequence[str], definitions: Definitions):
        self._types = types
        self._definitions = definitions
        self._fields: dict[str, Any] = {}
        self._includes: dict[str, list[Include]] = {"includes": [], "revincludes": []}

    def fields(self) -> dict[str, Any]:
        """The fields of a SearchRequest that were set."""
        return self._fields | {name: tuple(found) for name, found in self._includes.items()}

    def take(self, name: str, value: str) -> bool:
        """Take a parameter; False if it is no result parameter. Raises InvalidRequest for a bad value."""
        base, _, modifier = name.partition(":")
        if base in ("_include", "_revinclude"):
            self._include(base, modifier, value)
            return True
        if name == "_sort":
            items = value.split(",") if value else []
            known = self._fields.get("sort", ())
            if len(known) + len(items) > _MAX_SORT_KEYS:
                raise InvalidRequest(f"_sort: {_MAX_SORT_KEYS} keys are allowed", code="too-costly", expression="_sort")
            if items:
                self._fields["sort"] = known + tuple(self._sort(item.strip()) for item in items)
        elif name == "_count":
            self._fields["count"] = _whole_number(name, value)
        elif name == "_total":
            self._fields["total"] = _one_of(name, value, _TOTALS)
        elif name == "_summary":
            self._fields["summary"] = _one_of(name, value, _SUMMARIES)
        elif name == "_elements":
            elements = tuple(item.strip() for item in value.split(",") if item.strip())
            self._fields["elements"] = self._fields.get("elements", ()) + elements
        elif name == "_maxresults":
            self._fields["max_results"] = _whole_number(name, value)
        elif name == "_explain":
            self._fields["explain"] = _one_of(name, value, ("true", "false")) == "true"
        elif name == "_cursor":
            self._fields["cursor"] = value
        else:
            return False
        return True

    def _sort(self, item: str) -> Sort:
        descending = item.startswith("-")
        code = item.removeprefix("-")
        if code in ("_id", "_lastUpdated"):
            return Sort(code, descending, "id" if code == "_id" else "last_updated")
        read = self._linked if "." in code else self._own
        orders = {read(code, descending, type_) for type_ in self._types}
        if len(orders) != 1:
            raise InvalidRequest(
                f"_sort: '{code[:80]}' is no order that the types have in common; _id and _lastUpdated always are",
                code="not-supported",
                expression="_sort",
            )
        return orders.pop()

    def _own(self, code: str, descending: bool, resource_type: str) -> Sort:
        parameter = find_parameter(self._definitions, resource_type, code)
        if parameter is None:
            raise _Unknown(
                f"_sort: {resource_type} has no search parameter '{code[:80]}'",
                code="value",
                expression="_sort",
            )
        if code == "_id":
            return Sort(code, descending, "id")
        if code == "_lastUpdated":
            return Sort(code, descending, "last_updated")
        if code == self._definitions.principal_date(resource_type):
            return Sort(code, descending, "sort_date")
        if parameter.expression is None:
            raise _no_order(parameter)
        if parameter.type == "string":
            return Sort(code, descending, "string")
        if parameter.type in ("date", "number", "quantity"):
            return Sort(code, descending, "range", key=ParameterKeys(resource_type, code).range())
        if parameter.type not in ("token", "uri", "reference"):
            raise _no_order(parameter)
        paths = sort_paths(compile_paths(parameter.expression, resource_type, self._definitions))
        return Sort(code, descending, "json", json_paths=paths) if paths else Sort(code, descending, "string")

    def _linked(self, code: str, descending: bool, resource_type: str, depth: int = 0) -> Sort:
        """`subject.name`, `subject:Patient.name`: by what the references lead to."""
        step, _, rest = code.partition(".")
        name, _, modifier = step.partition(":")
        parameter = find_parameter(self._definitions, resource_type, name)
        if parameter is None or parameter.type != "reference" or depth == _MAX_DEPTH:
            raise _Unknown(
                f"_sort: {resource_type} has no reference parameter '{name[:80]}'", code="value", expression="_sort"
            )
        key = ParameterKeys(resource_type, name).reference
        is_placing = name in self._definitions.placing_parameters(resource_type)
        links = []
        for target in (modifier,) if modifier in target_types(parameter) else target_types(parameter):
            try:
                found = (
                    self._linked(rest, descending, target, depth + 1)
                    if "." in rest
                    else self._own(rest, descending, target)
                )
            except _Unknown:
                continue
            links.append((Link(key, target, is_placing and target == "Patient"), found))
        if not links or (modifier and modifier not in target_types(parameter)):
            raise _Unknown(
                f"_sort: nothing that {name} leads to has the parameter '{rest[:80]}'", code="value", expression="_sort"
            )
        return Sort(code, descending, "linked", links=tuple(links))

    def _include(self, name: str, modifier: str, value: str) -> None:
        if modifier not in ("", "iterate"):
            raise InvalidRequest(f"{name} takes no modifier but :iterate", code="not-supported", expression=name)
        found = self._includes["includes" if name == "_include" else "revincludes"]
        if value == "*":
            found.append(Include("*", "*", None, modifier == "iterate"))
            return
        parts = value.split(":")
        if len(parts) not in (2, 3) or not self._definitions.is_resource_type(parts[0]):
            raise InvalidRequest(
                f"{name} takes Type:parameter or Type:parameter:Type, not {value[:100]!r}",
                code="value",
                expression=name,
            )
        parameter = find_parameter(self._definitions, parts[0], parts[1])
        if parts[1] != "*" and (parameter is None or parameter.type != "reference"):
            raise InvalidRequest(
                f"{name}: {parts[0]} has no reference parameter '{parts[1][:80]}'",
                code="value",
                expression=name,
            )
        target = parts[2] if len(parts) == 3 else None
        if target is not None and not self._definitions.is_resource_type(target):
            raise InvalidRequest(f"{name}: no resource type '{target[:80]}'", code="value", expression=name)
        found.append(Include(parts[0], parts[1], target, modifier == "iterate"))


class _Unknown(InvalidRequest):
    """The type has no such parameter."""


def _no_order(parameter: SearchParameter) -> InvalidRequest:
    return InvalidRequest(f"_sort: '{parameter.code}' has no order", code="not-supported", expression="_sort")


def _whole_number(name: str, value: str) -> int:
    if not (value.isascii() and value.isdigit()):
        raise InvalidRequest(f"{name} is a whole number from 0, not {value[:80]!r}", code="value", expression=name)
    return int(value[:_MAX_COUNT_DIGITS])


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise InvalidRequest(
            f"{name} is one of {', '.join(allowed)}, not {value[:80]!r}", code="value", expression=name
        )
    return value
