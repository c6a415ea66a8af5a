"""What R4 says: types and their elements, search parameters, compartments, operations, value sets."""

from fhirserver.fhir.definitions.compartments import Compartment
from fhirserver.fhir.definitions.elements import (
    Binding,
    Constraint,
    Element,
    ElementType,
    Property,
    TypeDefinition,
)
from fhirserver.fhir.definitions.registry import Definitions
from fhirserver.fhir.definitions.search_parameters import Component, SearchParameter
from fhirserver.fhir.definitions.value_sets import Codes

__all__ = [
    "Binding",
    "Codes",
    "Compartment",
    "Component",
    "Constraint",
    "Definitions",
    "Element",
    "ElementType",
    "Property",
    "SearchParameter",
    "TypeDefinition",
]
