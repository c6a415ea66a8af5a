"""The parameters of a query that say how the matches are to be given: order, size, what comes along.

https://hl7.org/fhir/R4/search.html#return
"""

from typing import Any

from fhirserver.fhir.definitions import Definitions
from fhirserver.fhir.definitions.search_parameters import SearchParameter
from fhirserver.fhir.fhirpath.paths import compile_paths
from fhirserver.fhir.outcomes import InvalidRequest
from fhirserver.search.keys import ParameterKeys
from fhirserver.search.request import Include, Sort

_TOTALS = ("none", "estimate", "accurate")
_SUMMARIES = ("true", "text", "data", "count", "false")
_SORT_PATHS = {
    "CodeableConcept": ".coding.code",
    "Coding": ".code",
    "Identifier": ".value",
    "ContactPoint": ".value",
    "Reference": ".reference",
}
_MAX_COUNT_DIGITS = 9


class ResultParameters:
    """Takes result parameters one by one; `fields` are those of a SearchRequest."""

    def __init__(self, resource_type: str, definitions: Definitions):
        self._resource_type = resource_type
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
            if value:
                self._fields["sort"] = tuple(self._sort(item.strip()) for item in value.split(","))
        elif name == "_count":
            self._fields["count"] = _count(value)
        elif name == "_total":
            self._fields["total"] = _one_of(name, value, _TOTALS)
        elif name == "_summary":
            self._fields["summary"] = _one_of(name, value, _SUMMARIES)
        elif name == "_elements":
            self._fields["elements"] = tuple(item.strip() for item in value.split(",") if item.strip())
        elif name == "_cursor":
            self._fields["cursor"] = value
        else:
            return False
        return True

    def _sort(self, item: str) -> Sort:
        descending = item.startswith("-")
        code = item.removeprefix("-")
        if not self._resource_type and code not in ("_id", "_lastUpdated"):
            raise InvalidRequest(
                f"_sort: '{code[:80]}': several types are sorted by _id and _lastUpdated only",
                code="not-supported",
                expression="_sort",
            )
        parameter = self._definitions.search_parameters(self._resource_type or "Basic").get(code)
        if parameter is None:
            raise InvalidRequest(
                f"_sort: {self._resource_type} has no search parameter '{code[:80]}'",
                code="value",
                expression="_sort",
            )
        if code == "_id":
            return Sort(code, descending, "id")
        if code == "_lastUpdated":
            return Sort(code, descending, "last_updated")
        if code == self._definitions.principal_date(self._resource_type):
            return Sort(code, descending, "sort_date")
        if parameter.expression is None:
            raise _no_order(parameter)
        if parameter.type == "string":
            return Sort(code, descending, "string")
        if parameter.type in ("date", "number", "quantity"):
            return Sort(code, descending, "range", key=ParameterKeys(self._resource_type, code).range())
        return Sort(code, descending, "json", json_paths=self._json_paths(parameter))

    def _json_paths(self, parameter: SearchParameter) -> tuple[str, ...]:
        if parameter.type not in ("token", "uri", "reference"):
            raise _no_order(parameter)
        branches = compile_paths(parameter.expression or "", self._resource_type, self._definitions)
        paths = tuple(
            branch.json_path + _SORT_PATHS.get(branch.type_name, "")
            for branch in branches
            if branch.json_path is not None
        )
        if not paths:
            raise _no_order(parameter)
        return paths

    def _include(self, name: str, modifier: str, value: str) -> None:
        if modifier not in ("", "iterate"):
            raise InvalidRequest(f"{name} takes no modifier but :iterate", code="not-supported", expression=name)
        found = self._includes["includes" if name == "_include" else "revincludes"]
        if value == "*" and name == "_include":
            found.append(Include("*", "*", None, modifier == "iterate"))
            return
        parts = value.split(":")
        if len(parts) not in (2, 3) or not self._definitions.is_resource_type(parts[0]):
            raise InvalidRequest(
                f"{name} takes Type:parameter or Type:parameter:Type, not {value[:100]!r}",
                code="value",
                expression=name,
            )
        parameter = self._definitions.search_parameters(parts[0]).get(parts[1])
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


def _no_order(parameter: SearchParameter) -> InvalidRequest:
    return InvalidRequest(f"_sort: '{parameter.code}' has no order", code="not-supported", expression="_sort")


def _count(value: str) -> int:
    if not (value.isascii() and value.isdigit()):
        raise InvalidRequest(f"_count is a whole number from 0, not {value[:80]!r}", code="value", expression="_count")
    return int(value[:_MAX_COUNT_DIGITS])


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise InvalidRequest(
            f"{name} is one of {', '.join(allowed)}, not {value[:80]!r}", code="value", expression=name
        )
    return value
