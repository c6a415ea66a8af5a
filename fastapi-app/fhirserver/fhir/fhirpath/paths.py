"""FHIRPath compiled for a type: closures that select values from a resource, each of one known type.

The part of FHIRPath that selects: paths, unions, `as`, `ofType`, `where`, `extension`, `exists`, indexes, and the
comparisons that stand in them. Types are known when it is compiled, so nothing is looked up when it runs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from json import dumps
from typing import Any

from fhirserver.fhir.datatypes.references import parse_reference
from fhirserver.fhir.definitions import Definitions
from fhirserver.fhir.fhirpath.errors import FhirPathError
from fhirserver.fhir.fhirpath.parser import parse
from fhirserver.fhir.fhirpath.tree import Binary, Call, Expression, Index, Literal, Member, Variable

Select = Callable[[Any], list[Any]]
Predicate = Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class Branch:
    """A selection of values of one type.

    `element_path` is the path of the element definition they have (None for the resource itself and for computed
    values); `json_path` selects the same in SQL/JSON, None where that can't be said.
    """

    type_name: str
    select: Select
    json_path: str | None
    element_path: str | None = None


def compile_paths(expression: str, type_name: str, definitions: Definitions) -> tuple[Branch, ...]:
    """The branches of an expression on resources of this type. Raises FhirPathError for what is not known here."""
    root = Branch(type_name, lambda node: [node], "$")
    return tuple(_Compiler(definitions, type_name).branches(parse(expression), [root]))


class _Compiler:
    def __init__(self, definitions: Definitions, root_type: str):
        self._definitions = definitions
        self._root_names = frozenset(_lineage(definitions, root_type))

    def branches(self, node: Expression, focus: Sequence[Branch]) -> list[Branch]:
        match node:
            case Member(source=None, name=name) if name in self._root_names and self._is_root(focus):
                return list(focus)
            case Member(source=source, name=name):
                return [step for branch in self._source(source, focus) for step in self._member(branch, name)]
            case Variable(name="$this"):
                return list(focus)
            case Index(source=source, position=Literal(kind="number", value=str() as digits)) if digits.isdigit():
                return [_at(branch, int(digits)) for branch in self.branches(source, focus)]
            case Binary(operator="|", left=left, right=right):
                return [*self.branches(left, focus), *self.branches(right, focus)]
            case Binary(operator="as", left=left, right=Member(source=None, name=name)):
                return self._of_type(self.branches(left, focus), name)
            case Call(source=source, name="as" | "ofType", arguments=(Member(source=None, name=name),)):
                return self._of_type(self._source(source, focus), name)
            case Call(source=source, name="where", arguments=(criterion,)):
                return [self._where(branch, criterion) for branch in self._source(source, focus)]
            case Call(source=source, name="extension", arguments=(Literal(kind="string", value=str() as url),)):
                return [
                    _extension(step, url)
                    for branch in self._source(source, focus)
                    for step in self._member(branch, "extension")
                ]
            case Call(source=source, name="first", arguments=()):
                return [_at(branch, 0) for branch in self._source(source, focus)]
            case Binary() | Call() | Literal(kind="boolean"):
                return [self._computed(node, branch) for branch in focus]
        raise FhirPathError(f"not known in a path: {node}")

    def _source(self, source: Expression | None, focus: Sequence[Branch]) -> Sequence[Branch]:
        return focus if source is None else self.branches(source, focus)

    @staticmethod
    def _is_root(focus: Sequence[Branch]) -> bool:
        return len(focus) == 1 and focus[0].json_path == "$"

    def _member(self, branch: Branch, name: str) -> list[Branch]:
        definition = self._definitions.type(branch.type_name)
        found = [(key, known) for key, known in definition.properties.items() if known.element.name == name]
        return [
            Branch(
                known.type_code,
                _child(branch, key),
                f"{branch.json_path}.{key}" if branch.json_path is not None else None,
                known.element.path,
            )
            for key, known in found
        ]

    def _of_type(self, branches: Sequence[Branch], name: str) -> list[Branch]:
        return [branch for branch in branches if name in _lineage(self._definitions, branch.type_name)]

    def _where(self, branch: Branch, criterion: Expression) -> Branch:
        predicate = self._predicate(criterion, branch.type_name)
        select = branch.select
        return Branch(
            branch.type_name,
            lambda node: [value for value in select(node) if predicate(value)],
            _json_filter(branch.json_path, criterion),
            branch.element_path,
        )

    def _computed(self, node: Expression, focus: Branch) -> Branch:
        predicate = self._predicate(node, focus.type_name)
        select = focus.select
        return Branch("boolean", lambda value: [predicate(item) for item in select(value)], None)

    def _predicate(self, node: Expression, type_name: str) -> Predicate:
        match node:
            case Literal(kind="boolean", value=value):
                return lambda item: value is True
            case Binary(operator="and", left=left, right=right):
                first, second = self._predicate(left, type_name), self._predicate(right, type_name)
                return lambda item: first(item) and second(item)
            case Binary(operator="or", left=left, right=right):
                first, second = self._predicate(left, type_name), self._predicate(right, type_name)
                return lambda item: first(item) or second(item)
            case Binary(operator="is", left=Call(name="resolve", source=source), right=Member(source=None, name=name)):
                references = self._values(source, type_name)
                return lambda item: any(_refers_to(value, name) for value in references(item))
            case Binary(operator="is", left=left, right=Member(source=None, name=name)):
                kept = self._of_type(self.branches(left, [_here(type_name)]), name)
                return lambda item: any(branch.select(item) for branch in kept)
            case Binary(operator="=" | "!=" as operator, left=left, right=Literal() as literal):
                wanted = _constant(literal)
                values = self._values(left, type_name)
                if operator == "=":
                    return lambda item: any(value == wanted for value in values(item))
                return lambda item: any(value != wanted for value in values(item))
            case Call(source=source, name="exists", arguments=()):
                values = self._values(source, type_name)
                return lambda item: bool(values(item))
            case Call(source=source, name="exists", arguments=(criterion,)):
                return self._predicate(Call(Call(source, "where", (criterion,)), "exists", ()), type_name)
            case Call(source=source, name="empty", arguments=()):
                values = self._values(source, type_name)
                return lambda item: not values(item)
            case Call(source=source, name="not", arguments=()) if source is not None:
                inner = self._predicate(source, type_name)
                return lambda item: not inner(item)
            case Call(source=source, name="hasExtension", arguments=arguments):
                return self._predicate(Call(Call(source, "extension", arguments), "exists", ()), type_name)
            case Member():
                values = self._values(node, type_name)
                return lambda item: any(value is True for value in values(item))
        raise FhirPathError(f"not known as a condition: {node}")

    def _values(self, node: Expression | None, type_name: str) -> Select:
        """All values of an expression on an item of this type."""
        if node is None:
            return lambda item: [item]
        branches = self.branches(node, [_here(type_name)])
        return lambda item: [value for branch in branches for value in branch.select(item)]


def _constant(literal: Literal) -> Any:
    """The value in JSON that equals a literal."""
    if literal.kind == "number":
        return Decimal(str(literal.value))
    if literal.kind in ("string", "boolean", "date", "dateTime", "time"):
        return literal.value
    raise FhirPathError(f"not known in a comparison: {literal}")


def _here(type_name: str) -> Branch:
    return Branch(type_name, lambda item: [item], "$")


def _lineage(definitions: Definitions, type_name: str) -> list[str]:
    """The type and those it is derived from."""
    names = []
    name: str | None = type_name
    while name is not None:
        names.append(name)
        name = definitions.type(name).base
    return names


def _child(branch: Branch, key: str) -> Select:
    if branch.json_path == "$":

        def of_root(node: Any) -> list[Any]:
            found = node.get(key) if type(node) is dict else None
            if found is None:
                return []
            return [item for item in found if item is not None] if type(found) is list else [found]

        return of_root
    select = branch.select

    def of_each(node: Any) -> list[Any]:
        values: list[Any] = []
        for parent in select(node):
            found = parent.get(key) if type(parent) is dict else None
            if found is None:
                continue
            if type(found) is list:
                values.extend(item for item in found if item is not None)
            else:
                values.append(found)
        return values

    return of_each


def _at(branch: Branch, position: int) -> Branch:
    select = branch.select
    path = f"{branch.json_path}[{position}]" if branch.json_path is not None else None
    return Branch(branch.type_name, lambda node: select(node)[position : position + 1], path, branch.element_path)


def _extension(branch: Branch, url: str) -> Branch:
    select = branch.select
    path = f"{branch.json_path} ? (@.url == {dumps(url)})" if branch.json_path is not None else None
    return Branch(
        "Extension",
        lambda node: [item for item in select(node) if type(item) is dict and item.get("url") == url],
        path,
        branch.element_path,
    )


def _json_filter(path: str | None, criterion: Expression) -> str | None:
    if path is None:
        return None
    match criterion:
        case Binary("=", Member(None, name), Literal("string", value)) if name.isalnum():
            return f"{path} ? (@.{name} == {dumps(value)})"
        case Binary("is", Call(None, "resolve", ()), Member(None, name)) if name.isalnum():
            return f'{path} ? (@.type == "{name}" || @.reference like_regex "(^|/){name}/[^/]+(/_history/[^/]+)?$")'
    return None


def _refers_to(reference: Any, resource_type: str) -> bool:
    """Whether a Reference names a resource of this type, by its text or its `type`."""
    if type(reference) is not dict:
        return False
    text = reference.get("reference")
    target = parse_reference(text) if isinstance(text, str) else None
    if target is not None and target.resource_type is not None:
        return target.resource_type == resource_type
    return bool(reference.get("type") == resource_type)
