"""The validation of resources, as thorough as the caller wants it.

https://hl7.org/fhir/R4/validation.html
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from copy import copy
from functools import lru_cache
from typing import Any, Literal

from fhirserver.fhir.definitions import Definitions
from fhirserver.fhir.outcomes import Issue
from fhirserver.fhir.terminology import BuiltIn
from fhirserver.fhir.validation.profiles.checker import Lookup, ProfileChecker
from fhirserver.fhir.validation.profiles.facets import ValueSetContains
from fhirserver.fhir.validation.report import Context, Place, Report, TooManyIssues, shown
from fhirserver.fhir.validation.rules import Rules
from fhirserver.fhir.validation.structure import Checks

Level = Literal["structure", "strict", "full"]
"""`structure`: elements, cardinalities, primitive types, extensions. `strict`: also bindings with strength `required`,
references, contained resources, Bundles, invariants. `full`: also what is no error, but could be better."""

_ALONE = Context()
_CODES_KEPT = 10_000


class Validator:
    """Checks resources against R4. `built_in`: what R4 says of codes; read from the package if it is not given."""

    def __init__(self, definitions: Definitions, built_in: BuiltIn | None = None):
        codes = built_in or BuiltIn.load()
        self._definitions = definitions
        self._contains = codes.contains
        self._profiles: Mapping[Level, ProfileChecker] = {}
        self._checks: Mapping[Level, Checks] = {
            "structure": Checks(definitions, None),
            "strict": Checks(definitions, Rules(definitions, codes, is_full=False)),
            "full": Checks(definitions, Rules(definitions, codes, is_full=True)),
        }

    def with_structures(self, lookup: Lookup, contains: ValueSetContains | None = None) -> "Validator":
        """The same, and against profiles and the definitions of extensions too: those that `lookup` knows.

        They are compiled when they are first needed, and kept: for other structures make another Validator, which has
        R4's own checks in common with this one. `contains` tells whether a value set has a code, None where that is
        left as a question; if it is not given, what R4 comes with. The level `structure` does without profiles.
        """
        known = lru_cache(_CODES_KEPT)(contains or self._contains)
        made = copy(self)
        made._profiles = {
            "strict": ProfileChecker(self._definitions, lookup, known, is_full=False),
            "full": ProfileChecker(self._definitions, lookup, known, is_full=True),
        }
        return made

    def validate(
        self,
        resource: dict[str, Any],
        resource_type: str | None = None,
        level: Level = "strict",
        context: Context = _ALONE,
        profiles: Sequence[str] = (),
    ) -> list[Issue]:
        """The issues of a resource: all of them, up to a hundred; none if it is valid.

        If `resource_type` is given, the resource must be of that type. `profiles` (canonical URLs) are those that it
        has to conform to besides the ones in its meta.profile.
        """
        return self.inspect(resource, resource_type, level, context, profiles).issues

    def inspect(
        self,
        resource: dict[str, Any],
        resource_type: str | None = None,
        level: Level = "strict",
        context: Context = _ALONE,
        profiles: Sequence[str] = (),
    ) -> Report:
        """The same, with the questions that are left to terminology, and the profiles that are not known."""
        report = Report(context)
        checker = self._profiles.get(level)
        if checker is not None:
            report.profiles = checker.run(resource, profiles, report)
        found = resource.get("resourceType")
        place: Place = (None, found if isinstance(found, str) else resource_type or "Resource", None)
        with suppress(TooManyIssues):
            if resource_type is not None and isinstance(found, str) and found != resource_type:
                problem = f"The resource is of type {shown(found)}, not {resource_type}"
                report.add("invalid", problem, ((None, resource_type, None), "resourceType", None))
            else:
                self._checks[level].resource(resource, place, report)
        return report
