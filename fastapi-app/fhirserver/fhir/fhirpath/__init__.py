"""FHIRPath: text → tree (`parser`), tree → closures over the JSON of resources (`compiler`).

    from fhirserver.fhir.fhirpath import Environment, FhirPathError, compile_expression

    compiled = compile_expression("name.where(use = 'official').given", "Patient", definitions)
    compiled.evaluate(patient)                # ["Peter", "James"], raw values
    compiled.typed(patient)                   # [("string", "Peter"), ("string", "James")]
    compiled.types                            # ("string",), what it may give; None: only known from the results
    compile_expression("start <= end", "Period", definitions).test(period, environment)   # True, False, None (empty)

Compile once, evaluate often: nothing about types is looked up any more when the type is known. `Environment` is what
an evaluation may ask for: %resource, the clock, references, terminology, profiles, bounds; make one for each resource.
Elements of which the JSON alone does not tell enough are `Node(value, type, partner)`, for example to evaluate an
invariant on a primitive with extensions: `Node(None, "date", {"extension": […]})`.
FhirPathError is raised when compiling for what is not FHIRPath or never right for the type, and when evaluating for
what is only found out then; it says where in the expression.

`paths` compiles selecting paths for the index: branches of one type each, with the same path in SQL/JSON.

https://hl7.org/fhirpath/N1/ and https://hl7.org/fhir/R4/fhirpath.html
"""

from fhirserver.fhir.fhirpath.environment import Environment, Terminology
from fhirserver.fhir.fhirpath.errors import FhirPathError
from fhirserver.fhir.fhirpath.expressions import Compiled, compile_expression
from fhirserver.fhir.fhirpath.nodes import Node
from fhirserver.fhir.fhirpath.references import stub

__all__ = ["Compiled", "Environment", "FhirPathError", "Node", "Terminology", "compile_expression", "stub"]
