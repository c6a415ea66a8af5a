"""What a Reference may say: its form, the types of resource it may lead to, and that it agrees with itself.

https://hl7.org/fhir/R4/references.html#literal
"""

from typing import Any

from fhirserver.fhir.datatypes.references import parse_reference
from fhirserver.fhir.definitions import Definitions, Element, Property
from fhirserver.fhir.validation.properties import PropertyCheck, ValueCheck
from fhirserver.fhir.validation.report import Fragment, Place, Report, shown

_STRUCTURE = "http://hl7.org/fhir/StructureDefinition/"


def reference_check(element: Element, definitions: Definitions) -> ValueCheck:
    """The check of what the References in an element lead to, made after that of their structure."""
    allowed = _targets(element, "Reference")

    def check(value: Any, place: Place, report: Report) -> None:
        if type(value) is not dict:
            return
        declared, text = value.get("type"), value.get("reference")
        expected = allowed
        if type(declared) is str:
            expected = _declared(declared, allowed, definitions, (place, "type", None), report)
        if type(text) is not str or not text:
            return
        at = (place, "reference", None)
        if text[0] == "#":
            report.fragments.append(Fragment(text[1:], at, expected))
            return
        target = parse_reference(text)
        if target is None:
            report.add("value", f"reference must be Type/id, a URL or #id, not {shown(text)}", at)
        elif target.kind == "conditional" and not report.context.conditional:
            report.add("value", "reference must not be search criteria outside of a transaction", at)
        elif target.resource_type is None:
            return
        elif definitions.is_resource_type(target.resource_type):
            check_target(target.resource_type, expected, at, report)
        elif target.kind != "absolute":
            report.add("value", f"{target.resource_type} is not a resource type of FHIR R4", at)

    return check


def fragment_check(name: str, property_: Property) -> PropertyCheck:
    """The check of URIs that lead to a contained resource; of a canonical, that it is there."""
    is_canonical = property_.type_code == "canonical"
    allowed = _targets(property_.element, "canonical") if is_canonical else None

    def check(value: Any, owner: dict[str, Any], place: Place, report: Report) -> None:
        if type(value) is str:
            if value[:1] == "#":
                report.fragments.append(Fragment(value[1:], (place, name, None), allowed, is_canonical))
        elif type(value) is list:
            for index, item in enumerate(value):
                if type(item) is str and item[:1] == "#":
                    report.fragments.append(Fragment(item[1:], (place, name, index), allowed, is_canonical))

    return check


def check_target(target: str, expected: frozenset[str] | None, place: Place, report: Report) -> None:
    """Report a reference at this place that leads to a type of resource that is not expected there."""
    if expected is not None and target not in expected:
        report.add("value", f"{place[1]} must lead to {_listed(expected)}, not to {target}", place)


def _declared(
    declared: str, allowed: frozenset[str] | None, definitions: Definitions, place: Place, report: Report
) -> frozenset[str] | None:
    """The types that a Reference with this `type` may lead to."""
    name = declared.removeprefix(_STRUCTURE)
    if not definitions.is_resource_type(name):
        report.add("value", f"type must be a resource type, not {shown(declared)}", place)
        return allowed
    check_target(name, allowed, place, report)
    return frozenset({name})


def _targets(element: Element, type_code: str) -> frozenset[str] | None:
    """The types of resource that the element may lead to; None for all of them."""
    targets = frozenset(target for type_ in element.types if type_.code == type_code for target in type_.target_types)
    return None if not targets or "Resource" in targets else targets


def _listed(types: frozenset[str]) -> str:
    *others, last = sorted(types)
    return f"{', '.join(others)} or {last}" if others else last
