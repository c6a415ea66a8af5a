"""Some resources, and what search parameters see in them."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import fhirpathpy
from fhirpathpy.engine.nodes import ResourceNode
from fhirpathpy.models import models

from fhirserver.fhir.definitions import Definitions
from fhirserver.fhir.definitions.search_parameters import SearchParameter

from .references import type_of

Resource = dict[str, Any]
Address = tuple[str, str]


class World:
    """Resources by their address. Whatever is asked of one is remembered, as resources don't change."""

    def __init__(self, definitions: Definitions, resources: Iterator[Resource]):
        self.definitions = definitions
        self.resources: dict[Address, Resource] = {(item["resourceType"], item["id"]): item for item in resources}
        self._seen: dict[tuple[Address, str], list[ResourceNode]] = {}

    def of_type(self, resource_type: str) -> list[Resource]:
        """All of a type."""
        return [item for (name, _), item in self.resources.items() if name == resource_type]

    def parameter(self, resource_type: str, code: str) -> SearchParameter | None:
        """The search parameter of a type; None if it has none of that name."""
        return self.definitions.search_parameters(resource_type).get(code)

    def nodes(self, resource: Resource, parameter: SearchParameter) -> list[ResourceNode]:
        """What the expression selects, each with the path that FHIRPath knows it by."""
        place = (resource["resourceType"], resource["id"]), parameter.code
        if place not in self._seen:
            self._seen[place] = select(resource, resource["resourceType"], parameter.expression or "")
        return self._seen[place]

    def values(self, resource: Resource, parameter: SearchParameter) -> list[Any]:
        """The JSON of what the expression selects."""
        return [node.data if isinstance(node, ResourceNode) else node for node in self.nodes(resource, parameter)]

    def parts(self, node: ResourceNode, expression: str) -> list[Any]:
        """What the expression of a component of a composite selects in one of the composite's values."""
        found = select(node.data, node.path or "", expression)
        return [item.data if isinstance(item, ResourceNode) else item for item in found]

    def implied_systems(self, parameter: SearchParameter) -> Mapping[str, str]:
        """The code system of each code, where the parameter is on a code with a required binding."""
        return _implied_systems(self.definitions, parameter)


def select(data: Any, path: str, expression: str) -> list[ResourceNode]:
    """What an expression selects in data of a type (or at a path). Alternatives apart, so that each keeps its path."""
    found = []
    for alternative in _alternatives(expression):
        # The library doesn't know that `Resource.meta` is that of any type, and insists on a single value left of `as`,
        # where R4's expressions mean all values of the type.
        known = re.sub(r"^(Domain)?Resource\.", f"{path}.", alternative)
        known = re.sub(r"\.as\((\w+)\)|\s+as\s+(\w+)", lambda match: f".ofType({match[1] or match[2]})", known)
        found += _compiled(known)(data if "resourceType" in data else ResourceNode.create_node(data, path), {})
    return [node for node in found if (node.data if isinstance(node, ResourceNode) else node) is not None]


def _alternatives(expression: str) -> list[str]:
    """The parts between `|` that aren't in parentheses."""
    parts, depth = [""], 0
    for character in expression:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "|" and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]


@cache
def _compiled(expression: str) -> Any:
    functions = {"resolve": {"fn": _resolve, "arity": {0: []}}}
    return fhirpathpy.compile(expression, models["r4"], {"returnRawData": True, "userInvocationTable": functions})


def _resolve(references: list[Any]) -> list[ResourceNode]:
    """R4's expressions ask a target for its type only, so no target is needed."""
    names = [type_of(node.data if isinstance(node, ResourceNode) else node) for node in references]
    return [ResourceNode.create_node({"resourceType": name}, name) for name in names if name]


@cache
def _implied_systems(definitions: Definitions, parameter: SearchParameter) -> Mapping[str, str]:
    path = (parameter.expression or "").split(".")
    if not all(name.isalnum() for name in path):
        return {}
    here, element = path[0], None
    for name in path[1:]:
        element = definitions.type(here).elements.get(name)
        if element is None or len(element.types) != 1:
            return {}
        here = element.path if element.types[0].code == "BackboneElement" else element.types[0].code
    if here != "code" or element is None or element.binding is None or element.binding.strength != "required":
        return {}
    codes = definitions.value_set_codes(element.binding.value_set) or {}
    return {code: system for system, listed in codes.items() for code in listed}
