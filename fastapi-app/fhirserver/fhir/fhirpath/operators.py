"""The binary operators by their symbol; `is` and `as`, which take a type, are not among them."""

from collections.abc import Callable
from functools import partial

from fhirserver.fhir.fhirpath import arithmetic, comparisons
from fhirserver.fhir.fhirpath.errors import Place
from fhirserver.fhir.fhirpath.functions.combining import union
from fhirserver.fhir.fhirpath.logic import compile_logic
from fhirserver.fhir.fhirpath.selection import Selection
from fhirserver.fhir.fhirpath.type_system import TypeSystem

Operator = Callable[[Selection, Selection, TypeSystem, Place], Selection]

OPERATORS: dict[str, Operator] = {
    **{word: partial(compile_logic, word) for word in ("and", "or", "xor", "implies")},
    "=": comparisons.equals,
    "!=": comparisons.differs,
    "~": comparisons.is_equivalent,
    "!~": comparisons.is_not_equivalent,
    "<": comparisons.less,
    "<=": comparisons.at_most,
    ">": comparisons.greater,
    ">=": comparisons.at_least,
    "in": comparisons.is_in,
    "contains": comparisons.contains,
    "|": lambda left, right, system, place: union(left, right, system),
    "+": arithmetic.calculation(arithmetic.add, "+"),
    "-": arithmetic.calculation(arithmetic.subtract, "-"),
    "*": arithmetic.calculation(arithmetic.multiply, "*"),
    "/": arithmetic.calculation(arithmetic.divide, "/"),
    "div": arithmetic.calculation(arithmetic.divide_whole, "div"),
    "mod": arithmetic.calculation(arithmetic.modulo, "mod"),
    "&": arithmetic.concatenate,
}
