"""https://hl7.org/fhirpath/N1/#filtering-and-projection, with aggregate()"""

from typing import Any

from fhirserver.fhir.fhirpath.casts import of_type
from fhirserver.fhir.fhirpath.environment import Environment
from fhirserver.fhir.fhirpath.equality import Distinct
from fhirserver.fhir.fhirpath.errors import FhirPathError
from fhirserver.fhir.fhirpath.invocation import Function, Invocation
from fhirserver.fhir.fhirpath.selection import Selection, several, single, with_types


def _where(call: Invocation) -> Selection:
    source = call.source
    test, loop = call.criterion(0), call.loop(0)
    if source.one is not None:
        get = source.one

        def one(item: Any, env: Environment) -> Any:
            found = get(item, env)
            if found is None:
                return None
            for candidate in loop([found], env):
                return candidate if test(candidate, env) is True else None
            return None

        return single(source.types, one)
    items = source.many

    def many(item: Any, env: Environment) -> list[Any]:
        return [candidate for candidate in loop(items(item, env), env) if test(candidate, env) is True]

    def found(item: Any, env: Environment) -> bool:
        return any(test(candidate, env) is True for candidate in loop(items(item, env), env))

    return several(source.types, many, found, is_ordered=source.is_ordered)


def _select(call: Invocation) -> Selection:
    source, projection, loop = call.source, call.inner(0), call.loop(0)
    if source.one is not None and projection.one is not None:
        get, project = source.one, projection.one

        def one(item: Any, env: Environment) -> Any:
            found = get(item, env)
            if found is None:
                return None
            for candidate in loop([found], env):
                return project(candidate, env)
            return None

        return single(projection.types, one)
    items, inside = source.many, projection.many

    def many(item: Any, env: Environment) -> list[Any]:
        result: list[Any] = []
        for candidate in loop(items(item, env), env):
            found = inside(candidate, env)
            if len(found) > 1:
                env.spend(len(found))
            result += found
        return result

    return several(projection.types, many)


def _repeat(call: Invocation) -> Selection:
    """The projection, then that of what it gave, until nothing new comes."""
    source = call.source
    try:
        first = call.inner(0)
        types, again = first.types, call.inner(0, first.types)
    except FhirPathError:
        # repeat(item | answer): not each item has both.
        types = None
        first = again = call.inner(0, None)
    if types is None or again.types is None or not again.types <= types:
        # What is selected from the results is of yet other types.
        first = again = with_types(call.inner(0, None), call.system)
        source, types = with_types(source, call.system), None
    items, inside, further, convert = source.many, first.many, again.many, call.system.converter(types)

    def many(item: Any, env: Environment) -> list[Any]:
        known, result = Distinct(convert), []
        waiting = [found for parent in items(item, env) for found in inside(parent, env) if known.add(found)]
        while waiting:
            env.spend(len(waiting))
            result += waiting
            waiting = [found for parent in waiting for found in further(parent, env) if known.add(found)]
        return result

    return several(types, many)


def _of_type(call: Invocation) -> Selection:
    return of_type(call.source, call.arguments[0], call.system, call.place)


def _aggregate(call: Invocation) -> Selection:
    """`$total` may be of any type, so the results are taken to be, too."""
    items, loop = call.source.many, call.loop(0)
    step = with_types(call.inner(0), call.system).many
    first = with_types(call.argument(1), call.system).many if len(call.arguments) > 1 else _nothing

    def aggregated(item: Any, env: Environment) -> list[Any]:
        before = env.total
        try:
            total = first(item, env)
            for candidate in loop(items(item, env), env):
                env.total = total
                total = step(candidate, env)
            return total
        finally:
            env.total = before

    return several(None, aggregated)


def _nothing(item: Any, env: Environment) -> list[Any]:
    return []


FUNCTIONS = {
    "where": Function(_where, 1, 1),
    "select": Function(_select, 1, 1),
    "repeat": Function(_repeat, 1, 1),
    "ofType": Function(_of_type, 1, 1),
    "aggregate": Function(_aggregate, 1, 2),
}
