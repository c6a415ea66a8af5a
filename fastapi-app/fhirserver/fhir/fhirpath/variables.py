"""`%resource` and the other variables of the environment.

https://hl7.org/fhir/R4/fhirpath.html#variables
"""

from typing import Any

from fhirserver.fhir.datatypes import ucum
from fhirserver.fhir.fhirpath import nodes
from fhirserver.fhir.fhirpath.environment import Environment
from fhirserver.fhir.fhirpath.errors import FhirPathError, Place
from fhirserver.fhir.fhirpath.selection import Selection, constant, several, single
from fhirserver.fhir.fhirpath.type_system import Types

_FIXED = {"sct": "http://snomed.info/sct", "loinc": "http://loinc.org", "ucum": ucum.SYSTEM}
_PREFIXES = {
    "vs-": "http://hl7.org/fhir/ValueSet/",
    "ext-": "http://hl7.org/fhir/StructureDefinition/",
}


def compile_variable(name: str, root: Types, resource: Types, place: Place) -> Selection:
    """The variable of this name (without `%`).

    `root` are the types of %context, `resource` those of %resource as far as they are known.
    """
    if name in _FIXED:
        return constant(nodes.STRING, _FIXED[name])
    for prefix, url in _PREFIXES.items():
        if name.startswith(prefix):
            return constant(nodes.STRING, url + name.removeprefix(prefix))
    match name:
        case "resource":
            return single(resource, lambda item, env: env.current_resource)
        case "rootResource":
            return single(None, lambda item, env: env.current_root)
        case "context":
            return single(root, lambda item, env: env.context)

    def given(item: Any, env: Environment) -> list[Any]:
        if name not in env.variables:
            raise FhirPathError(f"there is no variable %{name}", place)
        value = env.variables[name]
        return value if value.__class__ is list else [] if value is None else [value]

    return several(None, given)
