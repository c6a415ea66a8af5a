"""What an element of a profile says of each of its values, one rule a function.

Each takes the ElementDefinition and `Base`, and gives None where it says no more than what is checked already.

https://hl7.org/fhir/R4/elementdefinition.html
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from fhirserver.fhir.definitions import Binding, Constraint, Definitions, Element
from fhirserver.fhir.fhirpath import Environment, FhirPathError, Node, compile_expression
from fhirserver.fhir.outcomes import Severity
from fhirserver.fhir.profiles.element_tree import Json
from fhirserver.fhir.validation.bindings import CONCEPTS, SEVERITIES, BoundSet, coded_check, concept_check
from fhirserver.fhir.validation.profiles.items import Item
from fhirserver.fhir.validation.profiles.run import ItemCheck, Run
from fhirserver.fhir.validation.profiles.values import has_pattern, is_same, order
from fhirserver.fhir.validation.report import shown

ANYTHING = frozenset({"Resource", "DomainResource"})
# Whether a value set (canonical URL) has a code of a system (None: of any); None if that can't be told here.
ValueSetContains = Callable[[str, str | None, str], bool | None]

_Test = Callable[[Item, Environment], bool | None]
_MAX_VALUE_SET = "http://hl7.org/fhir/StructureDefinition/elementdefinition-maxValueSet"
_STRENGTHS = ("example", "preferred", "extensible", "required")


@dataclass(frozen=True, slots=True)
class Base:
    """What is checked anyway: the element as R4 has it, with the keys of its constraints, and what it is a slice of."""

    element: Element | None
    keys: frozenset[str]
    like: Json


def value_of(element: Json, prefix: str) -> Any:
    """The value of `fixed[x]`, `pattern[x]` and the like; None if there is none."""
    return next((value for name, value in element.items() if name.startswith(prefix) and name[len(prefix) :]), None)


def fixed_value(element: Json, base: Base, where: str) -> ItemCheck | None:
    """fixed[x]: the value is the same in all that it has. pattern[x]: it has all that this has."""
    for prefix, holds, words in (("fixed", is_same, "must be"), ("pattern", has_pattern, "must have")):
        expected = value_of(element, prefix)
        if expected is not None and expected != value_of(base.like, prefix):
            return _value_check(expected, holds, words, where)
    return None


def _value_check(expected: Any, holds: Callable[[Any, Any], bool], words: str, where: str) -> ItemCheck:
    problem = f"{words} {_written(expected)}"

    def check(item: Item, run: Run) -> None:
        if not holds(expected, item.value):
            wrong = f", not {shown(item.value)}" if type(item.value) is not dict and item.value is not None else ""
            run.report.add("value", f"{item.place[1]} {problem}{wrong} ({where})", item.place)

    return check


def types(element: Json, base: Base, where: str) -> ItemCheck | None:
    """The types of the element, where it has fewer than in R4."""
    codes = type_codes(element)
    if not codes or base.element is None or codes & ANYTHING or codes >= {kind.code for kind in base.element.types}:
        return None
    if base.element.path.rpartition(".")[2].endswith("[x]") or "Resource" in {kind.code for kind in base.element.types}:
        if codes == type_codes(base.like):
            return None
        problem = f"must be of type {' or '.join(sorted(codes))}"

        def check(item: Item, run: Run) -> None:
            if item.type_code not in codes:
                run.report.add("structure", f"{item.place[1]} {problem} ({where})", item.place)

        return check
    return None


def type_codes(element: Json) -> frozenset[str]:
    """The codes of the types of an element, without those of FHIRPath's."""
    codes = (kind.get("code") for kind in dicts(element.get("type")))
    return frozenset(str(code) for code in codes if not str(code).startswith("http://hl7.org/fhirpath/"))


def profiles(element: Json, base: Base, where: str) -> ItemCheck | None:
    """The profiles that its types have there: a value conforms to one of those of its type."""
    own = _profiles_by_type(element)
    if base.element is not None:
        given = {kind.code: kind.profiles for kind in base.element.types}
        own = {code: urls for code, urls in own.items() if tuple(urls) != given.get(code, ())}
    if not own or own == _profiles_by_type(base.like):
        return None

    def check(item: Item, run: Run) -> None:
        urls = own.get(item.type_code)
        if urls is None:
            return
        if len(urls) == 1:
            run.check(item, urls[0])
            return
        problems = [run.problem(item, url) for url in urls]
        if None not in problems:
            first = f"of {shown(urls[0])}: {problems[0]}"
            run.report.add(
                "structure", f"{item.place[1]} conforms to none of {len(urls)} profiles, {first} ({where})", item.place
            )

    return check


def _profiles_by_type(element: Json) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for kind in dicts(element.get("type")):
        urls = [url for url in listed(kind.get("profile")) if type(url) is str]
        if urls:
            found.setdefault(str(kind.get("code")), []).extend(urls)
    return found


def limits(element: Json, base: Base, where: str) -> ItemCheck | None:
    """minValue[x], maxValue[x], maxLength."""
    low, high = value_of(element, "minValue"), value_of(element, "maxValue")
    length = element.get("maxLength")
    if low is None and high is None and type(length) is not int:
        return None

    def check(item: Item, run: Run) -> None:
        value, name = item.value, item.place[1]
        if low is not None and order(value, low, item.type_code) == -1:
            run.report.add("value", f"{name} must be {_written(low)} or more ({where})", item.place)
        if high is not None and order(value, high, item.type_code) == 1:
            run.report.add("value", f"{name} must be {_written(high)} or less ({where})", item.place)
        if type(length) is int and type(value) is str and len(value) > length:
            run.report.add("too-long", f"{name} must have at most {length} characters ({where})", item.place)

    return check


