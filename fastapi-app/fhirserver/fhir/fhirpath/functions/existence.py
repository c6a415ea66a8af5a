"""https://hl7.org/fhirpath/N1/#existence"""

from collections.abc import Callable
from typing import Any

from fhirserver.fhir.fhirpath import nodes, selection
from fhirserver.fhir.fhirpath.environment import Environment
from fhirserver.fhir.fhirpath.equality import Distinct
from fhirserver.fhir.fhirpath.invocation import Function, Invocation
from fhirserver.fhir.fhirpath.selection import Selection, boolean, computed, several


def _empty(call: Invocation) -> Selection:
    found = call.source.found
    return boolean(lambda item, env: not found(item, env))


def _exists(call: Invocation) -> Selection:
    if not call.arguments:
        return boolean(call.source.found)
    test, loop, items = call.criterion(0), call.loop(0), call.source.many

    def exists(item: Any, env: Environment) -> bool:
        return any(test(candidate, env) is True for candidate in loop(items(item, env), env))

    return boolean(exists)


def _all(call: Invocation) -> Selection:
    test, loop, items = call.criterion(0), call.loop(0), call.source.many

    def holds(item: Any, env: Environment) -> bool:
        return all(test(candidate, env) is True for candidate in loop(items(item, env), env))

    return boolean(holds)


def _booleans(decide: Callable[[list[bool]], bool]) -> Callable[[Invocation], Selection]:
    """The functions on collections of booleans alone."""

    def build(call: Invocation) -> Selection:
        items = selection.values(call.source, call.system).many

        def decided(item: Any, env: Environment) -> bool:
            found = items(item, env)
            for value in found:
                if value.__class__ is not bool:
                    raise call.error(f"{call.name}(): Booleans were expected, not {nodes.described(value)}")
            return decide(found)

        return boolean(decided)

    return build


def _subset_of(call: Invocation) -> Selection:
    return _included(call, call.source, call.argument(0))


def _superset_of(call: Invocation) -> Selection:
    return _included(call, call.argument(0), call.source)


def _included(call: Invocation, part: Selection, whole: Selection) -> Selection:
    parts, wholes = selection.values(part, call.system).many, selection.values(whole, call.system).many

    def included(item: Any, env: Environment) -> bool:
        known = Distinct(_same, wholes(item, env))
        return all(known.has(value) for value in parts(item, env))

    return boolean(included)


def _count(call: Invocation) -> Selection:
    if call.source.one is not None:
        found = call.source.found
        return computed(nodes.INTEGER, lambda item, env: 1 if found(item, env) else 0)
    many = call.source.many
    return computed(nodes.INTEGER, lambda item, env: len(many(item, env)))


def _distinct(call: Invocation) -> Selection:
    source = call.source
    if source.one is not None:
        return source
    items, convert = source.many, call.system.converter(source.types)

    def distinct(item: Any, env: Environment) -> list[Any]:
        found = items(item, env)
        env.spend(len(found))
        known = Distinct(convert)
        return [value for value in found if known.add(value)]

    return several(source.types, distinct, source.found)


def _is_distinct(call: Invocation) -> Selection:
    items, convert = call.source.many, call.system.converter(call.source.types)

    def is_distinct(item: Any, env: Environment) -> bool:
        found = items(item, env)
        if len(found) < 2:
            return True
        env.spend(len(found))
        known = Distinct(convert)
        return all(known.add(value) for value in found)

    return boolean(is_distinct)


def _not(call: Invocation) -> Selection:
    test = selection.truth(call.source, call.system, call.place)

    def negated(item: Any, env: Environment) -> Any:
        value = test(item, env)
        return None if value is None else not value

    return computed(nodes.BOOLEAN, negated)


def _same(value: Any) -> Any:
    return value


FUNCTIONS = {
    "empty": Function(_empty),
    "exists": Function(_exists, 0, 1),
    "all": Function(_all, 1, 1),
    "allTrue": Function(_booleans(all)),
    "anyTrue": Function(_booleans(any)),
    "allFalse": Function(_booleans(lambda values: not any(values))),
    "anyFalse": Function(_booleans(lambda values: not all(values))),
    "subsetOf": Function(_subset_of, 1, 1),
    "supersetOf": Function(_superset_of, 1, 1),
    "count": Function(_count),
    "distinct": Function(_distinct),
    "isDistinct": Function(_is_distinct),
    "not": Function(_not),
}
