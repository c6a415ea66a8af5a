"""Whether coded elements have codes of the value sets that they are bound to.

https://hl7.org/fhir/R4/terminologies.html#strength
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from fhirserver.fhir.definitions import Binding, Codes
from fhirserver.fhir.outcomes import Severity
from fhirserver.fhir.validation.primitives import Primitive
from fhirserver.fhir.validation.properties import PropertyCheck, ValueCheck
from fhirserver.fhir.validation.report import Place, Question, Report, shown

# Whether a value set has a code of a system (None: of any); None if that can't be told without asking somebody.
Contains = Callable[[str | None, str], bool | None]

SEVERITIES: Mapping[str, Severity] = {"required": "error", "extensible": "warning", "preferred": "information"}
_MUST = {"required": "must", "extensible": "should", "preferred": "had better"}
CONCEPTS = ("Coding", "CodeableConcept", "Quantity")


@dataclass(frozen=True, slots=True)
class BoundSet:
    """A value set that an element is bound to. `codes` are all its codes, where they can be listed."""

    binding: Binding
    contains: Contains
    codes: frozenset[str] | None = None

    @property
    def severity(self) -> Severity:
        """Of the issue that a code is not in it."""
        return SEVERITIES[self.binding.strength]


def listed_set(binding: Binding, codes: Codes) -> BoundSet:
    """A value set whose codes are known by system."""
    everything = frozenset(code for listed in codes.values() for code in listed)

    def contains(system: str | None, code: str) -> bool:
        return code in everything if system is None else code in codes.get(system, ())

    return BoundSet(binding, contains, everything)


def bound_primitive(primitive: Primitive, bound: BoundSet) -> Primitive:
    """A primitive type of which only the codes of a value set are allowed."""
    contains = bound.contains

    def allows(code: str) -> object:
        return primitive.allows(code) and contains(None, code) is not False

    return replace(
        primitive,
        allows=allows if bound.codes is None else bound.codes.__contains__,
        rule=f"a code of {bound.binding.value_set}",
        code="code-invalid",
    )


def concept_check(type_code: str, bound: BoundSet) -> ValueCheck:
    """The check of a Coding or Quantity, or of a CodeableConcept, of whose codings one has to be in the value set."""
    contains, severity, value_set = bound.contains, bound.severity, bound.binding.value_set
    is_required = bound.binding.strength == "required"
    must = _MUST[bound.binding.strength]

    def check(value: Any, place: Place, report: Report) -> None:
        if type(value) is not dict:
            return
        codings = _dicts(value.get("coding")) if type_code == "CodeableConcept" else [value]
        codes = [(coding.get("system"), coding.get("code")) for coding in codings]
        known = [(system, code) for system, code in codes if type(code) is str and type(system) is str]
        answers = [contains(system, code) for system, code in known]
        if True in answers:
            return
        if None in answers:
            report.questions.append(Question(place, bound.binding, tuple(known)))
        elif answers or is_required:
            given = ", ".join(f"{system or ''}|{code}" for system, code in codes if code is not None)
            wrong = f", not {shown(given)}" if given else ""
            report.add("code-invalid", f"{place[1]} {must} have a code of {value_set}{wrong}", place, severity)

    return check


def required_value(name: str, bound: BoundSet) -> PropertyCheck:
    """The check of the `_` partner of a code: extensions can't stand for a code that is required."""
    problem = f"{name} must have a code of {bound.binding.value_set}; extensions can't stand for it"

    def check(value: Any, owner: dict[str, Any], place: Place, report: Report) -> None:
        codes = owner.get(name)
        if type(value) is list:
            has_code = [code is not None for code in codes] if type(codes) is list else []
            for index in range(len(value)):
                if value[index] is not None and not (index < len(has_code) and has_code[index]):
                    report.add("code-invalid", problem, (place, name, index))
        elif codes is None:
            report.add("code-invalid", problem, (place, name, None))

    return check


def _dicts(items: Any) -> list[dict[str, Any]]:
    return [item for item in items if type(item) is dict] if type(items) is list else []
