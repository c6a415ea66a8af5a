"""How an operation is called, and what it is called with: from a URL, a Parameters resource, or a resource alone.

https://hl7.org/fhir/R4/operations.html#executing
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from fhirserver.fhir.definitions import Definitions
from fhirserver.fhir.definitions.operations import OperationDefinition, OperationParameter
from fhirserver.fhir.outcomes import InvalidRequest, InvalidResource, Issue
from fhirserver.fhir.validation.report import Context
from fhirserver.fhir.validation.validator import Validator

_WHOLE = frozenset({"integer", "positiveInt", "unsignedInt"})


class Arguments:
    """The values of the parameters, by name, in their order; those of parameters with parts are Arguments again."""

    def __init__(self, values: Iterable[tuple[str, Any]] = ()):
        self._values: dict[str, list[Any]] = {}
        for name, value in values:
            self._values.setdefault(name, []).append(value)

    def all(self, name: str) -> Sequence[Any]:
        """Every value of this parameter: primitives as in JSON, complex types and resources as dicts."""
        return self._values.get(name, ())

    def one(self, name: str) -> Any:
        """The value of a parameter that has one at the most; None without it."""
        return next(iter(self.all(name)), None)

    def text(self, name: str) -> str | None:
        """The value of a parameter whose type is a string of some kind."""
        value = self.one(name)
        return None if value is None else str(value)

    def flag(self, name: str, default: bool = False) -> bool:
        """The value of a boolean parameter."""
        value = self.one(name)
        return default if value is None else bool(value)

    def number(self, name: str) -> int | None:
        """The value of a parameter that is a whole number."""
        value = self.one(name)
        return None if value is None else int(value)

    def __contains__(self, name: str) -> bool:
        return name in self._values


@dataclass(frozen=True, slots=True)
class Invocation:
    """An operation called on the system (both None), on a type, or on a resource.

    `text` is the JSON of the body, where there is one.
    """

    resource_type: str | None
    id: str | None
    arguments: Arguments
    text: bytes | None = None


def arguments_of(
    definition: OperationDefinition,
    query: Sequence[tuple[str, str]],
    body: dict[str, Any] | None,
    definitions: Definitions,
    validator: Validator,
) -> Arguments:
    """The arguments in a URL and in a body, which is a Parameters resource or, where the operation takes just one
    resource, that resource.

    Raises `InvalidRequest` for parameters that the operation does not have, of the wrong type, too few or too many;
    `InvalidResource` for a body that is not valid. A resource that is an argument is checked by the operation.
    """
    values = [(name, _from_text(_known(definition.parameters, name, definition), text)) for name, text in query]
    if body is not None:
        if body.get("resourceType") == "Parameters":
            values += _from_parameters(definition, body, definitions, validator)
        else:
            values.append(_from_resource(definition, body, definitions))
    arguments = Arguments(values)
    _check_numbers(definition.parameters, arguments, "")
    return arguments


def _known(parameters: Sequence[OperationParameter], name: str, definition: OperationDefinition) -> OperationParameter:
    found = next((known for known in parameters if known.name == name), None)
    if found is None:
        names = ", ".join(known.name for known in parameters) or "none"
        raise InvalidRequest(
            f"${definition.code} has no parameter '{name[:80]}'; it has {names}", code="not-supported", expression=name
        )
    return found


def _from_text(parameter: OperationParameter, text: str) -> Any:
    """A value in a URL; only primitives can stand there."""
    wrong = InvalidRequest(
        f"{parameter.name}: {text[:80]!r} is not of type {parameter.type}", code="value", expression=parameter.name
    )
    kind = parameter.type
    if kind == "boolean":
        if text not in ("true", "false"):
            raise wrong
        return text == "true"
    if kind in _WHOLE:
        digits = text.removeprefix("-")
        if not (digits.isascii() and digits.isdigit() and len(digits) <= 10):
            raise wrong
        return int(text)
    if kind == "decimal":
        try:
            return Decimal(text)
        except ArithmeticError:
            raise wrong from None
    if kind is None or kind[0].isupper():
        raise InvalidRequest(
            f"{parameter.name}, a {kind or 'parameter with parts'}, can't stand in a URL; POST a Parameters resource",
            code="value",
            expression=parameter.name,
        )
    return text


def _from_parameters(
    definition: OperationDefinition, body: dict[str, Any], definitions: Definitions, validator: Validator
) -> list[tuple[str, Any]]:
    # What is checked is the Parameters resource itself: a resource in it may be what is to be found wrong.
    issues = validator.validate(body, "Parameters", context=Context(outer_only=True))
    if any(issue.is_error for issue in issues):
        raise InvalidResource(issues)
    return [
        _from_parameter(definition.parameters, item, f"Parameters.parameter[{number}]", definition, definitions)
        for number, item in enumerate(_listed(body.get("parameter")))
    ]


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _from_parameter(
    parameters: Sequence[OperationParameter],
    item: dict[str, Any],
    place: str,
    definition: OperationDefinition,
    definitions: Definitions,
) -> tuple[str, Any]:
    parameter = _known(parameters, item["name"], definition)
    if parameter.parts:
        parts = Arguments(
            _from_parameter(parameter.parts, part, f"{place}.part[{number}]", definition, definitions)
            for number, part in enumerate(_listed(item.get("part")))
        )
        _check_numbers(parameter.parts, parts, f"{place}.part")
        return parameter.name, parts
    if "resource" in item:
        resource = item["resource"]
        given = resource.get("resourceType") if isinstance(resource, dict) else None
        if parameter.type not in ("Resource", "Any", given):
            raise _wrong_type(parameter, str(given), place)
        return parameter.name, resource
    name = next((name for name in item if name.startswith("value")), None)
    if name is None:
        raise InvalidRequest(f"{parameter.name} has no value", code="required", expression=place)
    kind = definitions.type("Parameters.parameter").properties[name].type_code
    if not _goes_with(parameter.type or "", kind, definitions):
        raise _wrong_type(parameter, kind, place)
    return parameter.name, item[name]


def _goes_with(wanted: str, given: str, definitions: Definitions) -> bool:
    """Whether a value of one type may stand for the other: strings of all kinds do, as in URLs."""
    if wanted in (given, "Element", "*") or (wanted in _WHOLE and given in _WHOLE):
        return True
    plain = wanted[:1].islower() and wanted not in ("boolean", "decimal", *_WHOLE)
    return plain and given[:1].islower() and given not in ("boolean", "decimal", *_WHOLE)


def _wrong_type(parameter: OperationParameter, given: str, place: str) -> InvalidRequest:
    return InvalidRequest(f"{parameter.name} is of type {parameter.type}, not {given}", code="value", expression=place)


def _from_resource(
    definition: OperationDefinition, body: dict[str, Any], definitions: Definitions
) -> tuple[str, dict[str, Any]]:
    given = body.get("resourceType")
    takers = [
        known
        for known in definition.parameters
        if known.type in ("Resource", "Any") or definitions.is_resource_type(known.type or "")
    ]
    if len(takers) != 1 or takers[0].type not in ("Resource", "Any", given):
        raise InvalidRequest(
            f"${definition.code} takes a Parameters resource, not {str(given)[:80]}", expression="resourceType"
        )
    return takers[0].name, body


def _check_numbers(parameters: Sequence[OperationParameter], arguments: Arguments, place: str) -> None:
    issues = []
    for parameter in parameters:
        found = len(arguments.all(parameter.name))
        if found < parameter.min:
            issues.append(Issue("error", "required", f"{parameter.name} is missing", (place or parameter.name,)))
        if parameter.max is not None and found > parameter.max:
            problem = f"{parameter.name} is given {found} times; {parameter.max} is the most"
            issues.append(Issue("error", "invalid", problem, (place or parameter.name,)))
    if issues:
        raise InvalidRequest(issues)
