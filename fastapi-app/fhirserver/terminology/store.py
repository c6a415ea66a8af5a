"""What terminology needs from storage: stored resources by canonical URL, and code systems in tables of their own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from fhirserver.fhir.terminology.concepts import Concept, Json
from fhirserver.fhir.terminology.selection import Selection
from fhirserver.interactions.store import StoredResource


@dataclass(frozen=True, slots=True)
class Stored:
    """Where a stored resource is that has a URI in one of its search parameters, and which version it is now."""

    uri: str
    id: str
    version_id: int


@dataclass(frozen=True, slots=True)
class LoadedSystem:
    """A code system that is in the tables. `header` is its CodeSystem resource, `size` the number of concepts."""

    key: int
    url: str
    version: str | None
    header: Json
    size: int

    is_complete = True


@dataclass(frozen=True, slots=True)
class Wanted:
    """Concepts of a loaded code system: those of a selection, with names that have words beginning with these."""

    system: LoadedSystem
    selection: Selection
    words: Sequence[str] = ()
    active_only: bool = False
    selectable_only: bool = False


@dataclass(frozen=True, slots=True)
class PlacedConcept:
    """A concept with its place in the order of the code system, and all that subsume it, without itself."""

    ordinal: int
    concept: Concept
    ancestors: Sequence[str]


class TerminologyStore(Protocol):
    """Each call is one statement."""

    async def stored(self, resource_type: str, parameter: str, uris: Sequence[str]) -> list[Stored]:
        """The current resources of a type that one of these URIs finds by a search parameter; some hundreds at most."""
        ...

    async def read_many(self, targets: Sequence[tuple[str, str]]) -> dict[tuple[str, str], StoredResource]:
        """The current versions of these (type, id), deletions included; unknown ones are left out."""
        ...

    async def stored_code_systems(self) -> list[tuple[str, str | None]]:
        """URL and version of the stored CodeSystem resources, some hundreds at most."""
        ...

    async def loaded(self, urls: Sequence[str] | None = None) -> list[LoadedSystem]:
        """The loaded code systems with these URLs, or all."""
        ...

    async def decide(
        self, system: LoadedSystem, selection: Selection, codes: Sequence[str]
    ) -> dict[str, tuple[Concept, bool]]:
        """The concepts with these codes, and whether each is selected. Codes that don't exist are left out."""
        ...

    async def select(self, wanted: Wanted, offset: int, limit: int) -> list[Concept]:
        """Concepts in the order of the code system; if words are wanted, those with the shortest display first."""
        ...

    async def count(self, wanted: Wanted, at_most: int | None = None) -> int:
        """How many there are; counting stops at `at_most`."""
        ...

    async def above(self, system: LoadedSystem, code: str) -> list[str]:
        """A code and all that subsume it; empty if the code does not exist."""
        ...

    async def subsumed(self, system: LoadedSystem, pairs: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], bool]:
        """For each pair of codes whether the first is the second or below it; left out if one does not exist."""
        ...
