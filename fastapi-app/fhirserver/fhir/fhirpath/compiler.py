"""FHIRPath tree → closures, by the types that the definitions tell.

What a function or an operator does stands in `functions/` and `operators.py`; here is what joins them.
"""

from decimal import Decimal
from typing import Any

from fhirserver.fhir.fhirpath import casts, nodes, selection
from fhirserver.fhir.fhirpath.arithmetic import signed
from fhirserver.fhir.fhirpath.environment import Environment
from fhirserver.fhir.fhirpath.errors import FhirPathError, Place
from fhirserver.fhir.fhirpath.functions import FUNCTIONS
from fhirserver.fhir.fhirpath.functions.subsetting import at
from fhirserver.fhir.fhirpath.invocation import Invocation, Scope, mentions
from fhirserver.fhir.fhirpath.members import member
from fhirserver.fhir.fhirpath.operators import OPERATORS
from fhirserver.fhir.fhirpath.quantities import literal_quantity
from fhirserver.fhir.fhirpath.selection import EMPTY, Selection, several, single
from fhirserver.fhir.fhirpath.temporal import Kind, parse_temporal
from fhirserver.fhir.fhirpath.tree import Binary, Call, Expression, Index, Literal, Member, Unary, Variable
from fhirserver.fhir.fhirpath.type_system import Types, TypeSystem
from fhirserver.fhir.fhirpath.variables import compile_variable

_MOMENTS: dict[str, tuple[str, Kind]] = {
    "date": (nodes.DATE, "Date"),
    "dateTime": (nodes.DATETIME, "DateTime"),
    "time": (nodes.TIME, "Time"),
}
_MOST_PARTS = 10_000
# Functions that go through many items.
_COSTLY = frozenset(
    {"all", "count", "descendants", "distinct", "exists", "first", "last"}
    | {"repeat", "resolve", "select", "skip", "tail", "take", "where"}
)
# Functions whose arguments are evaluated with the source's items as `$this`.
_ITERATING = frozenset({"where", "select", "exists", "all", "repeat", "aggregate", "iif", "sort"})


