"""https://hl7.org/fhirpath/N1/#conversion"""

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from fhirserver.fhir.datatypes import ucum
from fhirserver.fhir.fhirpath import nodes, selection
from fhirserver.fhir.fhirpath.environment import Environment
from fhirserver.fhir.fhirpath.equality import is_number
from fhirserver.fhir.fhirpath.invocation import Function, Invocation, Scope
from fhirserver.fhir.fhirpath.quantities import Quantity, literal_quantity, parse_quantity, ucum_code
from fhirserver.fhir.fhirpath.selection import Selection, aligned, computed, several, single
from fhirserver.fhir.fhirpath.temporal import Kind, Temporal, parse_temporal

_TRUE, _FALSE = frozenset({"true", "t", "yes", "y", "1", "1.0"}), frozenset({"false", "f", "no", "n", "0", "0.0"})
_INTEGER = re.compile(r"[+-]?[0-9]{1,10}").fullmatch
_DECIMAL = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?").fullmatch
GREATEST_INTEGER = 2**31 - 1


def to_boolean(value: Any) -> bool | None:
    if value.__class__ is bool:
        return bool(value)
    if value.__class__ is str:
        text = value.lower()
        return True if text in _TRUE else False if text in _FALSE else None
    return bool(value) if is_number(value) and value in (0, 1) else None


def to_integer(value: Any) -> int | None:
    if value.__class__ is bool or value.__class__ is int:
        return int(value)
    if value.__class__ is str and _INTEGER(value):
        number = int(value)
        return number if abs(number) <= GREATEST_INTEGER else None
    return None


def to_decimal(value: Any) -> Decimal | None:
    if value.__class__ is str:
        return Decimal(value) if _DECIMAL(value) else None
    return Decimal(value) if is_number(value) or value.__class__ is bool else None


def to_string(value: Any) -> str | None:
    if value.__class__ is str:
        return str(value)
    if value.__class__ is bool:
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return format(value, "f") if abs(value.adjusted()) < 100 else str(value)
    return str(value) if isinstance(value, int | Temporal | Quantity) else None


def to_quantity(value: Any) -> Quantity | None:
    if value.__class__ is Quantity:
        return value
    if value.__class__ is str:
        return parse_quantity(value)
    return Quantity(Decimal(value)) if is_number(value) or value.__class__ is bool else None


def _to_date(value: Any) -> Temporal | None:
    if value.__class__ is Temporal and value.kind == "DateTime":
        return Temporal("Date", value.fields[:3])
    if value.__class__ is str and len(value) > 10:
        moment = parse_temporal(value, "DateTime")
        return None if moment is None else _to_date(moment)
    return _to_temporal(value, "Date")


def _to_datetime(value: Any) -> Temporal | None:
    if value.__class__ is Temporal and value.kind == "Date":
        return Temporal("DateTime", value.fields)
    return _to_temporal(value, "DateTime")


def _to_temporal(value: Any, kind: Kind) -> Temporal | None:
    if value.__class__ is Temporal:
        return value if value.kind == kind else None
    return parse_temporal(value, kind) if value.__class__ is str else None


_CONVERSIONS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "Boolean": (nodes.BOOLEAN, to_boolean),
    "Integer": (nodes.INTEGER, to_integer),
    "Decimal": (nodes.DECIMAL, to_decimal),
    "String": (nodes.STRING, to_string),
    "Date": (nodes.DATE, _to_date),
    "DateTime": (nodes.DATETIME, _to_datetime),
    "Time": (nodes.TIME, lambda value: _to_temporal(value, "Time")),
}


def _to(name: str) -> Callable[[Invocation], Selection]:
    type_name, convert = _CONVERSIONS[name]

    def build(call: Invocation) -> Selection:
        get = selection.value(call.source, call.system, call.place)

        def converted(item: Any, env: Environment) -> Any:
            value = get(item, env)
            return None if value is None else convert(value)

        return computed(type_name, converted)

    return build


def _converts_to(name: str) -> Callable[[Invocation], Selection]:
    _, convert = _CONVERSIONS[name]

    def build(call: Invocation) -> Selection:
        get = selection.value(call.source, call.system, call.place)

        def converts(item: Any, env: Environment) -> Any:
            value = get(item, env)
            return None if value is None else convert(value) is not None

        return computed(nodes.BOOLEAN, converts)

    return build


def _to_quantity(call: Invocation) -> Selection:
    get, convert = selection.value(call.source, call.system, call.place), _quantity(call)

    def converted(item: Any, env: Environment) -> Any:
        return convert(get(item, env), item, env)

    return computed(nodes.QUANTITY, converted)


def _converts_to_quantity(call: Invocation) -> Selection:
    get, convert = selection.value(call.source, call.system, call.place), _quantity(call)

    def converts(item: Any, env: Environment) -> Any:
        value = get(item, env)
        return None if value is None else convert(value, item, env) is not None

    return computed(nodes.BOOLEAN, converts)


def _quantity(call: Invocation) -> Callable[[Any, Any, Environment], Quantity | None]:
    """From a value to a quantity, in the unit of the argument if there is one."""
    unit = call.text(call.argument(0)) if call.arguments else None

    def converted(value: Any, item: Any, env: Environment) -> Quantity | None:
        quantity = to_quantity(value)
        wanted = None if unit is None else unit(item, env)
        if quantity is None or wanted is None:
            return quantity
        target = literal_quantity(quantity.value, str(wanted))
        number = ucum.convert(quantity.value, ucum_code(quantity), ucum_code(target))
        return None if number is None else Quantity(number, target.unit, target.is_calendar)

    return converted


def _iif(call: Invocation) -> Selection:
    """Only the branch that is chosen is evaluated; `$this` is the source."""
    source = call.source
    scope = Scope(source.types, call.scope.is_looped)
    criterion, *branches = (call.compile(argument, scope) for argument in call.arguments)
    if criterion.types and not any(call.system.system_type(name) == nodes.BOOLEAN for name in criterion.types):
        raise call.error("iif(): the criterion is no Boolean")
    if criterion.constant is not None and len(criterion.constant) > 1:
        raise call.error("iif(): the criterion has several items")
    test = selection.truth(criterion, call.system, call.place)
    types, parts = aligned(call.system, *branches)
    focus = _focus(call)
    if all(part.one is not None for part in parts):
        ones = [part.one or focus for part in parts]

        def one(item: Any, env: Environment) -> Any:
            this = focus(item, env)
            if test(this, env):
                return ones[0](this, env)
            return ones[1](this, env) if len(ones) > 1 else None

        return single(types, one)

    def many(item: Any, env: Environment) -> list[Any]:
        this = focus(item, env)
        if test(this, env):
            return parts[0].many(this, env)
        return parts[1].many(this, env) if len(parts) > 1 else []

    return several(types, many)


def _focus(call: Invocation) -> selection.One:
    if call.source.one is not None:
        return call.source.one
    items, error = call.source.many, call.error

    def only(item: Any, env: Environment) -> Any:
        found = items(item, env)
        if len(found) > 1:
            raise error(f"iif(): the source has {len(found)} items")
        return found[0] if found else None

    return only


FUNCTIONS = {
    "iif": Function(_iif, 2, 3),
    **{f"to{name}": Function(_to(name)) for name in _CONVERSIONS},
    **{f"convertsTo{name}": Function(_converts_to(name)) for name in _CONVERSIONS},
    "toQuantity": Function(_to_quantity, 0, 1),
    "convertsToQuantity": Function(_converts_to_quantity, 0, 1),
}
