"""Search parameters that were posted: from what stands in the database to what the server searches by.

https://hl7.org/fhir/R4/searchparameter.html. A parameter that is posted is *pending*: resources are indexed by it from
then on, and it can't be searched by. When everything that was stored before is indexed too, it is *ready*.
"""

from dataclasses import replace

from fhirserver.fhir.definitions import Definitions
from fhirserver.interactions.context import Server
from fhirserver.interactions.index_store import IndexStore
from fhirserver.interactions.jobs import Jobs, NewJob
from fhirserver.observability.logging import get_logger
from fhirserver.search.custom_parameters import definitions_with
from fhirserver.search.entry import INDEX_FORMAT

_log = get_logger("fhirserver.search")


class SearchParameters:
    """Follows SearchParameter resources. `jobs` is where the reindexing after an upgrade is asked for, if it is."""

    resource_types = ("SearchParameter",)

    def __init__(self, r4: Definitions, store: IndexStore, jobs: Jobs | None):
        self._r4 = r4
        self._store = store
        self._jobs = jobs

    async def apply(self, server: Server) -> Server:
        """The server with the parameters that are registered now."""
        registry = await self._store.registry()
        if registry.format.format < INDEX_FORMAT:
            await self._store.set_format(INDEX_FORMAT)
            registry = await self._store.registry()
        is_older = registry.format.format > INDEX_FORMAT
        if is_older and registry.format.ready:
            await self._store.doubt_format()
        if self._jobs is not None and not is_older and not registry.format.ready:
            _log.warning("resources that were stored by an older version are indexed anew", since=registry.format.since)
            await self._jobs.add(NewJob("reindex", {}, "upgrade", id=f"index-{registry.format.since}"))
        found = definitions_with(self._r4, ((item.id, item.definition, item.ready) for item in registry.parameters))
        version = -registry.number if is_older else registry.number
        return replace(
            server,
            definitions=found.definitions,
            extractor=server.extractor.following(found.definitions, version),
        )
