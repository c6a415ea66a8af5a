"""https://hl7.org/fhirpath/N1/#subsetting"""

from collections.abc import Callable
from typing import Any

from fhirserver.fhir.fhirpath import selection
from fhirserver.fhir.fhirpath.environment import Environment
from fhirserver.fhir.fhirpath.equality import Distinct
from fhirserver.fhir.fhirpath.invocation import Function, Invocation
from fhirserver.fhir.fhirpath.selection import EMPTY, Selection, several, single


def _single(call: Invocation) -> Selection:
    source = call.source
    if source.one is not None:
        return source
    items, error = source.many, call.error

    def only(item: Any, env: Environment) -> Any:
        found = items(item, env)
        if len(found) > 1:
            raise error(f"single(): there are {len(found)} items")
        return found[0] if found else None

    return single(source.types, only)


def _at(position: int) -> Callable[[Invocation], Selection]:
    """first() and last()."""

    def build(call: Invocation) -> Selection:
        _check_order(call)
        return at(call.source, position)

    return build


def at(source: Selection, position: int) -> Selection:
    """The item at a place (-1: the last)."""
    if source.one is not None:
        return source if position in (0, -1) else EMPTY
    many = source.many

    def one(item: Any, env: Environment) -> Any:
        found = many(item, env)
        return found[position] if -len(found) <= position < len(found) else None

    return single(source.types, one)


def _tail(call: Invocation) -> Selection:
    _check_order(call)
    items = call.source.many
    return several(call.source.types, lambda item, env: items(item, env)[1:])


def _skip(call: Invocation) -> Selection:
    _check_order(call)
    items, number = call.source.many, call.integer(call.argument(0))

    def skip(item: Any, env: Environment) -> list[Any]:
        found, skipped = items(item, env), number(item, env)
        return [] if skipped is None else found[max(skipped, 0) :]

    return several(call.source.types, skip)


def _take(call: Invocation) -> Selection:
    _check_order(call)
    items, number = call.source.many, call.integer(call.argument(0))

    def take(item: Any, env: Environment) -> list[Any]:
        found, taken = items(item, env), number(item, env)
        return [] if taken is None else found[: max(taken, 0)]

    return several(call.source.types, take)


def _intersect(call: Invocation) -> Selection:
    source, convert = call.source, call.system.converter(call.source.types)
    items, others = source.many, selection.values(call.argument(0), call.system).many

    def intersect(item: Any, env: Environment) -> list[Any]:
        found = items(item, env)
        if not found:
            return []
        wanted, known = Distinct(_same, others(item, env)), Distinct(convert)
        env.spend(len(found))
        return [value for value in found if wanted.has(convert(value)) and known.add(value)]

    return several(source.types, intersect)


def _exclude(call: Invocation) -> Selection:
    source, convert = call.source, call.system.converter(call.source.types)
    items, others = source.many, selection.values(call.argument(0), call.system).many

    def exclude(item: Any, env: Environment) -> list[Any]:
        found = items(item, env)
        if not found:
            return []
        unwanted = Distinct(_same, others(item, env))
        env.spend(len(found))
        return [value for value in found if not unwanted.has(convert(value))]

    return several(source.types, exclude)


def _check_order(call: Invocation) -> None:
    if call.is_strict and not call.source.is_ordered:
        raise call.error(f"{call.name}(): the order of these items means nothing")


def _same(value: Any) -> Any:
    return value


FUNCTIONS = {
    "single": Function(_single),
    "first": Function(_at(0)),
    "last": Function(_at(-1)),
    "tail": Function(_tail),
    "skip": Function(_skip, 1, 1),
    "take": Function(_take, 1, 1),
    "intersect": Function(_intersect, 1, 1),
    "exclude": Function(_exclude, 1, 1),
}
