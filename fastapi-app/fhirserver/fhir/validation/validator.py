"""The validation of resources, as thorough as the caller wants it.

https://hl7.org/fhir/R4/validation.html
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Literal

from fhirserver.fhir.definitions import Definitions
from fhirserver.fhir.outcomes import Issue
from fhirserver.fhir.terminology import BuiltIn
from fhirserver.fhir.validation.report import Context, Place, Report, TooManyIssues, shown
from fhirserver.fhir.validation.rules import Rules
from fhirserver.fhir.validation.structure import Checks

Level = Literal["structure", "strict", "full"]
"""`structure`: elements, cardinalities, primitive types, extensions. `strict`: also bindings with strength `required`,
references, contained resources, Bundles, invariants. `full`: also what is no error, but could be better."""

_ALONE = Context()


class Validator:
    """Checks resources against R4. `built_in`: what R4 says of codes; read from the package if it is not given."""

    def __init__(self, definitions: Definitions, built_in: BuiltIn | None = None):
        codes = built_in or BuiltIn.load()
        self._checks: Mapping[Level, Checks] = {
            "structure": Checks(definitions, None),
            "strict": Checks(definitions, Rules(definitions, codes, is_full=False)),
            "full": Checks(definitions, Rules(definitions, codes, is_full=True)),
        }

    def validate(
        self,
        resource: dict[str, Any],
        resource_type: str | None = None,
        level: Level = "strict",
        context: Context = _ALONE,
    ) -> list[Issue]:
        """The issues of a resource: all of them, up to a hundred; none if it is valid.

        If `resource_type` is given, the resource must be of that type.
        """
        return self.inspect(resource, resource_type, level, context).issues

    def inspect(
        self,
        resource: dict[str, Any],
        resource_type: str | None = None,
        level: Level = "strict",
        context: Context = _ALONE,
    ) -> Report:
        """The same, with the questions that are left to terminology."""
        report = Report(context)
        found = resource.get("resourceType")
        place: Place = (None, found if isinstance(found, str) else resource_type or "Resource", None)
        with suppress(TooManyIssues):
            if resource_type is not None and isinstance(found, str) and found != resource_type:
                problem = f"The resource is of type {shown(found)}, not {resource_type}"
                report.add("invalid", problem, ((None, resource_type, None), "resourceType", None))
            else:
                self._checks[level].resource(resource, place, report)
        return report
