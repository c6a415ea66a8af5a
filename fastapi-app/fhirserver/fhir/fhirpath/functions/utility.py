"""https://hl7.org/fhirpath/N1/#utility-functions, with type() and sort()"""

from collections.abc import Callable
from functools import cmp_to_key
from typing import Any

from fhirserver.fhir.fhirpath import equality, nodes, selection
from fhirserver.fhir.fhirpath.environment import Environment
from fhirserver.fhir.fhirpath.equality import NotComparable
from fhirserver.fhir.fhirpath.invocation import Function, Invocation, Scope
from fhirserver.fhir.fhirpath.nodes import TypeInfo, type_of
from fhirserver.fhir.fhirpath.selection import One, Selection, computed, several, with_types
from fhirserver.fhir.fhirpath.temporal import Temporal, from_datetime
from fhirserver.fhir.fhirpath.tree import Unary


def _trace(call: Invocation) -> Selection:
    """What is traced goes nowhere; the arguments are checked."""
    call.text(call.argument(0))
    if len(call.arguments) > 1:
        call.inner(1)
    return call.source


def _now(call: Invocation) -> Selection:
    return computed(nodes.DATETIME, lambda item, env: _moment(call, env))


def _today(call: Invocation) -> Selection:
    return computed(nodes.DATE, lambda item, env: Temporal("Date", _moment(call, env).fields[:3]))


def _time_of_day(call: Invocation) -> Selection:
    return computed(nodes.TIME, lambda item, env: Temporal("Time", _moment(call, env).fields[3:]))


def _moment(call: Invocation, env: Environment) -> Temporal:
    if env.now is None:
        raise call.error(f"{call.name}(): there is no clock")
    return from_datetime(env.now)


def _type(call: Invocation) -> Selection:
    items = with_types(call.source, call.system).many
    name = call.source.type_name

    def types(item: Any, env: Environment) -> list[Any]:
        return [_type_info(name or type_of(value)) for value in items(item, env)]

    if call.source.one is not None:
        return selection.single(frozenset({nodes.TYPE_INFO}), lambda item, env: next(iter(types(item, env)), None))
    return several(frozenset({nodes.TYPE_INFO}), types)


def _type_info(name: str) -> TypeInfo:
    if name.startswith("System."):
        return TypeInfo("System", name.removeprefix("System."))
    return TypeInfo("FHIR", name)


def _sort(call: Invocation) -> Selection:
    """By the keys in their order; `-` before a key turns it round. What has no key comes first, either way."""
    items = call.source.many
    scope = Scope(call.source.types, True)
    keys: list[tuple[One, int]] = []
    for argument in call.arguments:
        sign = 1
        if isinstance(argument, Unary):
            sign, argument = (-1 if argument.operator == "-" else 1), argument.operand
        keys.append((selection.value(call.compile(argument, scope), call.system, call.place), sign))
    if not keys:
        convert = call.system.converter(call.source.types)
        keys.append((lambda item, env: convert(item), 1))

    def sort(item: Any, env: Environment) -> list[Any]:
        found = items(item, env)
        env.spend(len(found))
        keyed: list[tuple[list[Any], Any]] = [([key(value, env) for key, _ in keys], value) for value in found]
        by_keys: Callable[[Any, Any], int] = lambda one, two: _order(one[0], two[0], keys)  # noqa: E731
        try:
            keyed.sort(key=cmp_to_key(by_keys))
        except NotComparable:
            raise call.error("sort(): these items have no order") from None
        return [value for _, value in keyed]

    return several(call.source.types, sort)


def _order(left: list[Any], right: list[Any], keys: list[tuple[One, int]]) -> int:
    for mine, other, (_, sign) in zip(left, right, keys, strict=True):
        if mine is None or other is None:
            found = (mine is not None) - (other is not None)
        else:
            found = (equality.order(mine, other) or 0) * sign
        if found:
            return found
    return 0


FUNCTIONS = {
    "trace": Function(_trace, 1, 2),
    "now": Function(_now),
    "today": Function(_today),
    "timeOfDay": Function(_time_of_day),
    "type": Function(_type),
    "sort": Function(_sort, 0, 10),
}
