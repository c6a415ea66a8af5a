"""Checks of one JSON property: single or array, primitive or complex, and the `_` partner of primitives.

https://hl7.org/fhir/R4/json.html#primitive
"""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, TypeAlias

from fhirserver.fhir.validation.primitives import Primitive
from fhirserver.fhir.validation.report import Place, Report, kind_of, shown

# Of the value of a complex element. Arguments: the value, its place, where to report.
ValueCheck: TypeAlias = Callable[[Any, Place, Report], None]
# Of a property. Arguments: its value, the object it is in, the place of that object, where to report.
PropertyCheck: TypeAlias = Callable[[Any, dict[str, Any], Place, Report], None]

_JSON_TYPES: dict[str, type] = {"string": str, "boolean": bool, "integer": int}
_WORDS = {"string": "a string", "boolean": "true or false", "integer": "an integer", "number": "a number"}


def single_primitive(name: str, primitive: Primitive) -> PropertyCheck:
    """The check of a primitive that does not repeat."""
    allows, wrong = primitive.allows, _explain(primitive)
    if primitive.json_type == "string":

        def check_string(value: Any, owner: dict[str, Any], place: Place, report: Report) -> None:
            if type(value) is not str or not allows(value):
                wrong(value, (place, name, None), report)

        return check_string
    is_right = _type_test(primitive)

    def check(value: Any, owner: dict[str, Any], place: Place, report: Report) -> None:
        if not is_right(value) or not allows(value):
            wrong(value, (place, name, None), report)

    return check


def repeating_primitive(name: str, primitive: Primitive) -> PropertyCheck:
    """The check of an array of primitives. It may have nulls where the `_` partner has something."""
    allows, wrong, is_right = primitive.allows, _explain(primitive), _type_test(primitive)
    partner_name = "_" + name

    def check(values: Any, owner: dict[str, Any], place: Place, report: Report) -> None:
        if not _is_array(values, name, place, report):
            return
        partner = owner.get(partner_name)
        for index, value in enumerate(values):
            if is_right(value) and allows(value):
                continue
            if value is None and _has_item(partner, index):
                continue
            wrong(value, (place, name, index), report)

    return check


def single_partner(name: str, element: ValueCheck) -> PropertyCheck:
    """The check of `_name`: the id and the extensions of a primitive."""

    def check(value: Any, owner: dict[str, Any], place: Place, report: Report) -> None:
        element(value, (place, name, None), report)

    return check


def repeating_partner(name: str, element: ValueCheck) -> PropertyCheck:
    """The check of `_name` for an array of primitives: as long as that, with null where there is nothing."""

    def check(values: Any, owner: dict[str, Any], place: Place, report: Report) -> None:
        if not _is_array(values, "_" + name, place, report):
            return
        partner = owner.get(name)
        if type(partner) is list and len(partner) != len(values):
            report.add("structure", f"{name} and _{name} must have the same number of items", (place, name, None))
        for index, value in enumerate(values):
            if value is not None:
                element(value, (place, name, index), report)
            elif not _has_item(partner, index):
                report.add("structure", f"_{name} has null where {name} has no value", (place, name, index))

    return check


def single_complex(name: str, *content: ValueCheck) -> PropertyCheck:
    """The check of an object: of its type, and what further checks the element has."""
    check_value = _all(content)

    def check(value: Any, owner: dict[str, Any], place: Place, report: Report) -> None:
        check_value(value, (place, name, None), report)

    return check


def repeating_complex(name: str, *content: ValueCheck) -> PropertyCheck:
    """The check of an array of objects: of the type of each, and what further checks the element has."""
    check_value = _all(content)

    def check(values: Any, owner: dict[str, Any], place: Place, report: Report) -> None:
        if type(values) is list and values:
            for index, value in enumerate(values):
                check_value(value, (place, name, index), report)
        else:
            _is_array(values, name, place, report)

    return check


def both(first: PropertyCheck, second: PropertyCheck | None) -> PropertyCheck:
    """The one check, and then the other if there is one."""
    if second is None:
        return first
    then = second

    def check(value: Any, owner: dict[str, Any], place: Place, report: Report) -> None:
        first(value, owner, place, report)
        then(value, owner, place, report)

    return check


def one_of(names: frozenset[str], name: str, check_value: PropertyCheck) -> PropertyCheck:
    """The check of one type of a choice element: `names` are the properties of all types."""

    def check(value: Any, owner: dict[str, Any], place: Place, report: Report) -> None:
        check_value(value, owner, place, report)
        present = [key for key in owner if key in names]
        if len(present) > 1:
            others = sorted({key.removeprefix("_") for key in present})
            # Said once, at the first of them.
            if len(others) > 1 and present[0] == name:
                report.add("structure", f"Only one is allowed of {', '.join(others)}", (place, others[0], None))

    return check


def _all(checks: Sequence[ValueCheck]) -> ValueCheck:
    if len(checks) == 1:
        return checks[0]

    def check(value: Any, place: Place, report: Report) -> None:
        for each in checks:
            each(value, place, report)

    return check


def _is_array(values: Any, name: str, place: Place, report: Report) -> bool:
    if type(values) is not list:
        report.add_malformed(f"{name} must be an array, not {kind_of(values)}", (place, name, None))
        return False
    if not values:
        report.add("structure", f"{name} must not be an empty array", (place, name, None))
    return True


def _has_item(partner: Any, index: int) -> bool:
    return type(partner) is list and index < len(partner) and partner[index] is not None


def _type_test(primitive: Primitive) -> Callable[[Any], bool]:
    if primitive.json_type == "number":
        return _is_number
    json_type = _JSON_TYPES[primitive.json_type]
    # isinstance would take true for an integer.
    return lambda value: type(value) is json_type


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal) and type(value) is not bool


def _explain(primitive: Primitive) -> ValueCheck:
    is_right = _type_test(primitive)

    def report_wrong(value: Any, place: Place, report: Report) -> None:
        name = place[1]
        if value is None:
            report.add_malformed(f"{name} must not be null", place)
        elif value == "":
            report.add("value", f"{name} must not be an empty string", place)
        elif not is_right(value) and not (primitive.json_type == "integer" and _is_number(value)):
            report.add_malformed(f"{name} must be {_WORDS[primitive.json_type]}, not {kind_of(value)}", place)
        elif primitive.reasons is not None:
            for reason in primitive.reasons(value):
                report.add(primitive.code, f"{name} must be {primitive.rule}: {reason}", place)
        else:
            report.add(primitive.code, f"{name} must be {primitive.rule}, not {shown(value)}", place)

    return report_wrong
