"""Invariants: the FHIRPath constraints of types and elements.

https://hl7.org/fhir/R4/conformance-rules.html#constraints
"""

from collections.abc import Iterable
from typing import Any

from fhirserver.fhir.definitions import Constraint, Definitions, Element
from fhirserver.fhir.fhirpath import Compiled, FhirPathError, compile_expression
from fhirserver.fhir.outcomes import Severity
from fhirserver.fhir.validation.properties import ValueCheck
from fhirserver.fhir.validation.report import Place, Report

# Checked by the structure, the narrative, the contained resources and the Bundles themselves.
_CHECKED_ELSEWHERE = frozenset(
    {"ele-1", "ext-1", "dom-2", "dom-3", "dom-4", "dom-5", "ref-1", "txt-1", "txt-2", "bdl-3", "bdl-4", "bdl-7"}
)
# R4 has it as a profile on a data type; elements name the profile.
_OF_PROFILES = {
    "http://hl7.org/fhir/StructureDefinition/SimpleQuantity": Constraint(
        "sqty-1", "error", "The comparator is not used on a SimpleQuantity", "comparator.empty()"
    )
}


# What R4 writes means System.Boolean, which no element of a resource is.
_MEANT = {"que-7": "operator = 'exists' implies (answer is boolean)"}


def element_constraints(element: Element) -> tuple[Constraint, ...]:
    """The constraints of an element, and of the profile that its type has there."""
    profiles = [profile for type_ in element.types for profile in type_.profiles if profile in _OF_PROFILES]
    return (*element.constraints, *(_OF_PROFILES[profile] for profile in profiles))


def invariant_checks(
    constraints: Iterable[Constraint], type_name: str, severities: frozenset[str], definitions: Definitions
) -> list[ValueCheck]:
    """The checks of values of a type against those constraints that are of these severities."""
    checks = []
    for constraint in constraints:
        if constraint.severity not in severities or constraint.key in _CHECKED_ELSEWHERE or not constraint.expression:
            continue
        try:
            expression = _MEANT.get(constraint.key, constraint.expression)
            compiled = compile_expression(expression, type_name, definitions)
        except FhirPathError:
            # Of an element with several types, a constraint may be about the others.
            continue
        checks.append(_check(constraint, compiled))
    return checks


def _check(constraint: Constraint, compiled: Compiled) -> ValueCheck:
    test = compiled.test
    problem = f"{constraint.human} ({constraint.key})"
    severity: Severity = "error" if constraint.severity == "error" else "warning"

    def check(value: Any, place: Place, report: Report) -> None:
        try:
            is_met = test(value, report.environment)
        except FhirPathError as error:
            report.add("processing", f"{constraint.key} could not be evaluated: {error}", place, "warning")
            return
        if is_met is False:
            report.add("invariant", problem, place, severity)

    return check
