"""Whether a resource has the structure that R4 gives its type: elements, cardinalities, primitive values.

https://hl7.org/fhir/R4/validation.html (structure, cardinality, value domains) and json.html
"""

from collections.abc import Mapping
from typing import Any

from fhirserver.fhir.definitions import Definitions, Property, TypeDefinition
from fhirserver.fhir.fhirpath import Environment, stub
from fhirserver.fhir.validation.contained import check_contained, check_fragments
from fhirserver.fhir.validation.primitives import PRIMITIVES
from fhirserver.fhir.validation.properties import (
    PropertyCheck,
    ValueCheck,
    both,
    one_of,
    repeating_complex,
    repeating_partner,
    repeating_primitive,
    single_complex,
    single_partner,
    single_primitive,
)
from fhirserver.fhir.validation.report import Place, Report, kind_of, shown
from fhirserver.fhir.validation.rules import Rules


class Checks:
    """The checks of types, made when the first value of a type comes, and kept.

    Without `rules`: of structure and primitive types alone.
    """

    def __init__(self, definitions: Definitions, rules: Rules | None):
        self._definitions = definitions
        self._rules = rules
        self._checks: dict[str, ValueCheck] = {}

    def of_type(self, type_code: str) -> ValueCheck:
        """The check of a resource type, complex type or backbone, without what comes with `resourceType`."""
        check = self._checks.get(type_code)
        if check is None:
            check = self._checks[type_code] = self._object_check(self._definitions.type(type_code))
        return check

    def of_property(self, definition: TypeDefinition, name: str) -> PropertyCheck | None:
        """The check of a JSON property of a type; None if the type does not have it."""
        plain_name = name.removeprefix("_")
        property_ = definition.properties.get(plain_name)
        if property_ is None:
            return None
        if plain_name == name:
            check = self._value_check(name, property_)
        elif _has_partner(property_):
            check = self._partner_check(plain_name, property_)
        else:
            return None
        if property_.element.is_choice:
            check = one_of(_choice_names(definition, property_), name, check)
        return check

    def resource(self, value: Any, place: Place, report: Report) -> None:
        """Check a resource: the outermost, or one in a Bundle or Parameters."""
        if report.context.outer_only and place[0] is not None:
            return
        outer = report.fragments, report.environment, report.start
        report.fragments = []
        is_known = self._of_resource(value, value, place, report)
        if is_known and ("contained" in value or report.fragments):
            types = check_contained(value, place, report)
            if self._rules is not None:
                check_fragments(value, types, place, report)
        report.fragments, report.environment, report.start = outer

    def contained(self, value: Any, place: Place, report: Report) -> None:
        """Check a resource in another."""
        outer = report.environment, report.start
        self._of_resource(value, report.environment.root_resource, place, report)
        report.environment, report.start = outer

    def _of_resource(self, value: Any, root: Any, place: Place, report: Report) -> bool:
        if type(value) is not dict:
            report.add_malformed(f"{place[1]} must be a resource, not {kind_of(value)}", place)
            return False
        resource_type = value.get("resourceType")
        if resource_type is None:
            report.add("required", "resourceType is missing", place)
        elif not isinstance(resource_type, str) or not self._definitions.is_resource_type(resource_type):
            report.add("structure", f"{shown(resource_type)} is not a resource type of FHIR R4", place)
        else:
            if self._rules is not None:
                report.environment = environment = Environment(value, root, resolve=stub)
                report.start = place
            self.of_type(resource_type)(value, place, report)
            if self._rules is not None and report.profiles is not None:
                report.environment = environment  # not that of a resource within
                report.profiles.resource(value, place)
            return True
        return False

    def _value_check(self, name: str, property_: Property) -> PropertyCheck:
        element, type_code, rules = property_.element, property_.type_code, self._rules
        primitive = PRIMITIVES.get(type_code)
        if primitive is not None:
            if rules is not None:
                primitive = rules.primitive(element, type_code, primitive)
            make = repeating_primitive if element.is_list else single_primitive
            further = rules.of_primitive(name, property_) if rules is not None else None
            return both(make(name, primitive), further)
        content: ValueCheck
        if type_code != "Resource":
            content = self.of_type(type_code)
        else:
            content = self.contained if name == "contained" else self.resource
        further_checks = rules.of_element(element, type_code) if rules is not None else ()
        return (repeating_complex if element.is_list else single_complex)(name, content, *further_checks)

    def _partner_check(self, name: str, property_: Property) -> PropertyCheck:
        make = repeating_partner if property_.element.is_list else single_partner
        further = self._rules.of_partner(name, property_) if self._rules is not None else None
        return both(make(name, self.of_type("Element")), further)

    def _object_check(self, definition: TypeDefinition) -> ValueCheck:
        checks = _PropertyChecks(self, definition)
        required = frozenset(
            name
            for name, property_ in definition.properties.items()
            if property_.element.min and not property_.element.is_choice
        )
        required_choices = {
            element.name + "[x]": _choice_names(definition, Property(element, ""))
            for element in definition.elements.values()
            if element.min and element.is_choice
        }
        is_element = definition.kind != "resource" and definition.name != "Element"
        rules = self._rules.of_type(definition) if self._rules is not None else ()
        invariants = self._rules.invariants(definition) if self._rules is not None else ()

        def check(value: Any, place: Place, report: Report) -> None:
            malformed = report.malformed
            if type(value) is not dict:
                report.add_malformed(f"{place[1]} must be an object, not {kind_of(value)}", place)
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
            elif is_element and len(value) == 1 and "id" in value:
                report.add("invariant", f"{place[1]} must have more than an id (ele-1)", place)
            for rule in rules:
                rule(value, place, report)
            if invariants and report.malformed == malformed:
                for invariant in invariants:
                    invariant(value, place, report)

        if definition.name != "Extension":
            return check
        values = _choice_names(definition, definition.properties["valueString"])

        def check_extension(value: Any, place: Place, report: Report) -> None:
            check(value, place, report)
            if type(value) is dict and ("extension" in value) is not values.isdisjoint(value):
                report.add("invariant", "An extension must have either a value or extensions, not both (ext-1)", place)

        return check_extension


class _PropertyChecks(dict[str, PropertyCheck]):
    """The checks of a type's properties, made when they are first needed."""

    def __init__(self, checks: Checks, definition: TypeDefinition):
        super().__init__()
        self._checks = checks
        self._definition = definition
        if definition.kind == "resource":
            self["resourceType"] = _check_nothing

    def __missing__(self, name: str) -> PropertyCheck:
        check = self._checks.of_property(self._definition, name)
        if check is None:
            return _unknown(self._definition, name)
        self[name] = check
        return check


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
