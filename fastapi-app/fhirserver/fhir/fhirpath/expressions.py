"""Expressions, compiled: what others use."""

from typing import Any

from fhirserver.fhir.definitions import Definitions
from fhirserver.fhir.fhirpath import selection
from fhirserver.fhir.fhirpath.compiler import Compiler
from fhirserver.fhir.fhirpath.environment import Environment
from fhirserver.fhir.fhirpath.errors import FhirPathError, Place
from fhirserver.fhir.fhirpath.invocation import Scope
from fhirserver.fhir.fhirpath.nodes import raw
from fhirserver.fhir.fhirpath.parser import parse
from fhirserver.fhir.fhirpath.results import fhir_type, typed_values
from fhirserver.fhir.fhirpath.selection import Selection
from fhirserver.fhir.fhirpath.type_system import TypeSystem, type_system


class Compiled:
    """An expression, compiled for one type.

    `types` are the FHIR types that results may have (of System types the FHIR type of the same meaning);
    None if that is only known from each result.
    """

    def __init__(self, text: str, selected: Selection, system: TypeSystem):
        self.text = text
        self.types = None if selected.types is None else tuple(sorted(set(map(fhir_type, selected.types))))
        self._many = selected.many
        self._type_name = selected.type_name
        self._truth = selection.truth(selected, system, Place(text, 0))

    def evaluate(self, node: Any, env: Environment | None = None) -> list[Any]:
        """The results as raw values: JSON for elements, Python values for those of System types.

        `node` is the JSON of an element of the type that this was compiled for, or a Node. A primitive that has
        only extensions is the dict of these. Raises FhirPathError.
        """
        return [_raw_or_extensions(item) for item in self._items(node, env)]

    def typed(self, node: Any, env: Environment | None = None) -> list[tuple[str, Any]]:
        """(FHIR type, JSON) of each result; primitives without a value are left out. Raises FhirPathError."""
        return typed_values(self._items(node, env), self._type_name)

    def test(self, node: Any, env: Environment | None = None) -> bool | None:
        """The result as a condition: a single boolean, or true for any other single item; None if it is empty.

        Raises FhirPathError, also for several items.
        """
        env = _started(node, env)
        try:
            answer: bool | None = self._truth(node, env)
        except RecursionError:
            raise _too_deep() from None
        return answer

    def _items(self, node: Any, env: Environment | None) -> list[Any]:
        env = _started(node, env)
        try:
            return self._many(node, env)
        except RecursionError:
            raise _too_deep() from None


def compile_expression(
    text: str, type_name: str | None, definitions: Definitions, *, is_strict: bool = False
) -> Compiled:
    """Compile an expression for elements of a type (`Patient`, `HumanName`, `Observation.component`, `code`).

    Without a type (or for Resource, DomainResource) nodes are resources, or Nodes, and types are looked up on the
    way. Raises FhirPathError for what is no FHIRPath, for elements that the type does not have, unknown functions and
    types. With `is_strict` also where N1 is stricter than R4's own expressions can stand: `as` on several items,
    paths that begin with another type, `valueDateTime` for a `value`, first() and its like on unordered collections.
    """
    system = type_system(definitions)
    types = None if type_name is None else system.types(type_name)
    if type_name is not None and not system.has_members(type_name):
        raise FhirPathError(f"there is no type {type_name}")
    try:
        selected = Compiler(text, types, system, is_strict).compile(parse(text), Scope(types))
    except RecursionError:
        raise _too_deep() from None
    return Compiled(text, selected, system)


def _started(node: Any, env: Environment | None) -> Environment:
    if env is None:
        env = Environment()
    env.start(node)
    return env


def _too_deep() -> FhirPathError:
    return FhirPathError("the expression, or what it is evaluated on, is nested too deep")


def _raw_or_extensions(item: Any) -> Any:
    value = raw(item)
    return item.partner if value is None else value