class Compiler:
    """Compiles one expression for items of these types."""

    def __init__(self, text: str, types: Types, system: TypeSystem, is_strict: bool):
        self._text = text
        self._types = types
        self._system = system
        self._is_strict = is_strict
        self._keys: dict[Expression, object] = {}
        self._parts = 0

    def compile(self, node: Expression, scope: Scope) -> Selection:
        """The selection of a part of the expression. Raises FhirPathError for what can't be evaluated at all."""
        # A function may compile its argument for several types, and so on inside.
        self._parts += 1
        if self._parts > _MOST_PARTS:
            raise FhirPathError("the expression has too many parts", self._place(node))
        compiled = self._compile(node, scope)
        if scope.is_looped and compiled.constant is None and _is_costly(node) and _is_independent(node):
            if mentions(node, "$index") or mentions(node, "$total"):
                return compiled
            return _remembered(compiled, self._keys.setdefault(node, object()))
        return compiled

    def _compile(self, node: Expression, scope: Scope) -> Selection:
        match node:
            case Literal():
                return self._literal(node)
            case Variable(name=name):
                return self._variable(name, scope, node)
            case Member():
                return self._member(node, scope)
            case Call():
                return self._call(node, scope)
            case Index(source=source, position=position):
                return self._index(self.compile(source, scope), self.compile(position, scope), node)
            case Unary(operator=operator, operand=operand):
                return signed(operator, self.compile(operand, scope), self._system, self._place(node))
            case Binary(operator="is", left=left, right=right):
                return casts.is_type(self.compile(left, scope), right, self._system, self._place(node))
            case Binary(operator="as", left=left, right=right):
                return self._as(self.compile(left, scope), right, node)
            case Binary(operator=operator, left=left, right=right):
                one, other = self.compile(left, scope), self.compile(right, scope)
                return OPERATORS[operator](one, other, self._system, self._place(node))

    def _literal(self, node: Literal) -> Selection:
        value = str(node.value)
        match node.kind:
            case "empty":
                return EMPTY
            case "boolean":
                return selection.constant(nodes.BOOLEAN, node.value)
            case "string":
                return selection.constant(nodes.STRING, value)
            case "number" if "." in value:
                return selection.constant(nodes.DECIMAL, Decimal(value))
            case "number":
                return selection.constant(nodes.INTEGER, int(value))
            case "quantity":
                return selection.constant(nodes.QUANTITY, literal_quantity(Decimal(value), node.unit or "1"))
        type_name, kind = _MOMENTS[node.kind]
        moment = parse_temporal(value.removeprefix("T"), kind)
        if moment is None:
            raise FhirPathError(f"@{value} does not exist", self._place(node))
        return selection.constant(type_name, moment)

    def _variable(self, name: str, scope: Scope, node: Expression) -> Selection:
        match name:
            case "$this":
                return selection.this(scope.types)
            case "$index":
                return selection.computed(nodes.INTEGER, lambda item, env: env.index)
            case "$total":
                return several(None, lambda item, env: env.total or [])
        types = self._types
        resource: Types = None
        if types is not None and all(self._system.is_resource(type_name) for type_name in types):
            resource = types
        return compile_variable(name.removeprefix("%"), types, resource, self._place(node))

    def _member(self, node: Member, scope: Scope) -> Selection:
        if node.source is not None:
            source = self.compile(node.source, scope)
        else:
            source = selection.this(scope.types)
            if self._system.is_type(node.name) and node.name[:1].isupper():
                return self._type_name(source, node)
        found = member(source, node.name, self._system, is_strict=self._is_strict)
        if found is None:
            owners = " or ".join(sorted(source.types or ()))
            raise FhirPathError(f"{owners} has no element '{node.name}'", self._place(node))
        return found

    def _type_name(self, source: Selection, node: Member) -> Selection:
        """The name of a type at the beginning of a path: the item if it is of that type."""
        kept = casts.of_type(source, node, self._system, self._place(node))
        if self._is_strict and kept is EMPTY:
            raise FhirPathError(f"this is never a {node.name}", self._place(node))
        return kept

    def _call(self, node: Call, scope: Scope) -> Selection:
        source = selection.this(scope.types) if node.source is None else self.compile(node.source, scope)
        place = self._place(node)
        if node.name in ("is", "as") and len(node.arguments) == 1:
            if node.name == "is":
                return casts.is_type(source, node.arguments[0], self._system, place)
            return self._as(source, node.arguments[0], node)
        function = FUNCTIONS.get(node.name)
        if function is None:
            raise FhirPathError(f"there is no function {node.name}()", place)
        if not function.least <= len(node.arguments) <= function.most:
            raise FhirPathError(f"{node.name}() does not take {len(node.arguments)} arguments", place)
        return function.build(
            Invocation(node.name, source, node.arguments, scope, place, self._system, self._is_strict, self.compile)
        )

    def _as(self, source: Selection, specifier: Expression, node: Expression) -> Selection:
        return casts.as_type(source, specifier, self._system, self._place(node), self._is_strict)

    def _index(self, source: Selection, position: Selection, node: Expression) -> Selection:
        if position.constant is not None and len(position.constant) == 1 and position.type_name == nodes.INTEGER:
            return at(source, position.constant[0]) if position.constant[0] >= 0 else EMPTY
        place = self._place(node)
        items, index = source.many, selection.value(position, self._system, place)

        def item_at(item: Any, env: Environment) -> Any:
            number = index(item, env)
            if number is None:
                return None
            if number.__class__ is not int:
                raise FhirPathError("an index is an Integer", place)
            found = items(item, env)
            return found[number] if 0 <= number < len(found) else None

        return single(source.types, item_at)

    def _place(self, node: Expression) -> Place:
        return Place(self._text, node.place)


def _is_independent(node: Expression) -> bool:
    """Whether an expression gives the same whatever `$this` is."""
    match node:
        case Literal():
            return True
        case Variable(name=name):
            return name.startswith("%")
        case Member(source=source):
            return source is not None and _is_independent(source)
        case Call(source=source, name=name, arguments=arguments):
            if source is None or not _is_independent(source) or name == "trace":
                return False
            return name in _ITERATING or name in ("ofType", "as", "is") or all(map(_is_independent, arguments))
        case Index(source=left, position=right) | Binary(left=left, right=right):
            return _is_independent(left) and _is_independent(right)
        case Unary(operand=operand):
            return _is_independent(operand)
    return False


def _is_costly(node: Expression) -> bool:
    """Whether an expression goes through many items."""
    match node:
        case Call(source=source, name=name):
            return name in _COSTLY or (source is not None and _is_costly(source))
        case Member(source=source):
            return source is not None and _is_costly(source)
        case Binary(operator="|", left=left, right=right):
            return _is_costly(left) or _is_costly(right)
    return False


def _remembered(compiled: Selection, key: object) -> Selection:
    """Evaluated once in an evaluation, however often it is asked for."""
    many = compiled.many

    def remembered(item: Any, env: Environment) -> list[Any]:
        found: list[Any] | None = env.memory.get(key)
        if found is None:
            found = env.memory[key] = many(item, env)
        return found

    if compiled.one is not None:
        return single(compiled.types, lambda item, env: next(iter(remembered(item, env)), None))
    return several(compiled.types, remembered, is_ordered=compiled.is_ordered)
