"""Profiles by their canonical URLs, each compiled when it is first needed.

https://hl7.org/fhir/R4/profiling.html
"""

from collections.abc import Callable, Sequence
from functools import lru_cache

from fhirserver.fhir.definitions import Definitions
from fhirserver.fhir.profiles.element_tree import Json, Node, TooManyElements, Tree
from fhirserver.fhir.validation.profiles.compiler import Compiler
from fhirserver.fhir.validation.profiles.contexts import Contexts
from fhirserver.fhir.validation.profiles.facets import ValueSetContains, dicts
from fhirserver.fhir.validation.profiles.run import Profile, Run
from fhirserver.fhir.validation.report import Report

Lookup = Callable[[str], Json | None]
"""A StructureDefinition, with its snapshot, by its canonical URL, which may have a `|version`; None if not known."""

_KEPT = 4096
_TREES = 16  # of profiles that others are compiled with
_PLAIN = frozenset({
    "id", "path", "sliceName", "slicing", "min", "max", "type", "binding", "constraint", "contentReference",
    "maxLength",
})  # fmt: skip
_VALUES = ("fixed", "pattern", "minValue", "maxValue")
_IMPOSED = "http://hl7.org/fhir/StructureDefinition/structuredefinition-imposeProfile"
# What a snapshot that does not have the form of one leads to.
_MALFORMED = (AttributeError, IndexError, KeyError, TypeError, ValueError, RecursionError, TooManyElements)


class ProfileChecker:
    """The profiles that `lookup` knows. `contains` tells of value sets; `is_full` as in validation."""

    def __init__(self, definitions: Definitions, lookup: Lookup, contains: ValueSetContains, *, is_full: bool):
        self.definitions = definitions
        self.profile = lru_cache(_KEPT)(self._profile)
        self._lookup = lookup
        self._contains = contains
        self.is_full = is_full
        self._contexts = Contexts(definitions)
        self._tree = lru_cache(_TREES)(self._read_tree)

    def run(self, resource: Json, asked: Sequence[str], report: Report) -> Run:
        """The check of a resource."""
        return Run.of(resource, asked, self, report)

    def _profile(self, url: str) -> Profile | None:
        structure = self._lookup(url)
        if structure is None:
            return None
        type_code = str(structure.get("type"))
        if structure.get("derivation") != "constraint":
            return Profile(url, type_code)
        try:
            return self._compiled(url, type_code, structure)
        except _MALFORMED as error:
            return Profile(url, type_code, problem=f"its snapshot is malformed ({type(error).__name__})")

    def _compiled(self, url: str, type_code: str, structure: Json) -> Profile:
        root = self._tree(url)
        if root is None:
            return Profile(url, type_code, problem="it has no snapshot")
        compiler = Compiler(url, self.definitions, self._contains, self._tree, is_full=self.is_full)
        check = compiler.compile(root, type_code)
        imposed = (
            item.get("valueCanonical") for item in dicts(structure.get("extension")) if item.get("url") == _IMPOSED
        )
        return Profile(
            url,
            type_code,
            check,
            tuple(other for other in imposed if type(other) is str),
            self._contexts.check(structure) if type_code == "Extension" else None,
            doubts=tuple(compiler.problems),
        )

    def _read_tree(self, url: str) -> Node | None:
        """The elements of a structure, with no more than what is checked."""
        structure = self._lookup(url)
        snapshot = structure.get("snapshot") if structure is not None else None
        elements = dicts(snapshot.get("element")) if type(snapshot) is dict else []
        return Tree.read([_slim(element) for element in elements]).root if elements else None


def _slim(element: Json) -> Json:
    return {name: value for name, value in element.items() if name in _PLAIN or name.startswith(_VALUES)}
