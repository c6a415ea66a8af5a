"""https://hl7.org/fhirpath/N1/#combining"""

from typing import Any

from fhirserver.fhir.fhirpath.environment import Environment
from fhirserver.fhir.fhirpath.equality import Distinct
from fhirserver.fhir.fhirpath.invocation import Function, Invocation
from fhirserver.fhir.fhirpath.selection import Selection, aligned, several
from fhirserver.fhir.fhirpath.type_system import TypeSystem


def union(left: Selection, right: Selection, system: TypeSystem) -> Selection:
    """The items of both, equal ones once."""
    if left.constant == ():
        left, right = right, left
    if right.constant == () and left.one is not None:
        return left
    types, (left, right) = aligned(system, left, right)
    convert = system.converter(types)
    if left.constant is not None and right.constant is not None:
        known = Distinct(convert)
        fixed = [value for value in (*left.constant, *right.constant) if known.add(value)]
        return several(types, lambda item, env: fixed, lambda item, env: bool(fixed), constant=tuple(fixed))
    one, other, left_found, right_found = left.many, right.many, left.found, right.found

    def both(item: Any, env: Environment) -> list[Any]:
        found = one(item, env) + other(item, env)
        if len(found) < 2:
            return found
        env.spend(len(found))
        known = Distinct(convert)
        return [value for value in found if known.add(value)]

    return several(types, both, lambda item, env: left_found(item, env) or right_found(item, env), is_ordered=False)


def _union(call: Invocation) -> Selection:
    return union(call.source, call.argument(0), call.system)


def _combine(call: Invocation) -> Selection:
    types, (left, right) = aligned(call.system, call.source, call.argument(0))
    one, other, left_found, right_found = left.many, right.many, left.found, right.found

    def combined(item: Any, env: Environment) -> list[Any]:
        found = one(item, env) + other(item, env)
        env.spend(len(found))
        return found

    return several(types, combined, lambda item, env: left_found(item, env) or right_found(item, env), is_ordered=False)


FUNCTIONS = {"union": Function(_union, 1, 1), "combine": Function(_combine, 1, 1)}
