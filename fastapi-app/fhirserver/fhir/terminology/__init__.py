"""Terminology: code systems, value sets and maps as R4 defines them, evaluated without any I/O.

https://hl7.org/fhir/R4/terminology-module.html
"""

from fhirserver.fhir.terminology.built_in import BuiltIn
from fhirserver.fhir.terminology.code_system import CodeSystem, System
from fhirserver.fhir.terminology.concepts import Concept

__all__ = ["BuiltIn", "CodeSystem", "Concept", "System"]
