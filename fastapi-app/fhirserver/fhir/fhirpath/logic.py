"""and, or, xor, implies: three-valued, the second operand only as far as it is needed.

https://hl7.org/fhirpath/N1/#boolean-logic
"""

from typing import Any

from fhirserver.fhir.fhirpath import nodes, selection
from fhirserver.fhir.fhirpath.environment import Environment
from fhirserver.fhir.fhirpath.errors import Place
from fhirserver.fhir.fhirpath.selection import One, Selection, computed
from fhirserver.fhir.fhirpath.type_system import TypeSystem


def _and(left: One, right: One) -> One:
    def both(item: Any, env: Environment) -> Any:
        first = left(item, env)
        if first is False:
            return False
        second = right(item, env)
        if second is False:
            return False
        return True if first and second else None

    return both


def _or(left: One, right: One) -> One:
    def either(item: Any, env: Environment) -> Any:
        first = left(item, env)
        if first:
            return True
        second = right(item, env)
        if second:
            return True
        return None if first is None or second is None else False

    return either


def _xor(left: One, right: One) -> One:
    def one_of_both(item: Any, env: Environment) -> Any:
        first, second = left(item, env), right(item, env)
        return None if first is None or second is None else first is not second

    return one_of_both


def _implies(left: One, right: One) -> One:
    def implied(item: Any, env: Environment) -> Any:
        first = left(item, env)
        if first is False:
            return True
        second = right(item, env)
        if second:
            return True
        return None if first is None or second is None else False

    return implied


_OPERATORS = {"and": _and, "or": _or, "xor": _xor, "implies": _implies}


def compile_logic(operator: str, left: Selection, right: Selection, system: TypeSystem, place: Place) -> Selection:
    """A boolean operator on two operands that are true, false or empty."""
    return computed(
        nodes.BOOLEAN,
        _OPERATORS[operator](selection.truth(left, system, place), selection.truth(right, system, place)),
    )
