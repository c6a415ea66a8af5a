"""Where extensions may stand: the `context` of their definitions.

https://hl7.org/fhir/R4/defining-extensions.html#context
"""

from collections.abc import Sequence
from functools import lru_cache

from fhirserver.fhir.definitions import Definitions
from fhirserver.fhir.fhirpath.type_system import type_system
from fhirserver.fhir.profiles.element_tree import Json
from fhirserver.fhir.validation.profiles.facets import dicts
from fhirserver.fhir.validation.profiles.run import ContextCheck
from fhirserver.fhir.validation.report import Place, Report

_KEPT = 4096
_DEEPEST = 20


class Contexts:
    """Compiles contexts. Those of other extensions, of profiles and by FHIRPath are not looked at."""

    def __init__(self, definitions: Definitions):
        self._definitions = definitions
        self._system = type_system(definitions)
        self._paths_of = lru_cache(_KEPT)(self._read_paths)

    def check(self, structure: Json) -> ContextCheck | None:
        """The check of the places of an extension; None if it may be anywhere, as far as can be told."""
        listed = dicts(structure.get("context"))
        expressions = [str(context.get("expression")) for context in listed]
        is_plain = all(
            context.get("type") == "element" and self._is_path(expression)
            for context, expression in zip(listed, expressions, strict=True)
        )
        if not listed or not is_plain or "Element" in expressions:
            return None
        allowed = frozenset(expression.replace("[x]", "") for expression in expressions)
        words = " or ".join(expressions[:10])

        def check(place: Place, report: Report) -> str | None:
            paths = self._paths(place, report)
            return None if paths is None or not allowed.isdisjoint(paths) else words

        return check

    def _is_path(self, expression: str) -> bool:
        """Whether it is an element of R4: others are of later versions, or parts of profiles."""
        return ":" not in expression and self._system.is_type(expression.partition(".")[0])

    def _paths(self, place: Place, report: Report) -> frozenset[str] | None:
        names: list[str] = []
        at = place[0]
        while at is not None and at is not report.start:
            names.append(at[1])
            at = at[0]
        resource = report.environment.resource
        if at is None or resource is None or len(names) > _DEEPEST:
            return None
        return self._paths_of(str(resource.get("resourceType")), tuple(reversed(names)))

    def _read_paths(self, type_code: str, names: Sequence[str]) -> frozenset[str] | None:
        """All ways to name an element: by its path in the resource, in the types it is in, and by its own types."""
        paths = self._system.lineage(type_code)
        for name in names:
            known = self._definitions.type(type_code).properties.get(name)
            if known is None:
                return None
            type_code = known.type_code
            paths = frozenset(f"{path}.{known.element.name}" for path in paths) | self._system.lineage(type_code)
        return paths
