"""A search, evaluated by walking all resources. https://hl7.org/fhir/R4/search.html"""

from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any

from fhirserver.fhir.definitions.search_parameters import SearchParameter

from .filters import filter_predicate
from .narratives import narrative_words, text_holds
from .positions import near_matches
from .quantities import measures, quantity_matches
from .references import reference_matches, target, targets, uri_matches
from .spans import asked_number, asked_time, between, compare, point, time_span
from .texts import is_of_type, plain, split, string_matches, text_matches, token_matches, tokens
from .world import Address, Resource, World


class Oracle:
    """Knows what a query has to find among the resources of a world."""

    def __init__(self, world: World, now: datetime, zone: tzinfo = UTC):
        self.world = world
        self.now = now
        self.zone = zone
        self._targets: dict[tuple[Address, str], list[Address | str]] = {}

    def matches(
        self, resource_type: str, params: Sequence[tuple[str, str]], compartment: Address | None = None
    ) -> list[Resource]:
        """The resources of a type for which all parameters hold; without a type those of `_type`, of `*` all."""
        types = [*dict(params).get("_type", resource_type).split(",")]
        return [
            resource
            for resource in self.world.resources.values()
            if resource["resourceType"] in types or types == ["*"]
            if compartment is None or self._in_compartment(resource, compartment)
            if all(self.holds(resource, name, value) for name, value in params if name != "_type")
        ]

    def _in_compartment(self, resource: Resource, compartment: Address) -> bool:
        """Whether a resource is the one that the compartment is about, or refers to it as R4 lists."""
        listed = self.world.definitions.compartment(compartment[0]).params.get(resource["resourceType"], ())
        return address_of(resource) == compartment or any(
            compartment in self.targets(resource, code) for code in listed
        )

    def holds(self, resource: Resource, name: str, value: str) -> bool:
        """Whether a parameter of a query is true of a resource."""
        if name.startswith("_has:"):
            _, source, code, rest = name.split(":", 3)
            return any(
                address_of(resource) in self.targets(other, code) and self.holds(other, rest, value)
                for other in self.world.of_type(source)
            )
        if name == "_list":
            lists = [self.world.resources.get(("List", id)) for id in value.split(",")]
            return any(address_of(resource) in self.targets(found, "item") for found in lists if found is not None)
        if name == "_filter":
            return filter_predicate(value, self)(resource)
        if name == "_text":
            return text_holds(value, narrative_words(resource))
        if name == "near":
            return any(near_matches(resource.get("position"), item) for item in split(value, ","))
        link, dot, rest = name.partition(".")
        if dot:
            code, _, resource_type = link.partition(":")
            return any(
                resource_type in ("", other["resourceType"])
                and self._has_parameter(other, rest)
                and self.holds(other, rest, value)
                for other in self.targets_of(resource, code)
            )
        code, _, modifier = name.partition(":")
        parameter = self.world.parameter(resource["resourceType"], code)
        assert parameter is not None, name
        if modifier == "missing":
            return self._present(resource, parameter) is (value == "false")
        if code == "_id":
            found = resource["id"] in map(plain, split(value, ","))
        else:
            found = any(self._matches(resource, parameter, modifier, item) for item in split(value, ","))
        return not found if modifier == "not" else found

    def _present(self, resource: Resource, parameter: SearchParameter) -> bool:
        """Whether there is a value; an Age or a Range is none for a date."""
        values = self.world.values(resource, parameter)
        if parameter.type == "date":
            kinds = {"start", "end", "event", "repeat"}
            values = [value for value in values if not isinstance(value, dict) or not kinds.isdisjoint(value)]
        return bool(values)

    def _has_parameter(self, resource: Resource, name: str) -> bool:
        """Whether the type of a chain's target has the next parameter."""
        code = name.partition(".")[0].partition(":")[0]
        return name.startswith("_has:") or self.world.parameter(resource["resourceType"], code) is not None

    def targets(self, resource: Resource, code: str) -> list[Address | str]:
        """What a resource refers to by a parameter."""
        place = address_of(resource), code
        if place not in self._targets:
            parameter = self.world.parameter(resource["resourceType"], code)
            values = self.world.values(resource, parameter) if parameter is not None else []
            self._targets[place] = [found for value in values for found in targets(value)]
        return self._targets[place]

    def targets_of(self, resource: Resource, code: str) -> list[Resource]:
        """The resources that a resource refers to by a parameter."""
        addresses = self.targets(resource, code)
        return [self.world.resources[found] for found in addresses if found in self.world.resources]

    def _matches(self, resource: Resource, parameter: SearchParameter, modifier: str, asked: str) -> bool:
        if parameter.type == "composite":
            return self._composite_matches(resource, parameter, asked)
        if parameter.type == "reference" and modifier in ("above", "below"):
            found = self.targets(resource, parameter.code)
            return any(address in found for address in self._hierarchy(parameter.target_types, modifier, asked))
        values = self.world.values(resource, parameter)
        return any(self._value_matches(value, parameter, modifier, asked) for value in values)

    def _hierarchy(self, types: Sequence[str], relation: str, asked: str) -> set[Address]:
        """The resources that the value may mean, and all that they are part of, or that is part of them."""
        name, _, id = plain(asked).rpartition("/")
        reached = {(name or other, id) for other in types if name in ("", other)}
        while True:
            steps = [(address_of(item), above) for item in self.world.resources.values() for above in self._parts(item)]
            further = {
                part if relation == "below" else whole
                for part, whole in steps
                if (whole if relation == "below" else part) in reached
            }
            if further <= reached:
                return reached
            reached |= further

    def _parts(self, resource: Resource) -> list[Address]:
        """What a resource is part of, of the same type."""
        references = resource.get("partOf", [])
        found = [
            target(item.get("reference")) for item in (references if isinstance(references, list) else [references])
        ]
        return [address for address in found if isinstance(address, tuple) and address[0] == resource["resourceType"]]

    def _value_matches(self, value: Any, parameter: SearchParameter, modifier: str, asked: str) -> bool:
        match parameter.type:
            case "string":
                return string_matches(value, modifier, asked)
            case "token" if modifier == "text":
                return text_matches(value, asked)
            case "token" if modifier == "of-type":
                return is_of_type(value, asked)
            case "token":
                return token_matches(tokens(value, self.world.implied_systems(parameter)), asked)
            case "reference":
                return reference_matches(value, modifier, asked, parameter.target_types)
            case "uri":
                return uri_matches(value, modifier, asked)
            case "date":
                found = time_span(value, self.zone)
                return found is not None and compare(*asked_time(plain(asked), self.zone, self.now), found)
            case "number":
                found = between(value.get("low"), value.get("high")) if isinstance(value, dict) else point(value)
                return found is not None and compare(*asked_number(plain(asked)), found)
            case "quantity":
                return any(quantity_matches(found, asked) for found in measures(value))
        raise AssertionError(parameter.type)

    def _composite_matches(self, resource: Resource, parameter: SearchParameter, asked: str) -> bool:
        """All parts match in the same value that the composite's own expression selects."""
        by_url = {
            item.url: item for item in self.world.definitions.search_parameters(resource["resourceType"]).values()
        }
        parts = list(zip(parameter.components, split(asked, "$"), strict=True))
        return any(
            all(
                any(
                    self._value_matches(value, by_url[component.definition], "", text)
                    for value in self.world.parts(node, component.expression)
                )
                for component, text in parts
            )
            for node in self.world.nodes(resource, parameter)
        )


def address_of(resource: Resource) -> Address:
    """Type and id."""
    return resource["resourceType"], resource["id"]
