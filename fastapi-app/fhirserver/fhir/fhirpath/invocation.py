"""A call of a function, as the function sees it when it is compiled."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from fhirserver.fhir.fhirpath import nodes, selection
from fhirserver.fhir.fhirpath.environment import Environment
from fhirserver.fhir.fhirpath.errors import FhirPathError, Place
from fhirserver.fhir.fhirpath.selection import One, Selection
from fhirserver.fhir.fhirpath.tree import Binary, Call, Expression, Index, Member, Unary, Variable
from fhirserver.fhir.fhirpath.type_system import Types, TypeSystem

Loop = Callable[[list[Any], Environment], Iterable[Any]]


class Scope(NamedTuple):
    """What `$this` is: items of these types. `is_looped` says that the expression is evaluated for many items."""

    types: Types
    is_looped: bool = False


@dataclass(frozen=True, slots=True)
class Invocation:
    """`source.name(arguments)`. Without a source that is `$this`."""

    name: str
    source: Selection
    arguments: tuple[Expression, ...]
    scope: Scope
    place: Place
    system: TypeSystem
    is_strict: bool
    compile: Callable[[Expression, Scope], Selection]

    def argument(self, position: int) -> Selection:
        """An argument that does not depend on the source."""
        return self.compile(self.arguments[position], self.scope)

    def inner(self, position: int, *types: Types) -> Selection:
        """An argument that is evaluated for each item of the source (or items of other types) as `$this`."""
        return self.compile(self.arguments[position], Scope(types[0] if types else self.source.types, True))

    def criterion(self, position: int) -> One:
        """An argument that is evaluated for each item, as a condition."""
        return selection.truth(self.inner(position), self.system, self.place)

    def loop(self, position: int) -> Loop:
        """How to go through the items for an argument: it may ask for `$index`."""
        return _numbered if mentions(self.arguments[position], "$index") else _counted

    def value(self, position: int) -> One:
        """An argument with at most one item, as its System value."""
        return selection.value(self.argument(position), self.system, self.place)

    def text(self, source: Selection) -> One:
        """A single String, or None. Raises FhirPathError for anything else, at once if that is known beforehand."""
        get, error = self._single(source, "String", nodes.STRING), self.error

        def text(item: Any, env: Environment) -> Any:
            value = get(item, env)
            if value is None or value.__class__ is str:
                return value
            raise error(f"{self.name}(): a String was expected, not {nodes.described(value)}")

        return text

    def integer(self, source: Selection) -> One:
        """A single Integer, or None. Raises FhirPathError for anything else, at once if that is known beforehand."""
        get, error = self._single(source, "Integer", nodes.INTEGER), self.error

        def integer(item: Any, env: Environment) -> Any:
            value = get(item, env)
            if value is None or value.__class__ is int:
                return value
            raise error(f"{self.name}(): an Integer was expected, not {nodes.described(value)}")

        return integer

    def error(self, problem: str) -> FhirPathError:
        """An error with its place."""
        return FhirPathError(problem, self.place)

    def _single(self, source: Selection, expected: str, type_name: str) -> One:
        types = source.types
        if types and not any(self.system.system_type(name) == type_name for name in types):
            raise self.error(f"{self.name}(): {expected} was expected, not {', '.join(sorted(types))}")
        return selection.value(source, self.system, self.place)


def mentions(node: Expression, variable: str) -> bool:
    """Whether a variable stands somewhere in an expression."""
    match node:
        case Variable(name=name):
            return name == variable
        case Member(source=source):
            return source is not None and mentions(source, variable)
        case Call(source=source, arguments=arguments):
            return (source is not None and mentions(source, variable)) or any(
                mentions(argument, variable) for argument in arguments
            )
        case Index(source=left, position=right) | Binary(left=left, right=right):
            return mentions(left, variable) or mentions(right, variable)
        case Unary(operand=operand):
            return mentions(operand, variable)
    return False


def _counted(items: list[Any], env: Environment) -> Iterable[Any]:
    if len(items) > 1:
        env.spend(len(items))
    return items


def _numbered(items: list[Any], env: Environment) -> Iterator[Any]:
    env.spend(len(items))
    before = env.index
    try:
        for env.index, item in enumerate(items):
            yield item
    finally:
        env.index = before


class Function(NamedTuple):
    """How a call is compiled, and how many arguments it has."""

    build: Callable[[Invocation], Selection]
    least: int = 0
    most: int = 0
