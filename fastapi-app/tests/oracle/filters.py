"""`_filter`, read and evaluated at once. https://hl7.org/fhir/R4/search_filter.html"""

import json
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from .spans import compare, time_span
from .texts import normal, strings
from .world import Resource

if TYPE_CHECKING:
    from .search import Oracle

Predicate = Callable[[Resource], bool]

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[()\[\]]|[^\s()\[\]"]+')
_STRINGS: dict[str, Callable[[str, str], bool]] = {
    "eq": str.__eq__,
    "ne": str.__ne__,
    "co": str.__contains__,
    "sw": str.startswith,
    "ew": str.endswith,
}


def filter_predicate(text: str, oracle: "Oracle") -> Predicate:
    """What the filter says of a resource."""
    tokens = _TOKEN.findall(text)
    predicate = _any_of(tokens, oracle)
    assert not tokens, text
    return predicate


def _any_of(tokens: list[str], oracle: "Oracle") -> Predicate:
    parts = [_all_of(tokens, oracle)]
    while tokens and tokens[0] == "or":
        tokens.pop(0)
        parts.append(_all_of(tokens, oracle))
    return lambda resource: any(part(resource) for part in parts)


def _all_of(tokens: list[str], oracle: "Oracle") -> Predicate:
    parts = [_one(tokens, oracle)]
    while tokens and tokens[0] == "and":
        tokens.pop(0)
        parts.append(_one(tokens, oracle))
    return lambda resource: all(part(resource) for part in parts)


def _one(tokens: list[str], oracle: "Oracle") -> Predicate:
    if tokens[0] == "not":
        tokens.pop(0)
        inner = _one(tokens, oracle)
        return lambda resource: not inner(resource)
    if tokens[0] == "(":
        tokens.pop(0)
        inner = _any_of(tokens, oracle)
        assert tokens.pop(0) == ")"
        return inner
    return _path(tokens.pop(0).split("."), tokens, oracle)


def _path(names: Sequence[str], tokens: list[str], oracle: "Oracle") -> Predicate:
    """`reference[condition].rest` or `parameter operator value`."""
    name, *rest = names
    if not rest and tokens[0] == "[":
        tokens.pop(0)
        condition = _any_of(tokens, oracle)
        assert tokens.pop(0) == "]"
        rest = tokens.pop(0).removeprefix(".").split(".")
        return _link(name, condition, _path(rest, tokens, oracle), rest[0], oracle)
    if rest:
        return _link(name, lambda resource: True, _path(rest, tokens, oracle), rest[0], oracle)
    operator, value = tokens.pop(0), tokens.pop(0)
    value = json.loads(value) if value.startswith('"') else value
    return lambda resource: _compare(resource, name, operator, value, oracle)


def _link(name: str, condition: Predicate, rest: Predicate, following: str, oracle: "Oracle") -> Predicate:
    return lambda resource: any(
        condition(target) and rest(target)
        for target in oracle.targets_of(resource, name)
        if oracle.world.parameter(target["resourceType"], following) is not None
    )


def _compare(resource: Resource, code: str, operator: str, value: str, oracle: "Oracle") -> bool:
    parameter = oracle.world.parameter(resource["resourceType"], code)
    assert parameter is not None, code
    if operator == "pr":
        return oracle.holds(resource, f"{code}:missing", "false" if value == "true" else "true")
    escaped = re.sub(r"([\\,$])", r"\\\1", value)
    match parameter.type:
        case "string":
            texts = [text for item in oracle.world.values(resource, parameter) for text in strings(item)]
            return any(_STRINGS[operator](normal(text), normal(value)) for text in texts)
        case "date" if operator == "po":
            asked = time_span(value, oracle.zone)
            spans = [time_span(item, oracle.zone) for item in oracle.world.values(resource, parameter)]
            return asked is not None and any(compare("ap", asked, span) for span in spans if span is not None)
        case "date" | "number" | "quantity":
            return oracle.holds(resource, code, operator + escaped)
        case "uri" if operator == "sw":
            return oracle.holds(resource, f"{code}:below", escaped)
    assert operator == "eq", operator
    return oracle.holds(resource, code, escaped)
