"""How matches are given, evaluated by walking all resources: their order, and what comes along.

https://hl7.org/fhir/R4/search.html#sort and #include
"""

from collections.abc import Iterable, Sequence
from datetime import UTC
from itertools import pairwise
from typing import Any

from fhirserver.fhir.definitions.search_parameters import SearchParameter

from .quantities import measures
from .search import Oracle, address_of
from .spans import NEVER, Span, between, point, time_span
from .texts import normal, strings, tokens
from .world import Address, Resource


def in_order(oracle: Oracle, resources: Sequence[Resource], sort: str) -> bool:
    """Whether resources are sorted as `_sort` asks: by each key in turn, those without a value last."""
    directions = [item.startswith("-") for item in sort.split(",")]
    rows = [sort_values(oracle, item, sort) for item in resources]
    return all(_not_after(first, second, directions) for first, second in pairwise(rows))


def sort_values(oracle: Oracle, resource: Resource, sort: str) -> list[Any]:
    """What a resource is sorted by, for each key of `_sort`; None without a value."""
    return [_sort_value(oracle, resource, key.removeprefix("-"), key.startswith("-")) for key in sort.split(",")]


def _not_after(first: Sequence[Any], second: Sequence[Any], directions: Iterable[bool]) -> bool:
    for left, right, down in zip(first, second, directions, strict=True):
        if left != right:
            if left is None or right is None:
                return right is None
            return bool(left > right if down else left < right)
    return True


def _sort_value(oracle: Oracle, resource: Resource, code: str, down: bool) -> Any:
    """Of several values, that which comes first in the order; None without values."""
    link, dot, rest = code.partition(".")
    if dot:
        name, _, target = link.partition(":")
        others = [other for other in oracle.targets_of(resource, name) if other["resourceType"] == target]
        linked = [_sort_value(oracle, other, rest, down) for other in others]
        return (max if down else min)((item for item in linked if item is not None), default=None)
    parameter = oracle.world.parameter(resource["resourceType"], code)
    assert parameter is not None, code
    found = [item for value in oracle.world.values(resource, parameter) for item in _comparable(value, parameter)]
    return (max if down else min)(found, default=None)


def _comparable(value: Any, parameter: SearchParameter) -> list[Any]:
    match parameter.type:
        case "string":
            return [normal(text)[:200] for text in strings(value)]
        case "date":
            return _beginning(time_span(value, UTC))
        case "number":
            return _beginning(between(value.get("low"), value.get("high")) if isinstance(value, dict) else point(value))
        case "quantity":
            return [begin for found in measures(value) for begin in _beginning(found.span)]
        case "token":
            return [code.lower() for _, code in tokens(value, {}) if code is not None]
        case "reference" if isinstance(value, dict):
            return [value["reference"].lower()] if "reference" in value else []
    return [str(value).lower()]


def _beginning(span: Span | None) -> list[Any]:
    """Where a span begins; what has no beginning is sorted by its end."""
    if span is None:
        return []
    return [span[0] if span[0] != NEVER else span[1]]


def included(oracle: Oracle, matches: Iterable[Resource], params: Iterable[tuple[str, str]]) -> set[Address]:
    """What `_include` and `_revinclude` add to matches: what `:iterate` adds is looked at again."""
    seen = {address_of(item) for item in matches}
    others: set[Address] = set()
    level, first = list(matches), True
    while level:
        added: set[Address] = set()
        for name, value in params:
            if first or name.endswith(":iterate"):
                step = _targets if name.startswith("_include") else _sources
                added |= step(oracle, level, *value.split(":"))
        level = [oracle.world.resources[address] for address in added - seen]
        seen |= added
        others |= {address_of(item) for item in level}
        first = False
    return others


def _targets(oracle: Oracle, level: Iterable[Resource], source: str, code: str, target: str = "") -> set[Address]:
    return {
        address_of(other)
        for item in level
        if item["resourceType"] == source
        for other in oracle.targets_of(item, code)
        if target in ("", other["resourceType"])
    }


def _sources(oracle: Oracle, level: Sequence[Resource], source: str, code: str, target: str = "") -> set[Address]:
    wanted = {address_of(item) for item in level if target in ("", item["resourceType"])}
    return {
        address_of(other)
        for other in oracle.world.of_type(source)
        if not wanted.isdisjoint(found for found in oracle.targets(other, code) if isinstance(found, tuple))
    }
