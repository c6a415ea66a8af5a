"""Expressions for the index: the values they select, by their types, and where that can be said the way in SQL/JSON."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from fhirserver.fhir.definitions import Definitions
from fhirserver.fhir.fhirpath.compiler import Compiler
from fhirserver.fhir.fhirpath.environment import Environment
from fhirserver.fhir.fhirpath.invocation import Scope
from fhirserver.fhir.fhirpath.json_paths import Location, locate
from fhirserver.fhir.fhirpath.nodes import raw, type_of
from fhirserver.fhir.fhirpath.parser import parse
from fhirserver.fhir.fhirpath.references import stub
from fhirserver.fhir.fhirpath.results import fhir_type, json_value
from fhirserver.fhir.fhirpath.selection import Many, Selection
from fhirserver.fhir.fhirpath.tree import Binary, Call, Expression, Index, Literal, Member, Variable
from fhirserver.fhir.fhirpath.type_system import TypeSystem, type_system

Select = Callable[[Any], list[Any]]


@dataclass(frozen=True, slots=True)
class Branch:
    """A selection of values of one type: raw JSON, without primitives that have no value.

    `element_path` is the path of the element definition they have (None for the resource itself and for computed
    values); `json_path` selects the same in SQL/JSON, None where that can't be said.
    """

    type_name: str
    select: Select
    json_path: str | None
    element_path: str | None = None


def compile_paths(expression: str, type_name: str, definitions: Definitions) -> tuple[Branch, ...]:
    """The branches of an expression on elements of this type: one for each alternative and type.

    resolve() gives what the reference tells by itself: its type. Raises FhirPathError.
    """
    system = type_system(definitions)
    types = system.types(type_name)
    compiler = Compiler(expression, types, system, is_strict=False)
    return tuple(
        branch
        for part in _alternatives(parse(expression))
        for branch in _branches(part, compiler.compile(part, Scope(types)), type_name, definitions)
    )


def _alternatives(node: Expression) -> Iterator[Expression]:
    """The operands of `|`: an index has no use for a union without duplicates."""
    match node:
        case Binary(operator="|", left=left, right=right):
            yield from _alternatives(left)
            yield from _alternatives(right)
        case _:
            yield node


def _branches(node: Expression, selected: Selection, type_name: str, definitions: Definitions) -> Iterator[Branch]:
    locations = locate(node, type_name, definitions)
    by_type: dict[str, list[Location]] = {}
    for location in locations:
        by_type.setdefault(location.type_name, []).append(location)
    system = type_system(definitions)
    for name in _types(selected, by_type, definitions):
        known = by_type.get(name, [])
        yield Branch(
            fhir_type(name),
            _select(_of_exactly(selected, name, system), _is_simple(node)),
            known[0].json_path if len(known) == 1 else None,
            known[0].element_path if len({location.element_path for location in known}) == 1 else None,
        )


def _types(selected: Selection, located: dict[str, list[Location]], definitions: Definitions) -> Iterator[str]:
    """The types of the values, in the order that the definitions have them where they are elements."""
    if selected.types is None:
        yield from located or ("Resource", *definitions.data_types)
        return
    yield from (name for name in located if name in selected.types)
    yield from sorted(selected.types - located.keys())


def _of_exactly(selected: Selection, type_name: str, system: TypeSystem) -> Many:
    """Closure for the raw values of one type."""
    if selected.narrow is not None:
        selected = selected.narrow(frozenset({type_name}))
    many = selected.many
    if selected.type_name == type_name:
        if selected.bare is not None:
            return selected.bare.many
        if type_name.startswith("System."):
            return lambda item, env: [json_value(value) for value in many(item, env)]

        def values(item: Any, env: Environment) -> list[Any]:
            found = many(item, env)
            return [value for value in map(raw, found) if value is not None] if found else found

        return values
    if type_name == "Resource":
        return lambda item, env: [value for value in many(item, env) if value.__class__ is dict]

    def of_type(item: Any, env: Environment) -> list[Any]:
        found = [raw(value) for value in many(item, env) if type_name in (name := type_of(value), fhir_type(name))]
        return [json_value(value) for value in found if value is not None]

    return of_type


def _select(many: Many, is_simple: bool) -> Select:
    if is_simple:
        return lambda node: many(node, _UNUSED)

    def select(node: Any) -> list[Any]:
        env = Environment(resolve=stub)
        env.start(node)
        return many(node, env)

    return select


# For expressions that ask nothing of their environment, and of which the work is bounded by the resource itself.
_UNUSED = Environment(max_steps=1 << 62)
_SIMPLE_FUNCTIONS = frozenset({"as", "is", "ofType", "where", "exists", "empty", "not", "first", "extension"})


def _is_simple(node: Expression | None) -> bool:
    match node:
        case None | Literal():
            return True
        case Variable(name=name):
            return name == "$this"
        case Member(source=source):
            return _is_simple(source)
        case Call(source=source, name=name, arguments=arguments):
            return name in _SIMPLE_FUNCTIONS and _is_simple(source) and all(map(_is_simple, arguments))
        case Index(source=left, position=right) | Binary(left=left, right=right):
            return _is_simple(left) and _is_simple(right)
    return False