def bindings(element: Json, base: Base, contains: ValueSetContains, is_full: bool, where: str) -> Iterator[ItemCheck]:
    """The value set that it is bound to, and the one that no binding may go beyond (`maxValueSet`)."""
    before = base.element.binding if base.element is not None else None
    inherited = list(_bindings(base.like))
    for binding in _bindings(element):
        if (
            binding in inherited
            or binding.strength not in SEVERITIES
            or not (is_full or binding.strength == "required")
        ):
            continue
        if (
            before is not None
            and before.value_set == binding.value_set.partition("|")[0]
            and _STRENGTHS.index(before.strength) >= _STRENGTHS.index(binding.strength)
        ):
            continue
        yield _binding_check(BoundSet(binding, partial(contains, binding.value_set)), where)


def _bindings(element: Json) -> Iterator[Binding]:
    binding = element.get("binding")
    if type(binding) is not dict:
        return
    if type(binding.get("valueSet")) is str:
        yield Binding(str(binding.get("strength")), binding["valueSet"])
    for extension in dicts(binding.get("extension")):
        url = extension.get("valueCanonical")
        if extension.get("url") == _MAX_VALUE_SET and type(url) is str:
            yield Binding("required", url)


def _binding_check(bound: BoundSet, where: str) -> ItemCheck:
    coded = coded_check(bound, where)
    checks = {type_code: concept_check(type_code, bound, where) for type_code in CONCEPTS}

    def check(item: Item, run: Run) -> None:
        (checks.get(item.type_code) or coded)(item.value, item.place, run.report)

    return check


def required_set(element: Json, contains: ValueSetContains) -> BoundSet | None:
    """The value set that its codes have to be in."""
    for binding in _bindings(element):
        if binding.strength == "required":
            return BoundSet(binding, partial(contains, binding.value_set))
    return None


def constraints(element: Json, base: Base, definitions: Definitions, is_full: bool, where: str) -> Iterator[ItemCheck]:
    """The FHIRPath constraints that R4 does not have."""
    known = base.keys | {constraint.key for constraint in _constraints(base.like)}
    for constraint in _constraints(element):
        if constraint.key in known or not (is_full or constraint.severity == "error"):
            continue
        if constraint.expression:
            yield _constraint_check(constraint, constraint.expression, definitions, where)


def _constraints(element: Json) -> list[Constraint]:
    return [
        Constraint(str(item.get("key")), str(item.get("severity")), str(item.get("human")), item["expression"])
        for item in dicts(element.get("constraint"))
        if type(item.get("expression")) is str
    ]


def _constraint_check(constraint: Constraint, expression: str, definitions: Definitions, where: str) -> ItemCheck:
    problem = f"{constraint.human} ({constraint.key}; {where})"
    severity: Severity = "error" if constraint.severity == "error" else "warning"
    tests: dict[str, _Test] = {}

    def check(item: Item, run: Run) -> None:
        if run.report.malformed:
            return
        test = tests.get(item.type_code)
        if test is None:
            test = tests[item.type_code] = _test(expression, item.type_code, definitions)
        try:
            is_met = test(item, run.environment)
        except FhirPathError as error:
            reason = f"{constraint.key} could not be evaluated: {error} ({where})"
            run.report.add("processing", reason, item.place, "warning")
            return
        if is_met is False:
            run.report.add("invariant", problem, item.place, severity)

    return check


def _test(expression: str, type_code: str, definitions: Definitions) -> _Test:
    """An expression as a test of values of a type. It may speak of what the type does not have."""
    try:
        typed = compile_expression(expression, type_code, definitions).test
    except FhirPathError:
        return _untyped_test(expression, definitions)
    return lambda item, environment: typed(_typed(item), environment)


def _typed(item: Item) -> Any:
    return item.value if item.partner is None else Node(item.value, item.type_code, item.partner)


def _untyped_test(expression: str, definitions: Definitions) -> _Test:
    try:
        untyped = compile_expression(expression, None, definitions).test
    except FhirPathError as error:
        problem = error

        def fail(item: Item, environment: Environment) -> bool | None:
            raise problem

        return fail
    return lambda item, environment: untyped(Node(item.value, item.type_code, item.partner), environment)


def listed(value: Any) -> list[Any]:
    """A list of a definition; empty if it is none."""
    return value if type(value) is list else []


def dicts(value: Any) -> list[Json]:
    """The objects in a list of a definition."""
    return [item for item in listed(value) if type(item) is dict]


def all_of(checks: Iterable[ItemCheck | None]) -> ItemCheck | None:
    """The checks one after the other; None if there are none."""
    kept = tuple(check for check in checks if check is not None)
    if len(kept) <= 1:
        return kept[0] if kept else None

    def check(item: Item, run: Run) -> None:
        for each in kept:
            each(item, run)

    return check


def _written(value: Any) -> str:
    if type(value) is not dict:
        return shown(value)
    # A concept is known by its codes.
    codings = dicts(value.get("coding")) or [value]
    codes = [f"{coding.get('system', '')}|{coding['code']}" for coding in codings if type(coding.get("code")) is str]
    return shown(", ".join(codes) if codes else value)
