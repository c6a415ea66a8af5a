"""The `TerminologyStore` of `terminology/store.py`, on a pool of connections; and loading code systems."""

from collections.abc import Mapping, Sequence

from fhirserver.fhir.terminology.concepts import Concept, Json
from fhirserver.fhir.terminology.selection import Selection
from fhirserver.interactions.store import StoredResource
from fhirserver.storage.engine import Pool
from fhirserver.storage.repositories import concept_loading, concepts, reading
from fhirserver.storage.statements import Observe, Statements
from fhirserver.terminology.store import LoadedSystem, PlacedConcept, Stored, Wanted


class PostgresTerminology:
    """`observe` hears of every statement."""

    def __init__(self, pool: Pool, observe: Observe):
        self._pool = pool
        self._observe = observe

    async def stored(self, resource_type: str, parameter: str, uris: Sequence[str]) -> list[Stored]:
        async with self._pool.connection() as driver:
            return await concepts.stored(Statements(driver, self._observe), resource_type, parameter, uris)

    async def read_many(self, targets: Sequence[tuple[str, str]]) -> dict[tuple[str, str], StoredResource]:
        async with self._pool.connection() as driver:
            # What codes mean is the server's own knowledge, and no patient's.
            return await reading.read_many(Statements(driver, self._observe), targets, lambda _: None)

    async def stored_code_systems(self) -> list[tuple[str, str | None]]:
        async with self._pool.connection() as driver:
            return await concepts.stored_code_systems(Statements(driver, self._observe))

    async def loaded(self, urls: Sequence[str] | None = None) -> list[LoadedSystem]:
        async with self._pool.connection() as driver:
            return await concepts.loaded(Statements(driver, self._observe), urls)

    async def decide(
        self, system: LoadedSystem, selection: Selection, codes: Sequence[str]
    ) -> dict[str, tuple[Concept, bool]]:
        async with self._pool.connection() as driver:
            return await concepts.decide(Statements(driver, self._observe), system, selection, codes)

    async def select(self, wanted: Wanted, offset: int, limit: int) -> list[Concept]:
        async with self._pool.connection() as driver:
            return await concepts.select(Statements(driver, self._observe), wanted, offset, limit)

    async def count(self, wanted: Wanted, at_most: int | None = None) -> int:
        async with self._pool.connection() as driver:
            return await concepts.count(Statements(driver, self._observe), wanted, at_most)

    async def above(self, system: LoadedSystem, code: str) -> list[str]:
        async with self._pool.connection() as driver:
            return await concepts.above(Statements(driver, self._observe), system, code)

    async def subsumed(self, system: LoadedSystem, pairs: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], bool]:
        async with self._pool.connection() as driver:
            return await concepts.subsumed(Statements(driver, self._observe), system, pairs)

    async def start_loading(self, header: Json) -> int:
        """Begin a code system, by its CodeSystem resource without concepts; its key."""
        async with self._pool.connection() as driver:
            return await concept_loading.start(Statements(driver, self._observe), header)

    async def add_concepts(self, key: int, batch: Sequence[PlacedConcept]) -> None:
        """Add concepts to it."""
        async with self._pool.connection() as driver:
            await concept_loading.add(Statements(driver, self._observe), key, batch)

    async def finish_loading(self, key: int, header: Json, size: int) -> None:
        """Let all see it, in the place of the one with the same URL and version."""
        async with self._pool.connection() as driver:
            await concept_loading.finish(Statements(driver, self._observe), key, header, size)

    async def remove(self, url: str, version: str | None) -> int:
        """Take a loaded code system away, or one version of it; how many versions that were."""
        async with self._pool.connection() as driver:
            return await concept_loading.remove(Statements(driver, self._observe), url, version)

    async def clean(self) -> None:
        """Remove the concepts of code systems that are no more."""
        async with self._pool.connection() as driver:
            await concept_loading.clean(Statements(driver, self._observe))
