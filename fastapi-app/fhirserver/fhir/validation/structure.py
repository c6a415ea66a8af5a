"""Whether a resource has the structure that R4 gives its type: elements, cardinalities, primitive values.

https://hl7.org/fhir/R4/validation.html (structure, cardinality, value domains) and json.html
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from fhirserver.fhir.definitions import Definitions, Property, TypeDefinition
from fhirserver.fhir.outcomes import Issue
from fhirserver.fhir.validation.primitives import PRIMITIVES
from fhirserver.fhir.validation.properties import (
    PropertyCheck,
    ValueCheck,
    one_of,
    repeating_complex,
    repeating_partner,
    repeating_primitive,
    single_complex,
    single_partner,
    single_primitive,
)
from fhirserver.fhir.validation.report import Place, Report, TooManyIssues, kind_of, shown


class Validator:
    """Checks resources. The checks of a type are made when its first instance comes, and kept."""

    def __init__(self, definitions: Definitions):
        self._definitions = definitions
        self._checks: dict[str, ValueCheck] = {}

    def validate(self, resource: dict[str, Any], resource_type: str | None = None) -> list[Issue]:
        """All errors of a resource, at most 100; none if it is valid.

        If `resource_type` is given, the resource must be of that type.
        """
        report = Report()
        found = resource.get("resourceType")
        if resource_type is not None and isinstance(found, str) and found != resource_type:
            problem = f"The resource is of type {shown(found)}, not {resource_type}"
            return [Issue("error", "invalid", problem, (f"{resource_type}.resourceType",))]
        place = (None, found if isinstance(found, str) else resource_type or "Resource", None)
        with suppress(TooManyIssues):
            self._check_resource(resource, place, report)
        return report.issues

    def check_of(self, type_code: str) -> ValueCheck:
        """The check of a resource type, complex type or backbone, without what comes with `resourceType`."""
        check = self._checks.get(type_code)
        if check is None:
            check = _object_check(self, self._definitions.type(type_code))
            self._checks[type_code] = check
        return check

    def property_check(self, definition: TypeDefinition, name: str) -> PropertyCheck | None:
        """The check of a JSON property of a type; None if the type does not have it."""
        plain_name = name.removeprefix("_")
        property_ = definition.properties.get(plain_name)
        if property_ is None:
            return None
        if plain_name == name:
            check = self._value_check(name, property_)
        elif _has_partner(property_):
            make = repeating_partner if property_.element.is_list else single_partner
            check = make(plain_name, self.check_of("Element"))
        else:
            return None
        if property_.element.is_choice:
            check = one_of(_choice_names(definition, property_), name, check)
        return check

    def _value_check(self, name: str, property_: Property) -> PropertyCheck:
        is_list = property_.element.is_list
        primitive = PRIMITIVES.get(property_.type_code)
        if primitive is not None:
            make = repeating_primitive if is_list else single_primitive
            return make(name, primitive)
        content: ValueCheck
        if property_.type_code != "Resource":
            content = self.check_of(property_.type_code)
        elif name == "contained":
            content = self._check_contained
        else:
            content = self._check_resource
        return repeating_complex(name, content) if is_list else single_complex(name, content)

    def _check_resource(self, value: Any, place: Place, report: Report) -> None:
        if type(value) is not dict:
            report.add("structure", f"{place[1]} must be a resource, not {kind_of(value)}", place)
            return
        resource_type = value.get("resourceType")
        if resource_type is None:
            report.add("required", "resourceType is missing", place)
        elif not isinstance(resource_type, str) or not self._definitions.is_resource_type(resource_type):
            report.add("structure", f"{shown(resource_type)} is not a resource type of FHIR R4", place)
        else:
            self.check_of(resource_type)(value, place, report)

    def _check_contained(self, value: Any, place: Place, report: Report) -> None:
        self._check_resource(value, place, report)
        if type(value) is dict:
            if "id" not in value:
                report.add("required", "A contained resource must have an id", place)
            if "contained" in value:
                report.add("invariant", "A contained resource must not contain resources (dom-2)", place)


class _PropertyChecks(dict[str, PropertyCheck]):
    """The checks of a type's properties, made when they are first needed."""

    def __init__(self, validator: Validator, definition: TypeDefinition):
        super().__init__()
        self._validator = validator
        self._definition = definition
        if definition.kind == "resource":
            self["resourceType"] = _check_nothing

    def __missing__(self, name: str) -> PropertyCheck:
        check = self._validator.property_check(self._definition, name)
        if check is None:
            return _unknown(self._definition, name)
        self[name] = check
        return check


def _object_check(validator: Validator, definition: TypeDefinition) -> ValueCheck:
    checks = _PropertyChecks(validator, definition)
    properties = definition.properties
    required = frozenset(
        name for name, property_ in properties.items() if property_.element.min and not property_.element.is_choice
    )
    required_choices = {
        element.name + "[x]": _choice_names(definition, Property(element, ""))
        for element in definition.elements.values()
        if element.min and element.is_choice
    }

    def check(value: Any, place: Place, report: Report) -> None:
        if type(value) is not dict:
            report.add("structure", f"{place[1]} must be an object, not {kind_of(value)}", place)
            return
        for name, item in value.items():
            checks[name](item, value, place, report)
        if not required <= value.keys():
            _report_missing(required, value, place, report)
        for name, names in required_choices.items():
            if names.isdisjoint(value):
                report.add("required", f"{name} is missing", place)
        if not value:
            report.add("structure", f"{place[1]} must not be an empty object", place)

    if definition.name != "Extension":
        return check
    values = _choice_names(definition, properties["valueString"])

    def check_extension(value: Any, place: Place, report: Report) -> None:
        check(value, place, report)
        if type(value) is dict and ("extension" in value) is not values.isdisjoint(value):
            report.add("invariant", "An extension must have either a value or extensions, not both (ext-1)", place)

    return check_extension


def _choice_names(definition: TypeDefinition, property_: Property) -> frozenset[str]:
    """The properties of all types of a choice element, with those of the `_` partners."""
    names = [name for name, other in definition.properties.items() if other.element.path == property_.element.path]
    return frozenset(names) | {"_" + name for name in names if _has_partner(definition.properties[name])}


def _has_partner(property_: Property) -> bool:
    """Whether a `_` property may go with it. Narrative.div and plain values have no extensions."""
    code = property_.type_code
    return code in PRIMITIVES and code != "xhtml" and not property_.element.is_plain


def _report_missing(required: frozenset[str], value: Mapping[str, Any], place: Place, report: Report) -> None:
    for name in sorted(required):
        if name not in value and "_" + name not in value:
            report.add("required", f"{name} is missing", place)


def _check_nothing(value: Any, owner: dict[str, Any], place: Place, report: Report) -> None:
    pass


def _unknown(definition: TypeDefinition, name: str) -> PropertyCheck:
    def check(value: Any, owner: dict[str, Any], place: Place, report: Report) -> None:
        element = definition.elements.get(name)
        if element is not None and element.is_choice:
            example = next(key for key, other in definition.properties.items() if other.element is element)
            problem = f"{name} must have its type in its name, for example {example}"
        else:
            problem = f"{shown(name)} is not an element of {definition.name}"
        report.add("structure", problem, (place, shown(name), None))

    return check
