"""Paths in SQL/JSON for expressions that only select.

https://www.postgresql.org/docs/current/functions-json.html#FUNCTIONS-SQLJSON-PATH
"""

from collections.abc import Sequence
from dataclasses import dataclass
from json import dumps

from fhirserver.fhir.definitions import Definitions
from fhirserver.fhir.fhirpath.tree import Binary, Call, Expression, Index, Literal, Member, Variable
from fhirserver.fhir.fhirpath.type_system import type_system


@dataclass(frozen=True, slots=True)
class Location:
    """Where values of one type are; `json_path` is None if SQL/JSON can't say it, `element_path` for no element."""

    type_name: str
    json_path: str | None
    element_path: str | None = None


def locate(node: Expression, type_name: str, definitions: Definitions) -> list[Location]:
    """The locations of what an expression selects from an element of this type; none if it does more than select."""
    try:
        return _Locator(definitions, type_name).locations(node, [Location(type_name, "$")])
    except _Unknown:
        return []


class _Unknown(Exception):
    pass


class _Locator:
    def __init__(self, definitions: Definitions, root_type: str):
        self._definitions = definitions
        self._system = type_system(definitions)
        self._root_names = self._system.lineage(root_type)

    def locations(self, node: Expression | None, focus: Sequence[Location]) -> list[Location]:
        match node:
            case None | Variable(name="$this"):
                return list(focus)
            case Member(source=None, name=name) if name in self._root_names and focus[0].json_path == "$":
                return list(focus)
            case Member(source=source, name=name):
                return [step for place in self.locations(source, focus) for step in self._member(place, name)]
            case Index(source=source, position=Literal(kind="number", value=str() as digits)) if digits.isdigit():
                return [_at(place, int(digits)) for place in self.locations(source, focus)]
            case Call(source=source, name="first", arguments=()):
                return [_at(place, 0) for place in self.locations(source, focus)]
            case Binary(operator="|", left=left, right=right):
                return [*self.locations(left, focus), *self.locations(right, focus)]
            case (
                Binary(operator="as", left=source, right=Member(source=None, name=name))
                | Call(source=source, name="as" | "ofType", arguments=(Member(source=None, name=name),))
            ):
                return [place for place in self.locations(source, focus) if self._system.is_a(place.type_name, name)]
            case Call(source=source, name="where", arguments=(criterion,)):
                return [_filtered(place, _filter(criterion)) for place in self.locations(source, focus)]
            case Call(source=source, name="extension", arguments=(Literal(kind="string", value=str() as url),)):
                found = self.locations(Member(source, "extension"), focus)
                return [_filtered(place, f"(@.url == {dumps(url)})") for place in found]
        raise _Unknown

    def _member(self, place: Location, name: str) -> list[Location]:
        properties = self._definitions.type(place.type_name).properties
        return [
            Location(
                known.type_code,
                f"{place.json_path}.{key}" if place.json_path is not None else None,
                known.element.path,
            )
            for key, known in properties.items()
            if known.element.name == name
        ]


def _at(place: Location, position: int) -> Location:
    path = f"{place.json_path}[{position}]" if place.json_path is not None else None
    return Location(place.type_name, path, place.element_path)


def _filtered(place: Location, condition: str | None) -> Location:
    path = None if place.json_path is None or condition is None else f"{place.json_path} ? {condition}"
    return Location(place.type_name, path, place.element_path)


def _filter(criterion: Expression) -> str | None:
    match criterion:
        case Binary("=", Member(None, name), Literal("string", value)) if name.isalnum():
            return f"(@.{name} == {dumps(value)})"
        case Binary("is", Call(None, "resolve", ()), Member(None, name)) if name.isalnum():
            return f'(@.type == "{name}" || @.reference like_regex "(^|/){name}/[^/]+(/_history/[^/]+)?$")'
    return None
