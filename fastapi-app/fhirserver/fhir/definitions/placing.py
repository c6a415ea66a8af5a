"""Which element of a type says whose record a resource belongs to, and which date is its principal one."""

import re
from collections.abc import Callable, Iterator, Mapping

from fhirserver.fhir.definitions.compartments import Compartment
from fhirserver.fhir.definitions.elements import Element, TypeDefinition
from fhirserver.fhir.definitions.search_parameters import SearchParameter

# From what happened to what was written down about it.
_PRINCIPAL_DATES = (
    "date", "birthdate", "onset-date", "recorded-date", "authoredon", "authored", "created", "issued",
    "started", "period", "occurrence", "effective", "sent",
)  # fmt: skip
_CHILD = re.compile(r"([A-Za-z]+)\.([A-Za-z0-9]+)(?:\.where\(\s*resolve\(\) is Patient\s*\))?").fullmatch

_AS = re.compile(r"(?:\.as\(| as ).*")


def find_placing_element(
    definition: TypeDefinition, parameters: Mapping[str, SearchParameter], patient_compartment: Compartment
) -> str | None:
    """The single-valued element that refers to the patient of the record.

    Only elements that a parameter of the Patient compartment, or the `patient` parameter, selects count.
    Of several: `patient`, else the one of the parameter `patient`, else `subject`, else the first.
    """
    if definition.name == patient_compartment.code:
        return None
    by_patient = list(_children(parameters.get("patient")))
    listed = patient_compartment.params.get(definition.name, ())
    named = {child for code in listed for child in _children(parameters.get(code))}
    candidates = [
        element.name
        for element in definition.elements.values()
        if (element.name in named or element.name in by_patient) and _refers_to_one_patient(element)
    ]
    for preferred in ("patient", *by_patient, "subject", *candidates):
        if preferred in candidates:
            return preferred
    return None


def find_placing_parameters(element: str | None, parameters: Mapping[str, SearchParameter]) -> frozenset[str]:
    """The codes of the parameters that select this element and nothing else."""
    if element is None:
        return frozenset()
    return frozenset(code for code, parameter in parameters.items() if list(_children(parameter)) == [element])


def find_principal_date(
    own_parameters: Mapping[str, SearchParameter], type_of: Callable[[str], TypeDefinition]
) -> str | None:
    """The date parameter that a type is sorted by, of those that are not inherited and have one value at most."""
    dates = [
        code
        for code, parameter in own_parameters.items()
        if parameter.type == "date" and not any(_repeats(path, type_of) for path in _paths(parameter))
    ]
    return next((code for code in (*_PRINCIPAL_DATES, *dates) if code in dates), None)


def _paths(parameter: SearchParameter) -> list[str]:
    """The path of each alternative of the expression, without `as`."""
    return [_AS.sub("", alternative.strip("() ")) for alternative in (parameter.expression or "").split(" | ")]


def _repeats(path: str, type_of: Callable[[str], TypeDefinition]) -> bool:
    """Whether one of the elements along a path can be there several times."""
    name, *children = path.split(".")
    for child in children:
        definition = type_of(name)
        element = definition.elements[child]
        if element.max != 1:
            return True
        name = element.path if element.path in definition.nested else element.types[0].code
    return False


def _children(parameter: SearchParameter | None) -> Iterator[str | None]:
    """For each alternative of the expression the direct child it selects, None if it is anything else."""
    if parameter is None or parameter.expression is None:
        return
    for alternative in parameter.expression.split(" | "):
        match = _CHILD(alternative.strip())
        yield match[2] if match is not None and match[1] == parameter.base else None


def _refers_to_one_patient(element: Element) -> bool:
    return (
        element.max == 1
        and not element.is_choice
        and any(
            type_.code == "Reference" and not {"Patient", "Resource"}.isdisjoint(type_.target_types or ("Resource",))
            for type_ in element.types
        )
    )
