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
_ABSENT = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
_UNIT = frozenset({"code", "system"})
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


def concept_check(type_code: str, bound: BoundSet, where: str = "") -> ValueCheck:
    """The check of a Coding or Quantity, or of a CodeableConcept, of whose codings one has to be in the value set.

    `where` is told in issues: the profile that says so.
    """
    contains, severity, value_set = bound.contains, bound.severity, bound.binding.value_set
    is_required = bound.binding.strength == "required"
    # A number alone, or with a word for its unit, says no code: profiles that want one ask for `code`.
    is_quantity = type_code == "Quantity"
    must = _MUST[bound.binding.strength]
    origin = f" ({where})" if where else ""

    def check(value: Any, place: Place, report: Report) -> None:
        if type(value) is not dict or (is_quantity and _UNIT.isdisjoint(value)):
            return
        known = codes_of(value, type_code)
        answers = [contains(system, code) for system, code in known]
        if True in answers:
            return
        if None in answers:
            report.questions.append(Question(place, bound.binding, tuple(known)))
        elif answers or is_required:
            codings = _codings(value, type_code)
            given = ", ".join(
                f"{coding.get('system') or ''}|{coding['code']}" for coding in codings if "code" in coding
            )
            wrong = f", not {shown(given)}" if given else ""
            problem = f"{place[1]} {must} have a code of {value_set}{wrong}{origin}"
            report.add("code-invalid", problem, place, severity)

    return check


def codes_of(value: Any, type_code: str) -> list[tuple[str | None, str]]:
    """The codes of a value, with their systems; those without a system only where there can't be one."""
    if type(value) is str:
        return [(None, value)]
    found = ((coding.get("system"), coding.get("code")) for coding in _codings(value, type_code))
    return [(system, code) for system, code in found if type(code) is str and type(system) is str]


def coded_check(bound: BoundSet, where: str) -> ValueCheck:
    """The check of a primitive that has to be, or had better be, a code of a value set."""
    must = f"{_MUST[bound.binding.strength]} have a code of {bound.binding.value_set}"

    def check(value: Any, place: Place, report: Report) -> None:
        if type(value) is not str:
            return
        answer = bound.contains(None, value)
        if answer is None:
            report.questions.append(Question(place, bound.binding, ((None, value),)))
        elif not answer:
            report.add("code-invalid", f"{place[1]} {must}, not {shown(value)} ({where})", place, bound.severity)

    return check


def code_check(name: str, bound: BoundSet) -> PropertyCheck:
    """The check of codes that had better be of a value set."""
    problem = f"{name} {_MUST[bound.binding.strength]} have a code of {bound.binding.value_set}, not "

    def check(value: Any, owner: dict[str, Any], place: Place, report: Report) -> None:
        for index, code in enumerate(value) if type(value) is list else ((None, value),):
            if type(code) is str:
                answer = bound.contains(None, code)
                if answer is None:
                    report.questions.append(Question((place, name, index), bound.binding, ((None, code),)))
                elif not answer:
                    report.add("code-invalid", problem + shown(code), (place, name, index), bound.severity)

    return check


def required_value(name: str, bound: BoundSet) -> PropertyCheck:
    """The check of the `_` partner of a code: that a code is absent is no reason if it is required.

    Other extensions may hold a code that is allowed by a later version of FHIR.
    """
    problem = f"{name} must have a code of {bound.binding.value_set}"

    def check(value: Any, owner: dict[str, Any], place: Place, report: Report) -> None:
        codes = owner.get(name)
        if type(value) is not list:
            if codes is None and _is_absence(value):
                report.add("code-invalid", problem, (place, name, None))
            return
        for index, item in enumerate(value):
            has_code = type(codes) is list and index < len(codes) and codes[index] is not None
            if not has_code and _is_absence(item):
                report.add("code-invalid", problem, (place, name, index))

    return check


def _is_absence(partner: Any) -> bool:
    """Whether nothing but the reason of its absence stands for a value."""
    if type(partner) is not dict:
        return False
    return all(extension.get("url") == _ABSENT for extension in _dicts(partner.get("extension")))


def note_coding(value: Any, place: Place, report: Report) -> None:
    """Ask whether a Coding is of its system, and has its display."""
    if type(value) is dict and type(value.get("system")) is str and type(value.get("code")) is str:
        display = value.get("display")
        codes = ((value["system"], value["code"]),)
        report.questions.append(Question(place, None, codes, display if type(display) is str else None))
        if ":" not in value["system"]:
            problem = f"system should be an absolute URI, not {shown(value['system'])}"
            report.add("value", problem, (place, "system", None), "warning")


def _codings(value: Any, type_code: str) -> list[dict[str, Any]]:
    if type(value) is not dict:
        return []
    return _dicts(value.get("coding")) if type_code == "CodeableConcept" else [value]


def _dicts(items: Any) -> list[dict[str, Any]]:
    return [item for item in items if type(item) is dict] if type(items) is list else []
