"""Types and their elements, as StructureDefinition snapshots give them.

https://hl7.org/fhir/R4/elementdefinition.html
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any


@dataclass(frozen=True, slots=True)
class Binding:
    """A value set (canonical URL without version) and how binding it is: required, extensible …"""

    strength: str
    value_set: str


@dataclass(frozen=True, slots=True)
class Constraint:
    """An invariant; `expression` is FHIRPath, None where R4 has words only."""

    key: str
    severity: str
    human: str
    expression: str | None


@dataclass(frozen=True, slots=True)
class ElementType:
    """A type an element may have; for references and canonicals, the types of resource they may point to."""

    code: str
    target_types: tuple[str, ...] = ()
    profiles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Element:
    """An element of a type.

    `name` is without `[x]`, `path` with it. `max` is None for `*`. `content_reference` names the type whose
    content this element has (`Questionnaire.item`). `is_plain` marks bare values, which have neither id nor
    extensions: ids, `Extension.url` and the value of primitives; `regex` is that of a primitive's value.
    """

    name: str
    path: str
    min: int
    max: int | None
    types: tuple[ElementType, ...]
    is_choice: bool
    binding: Binding | None
    constraints: tuple[Constraint, ...]
    is_summary: bool
    is_modifier: bool
    is_plain: bool
    content_reference: str | None
    regex: str | None

    @property
    def is_list(self) -> bool:
        """Whether the element is an array in JSON."""
        return self.max is None


@dataclass(frozen=True, slots=True)
class Property:
    """A JSON property: the element behind it, and the name of its type for `Definitions.type`."""

    element: Element
    type_code: str


@dataclass(frozen=True)
class TypeDefinition:
    """A type: `Observation`, `HumanName`, `string`, or one inside another such as `Observation.component`.

    `kind` is resource, complex-type, primitive-type or backbone. `elements` are the direct children, the
    inherited ones included, in R4's order. `constraints` are those on the type itself.
    """

    name: str
    kind: str
    base: str | None
    abstract: bool
    url: str
    elements: Mapping[str, Element]
    constraints: tuple[Constraint, ...]
    nested: frozenset[str]

    @cached_property
    def properties(self) -> Mapping[str, Property]:
        """The JSON properties by name, without `resourceType` and the `_` companions of primitives."""
        result: dict[str, Property] = {}
        for element in self.elements.values():
            if element.max == 0:
                continue
            if element.content_reference is not None:
                result[element.name] = Property(element, element.content_reference)
            elif element.path in self.nested:
                result[element.name] = Property(element, element.path)
            elif element.is_choice:
                for type_ in element.types:
                    name = element.name + type_.code[0].upper() + type_.code[1:]
                    result[name] = Property(element, type_.code)
            else:
                result[element.name] = Property(element, element.types[0].code)
        return result


def read_types(content: dict[str, Any]) -> dict[str, TypeDefinition]:
    """The type in a member of the data file, and the types inside it, by name."""
    constraints = [
        Constraint(item["key"], item["severity"], item["human"], item.get("expression"))
        for item in content["constraints"]
    ]
    bindings: dict[tuple[str, ...], Binding] = {}
    children: dict[str, dict[str, Element]] = {content["name"]: {}}
    roots: dict[str, Element] = {}
    for item in content["elements"]:
        element = _element(item, constraints, bindings)
        parent = element.path.rpartition(".")[0]
        # The parent comes first in a snapshot; one that has children is a type of its own.
        children.setdefault(parent, {})[element.name] = element
        roots[element.path] = element
    nested = frozenset(children) - {content["name"]}
    result = {
        content["name"]: TypeDefinition(
            name=content["name"],
            kind=content["kind"],
            base=content["base"],
            abstract=content["abstract"],
            url=content["url"],
            elements=children[content["name"]],
            constraints=tuple(constraints[place] for place in content["own"]),
            nested=nested,
        )
    }
    for path in nested:
        result[path] = TypeDefinition(
            name=path,
            kind="backbone",
            base=roots[path].types[0].code,
            abstract=False,
            url=f"{content['url']}#{path}",
            elements=children[path],
            constraints=roots[path].constraints,
            nested=nested,
        )
    return result


def _element(item: dict[str, Any], constraints: list[Constraint], bindings: dict[tuple[str, ...], Binding]) -> Element:
    path: str = item["path"]
    binding = None
    if "binding" in item:
        binding = bindings.setdefault(tuple(item["binding"]), Binding(*item["binding"]))
    return Element(
        name=path.rpartition(".")[2].removesuffix("[x]"),
        path=path,
        min=item["min"],
        max=None if item["max"] == "*" else int(item["max"]),
        types=tuple(
            ElementType(type_["code"], tuple(type_.get("targets", ())), tuple(type_.get("profiles", ())))
            for type_ in item["types"]
        ),
        is_choice=path.endswith("[x]"),
        binding=binding,
        constraints=tuple(constraints[place] for place in item.get("constraints", ())),
        is_summary=item.get("summary", False),
        is_modifier=item.get("modifier", False),
        is_plain=item.get("plain", False),
        content_reference=item.get("content"),
        regex=item.get("regex"),
    )
