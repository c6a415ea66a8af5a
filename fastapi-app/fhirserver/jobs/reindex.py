"""The job `reindex`: index again what is stored, bucket by bucket; each is on one shard, those with little go together.

What is to be done is settled at the beginning: resources whose index entry is older than a search parameter that isn't
ready, or than the format of the index; or everything, if that is asked for. A parameter that is posted meanwhile waits
for another job. When all is done, a parameter is ready if nothing is left that it is about and that is older.
"""

import asyncio
from collections.abc import Iterator, Sequence
from itertools import groupby
from time import monotonic
from typing import Any

from fhirserver.fhir.definitions import Definitions
from fhirserver.fhir.outcomes import RolledBack
from fhirserver.interactions.current import Current
from fhirserver.interactions.index_store import Indexed, IndexStore, Outdated, Registered, Registry, Reindexed
from fhirserver.interactions.reindexing import make_entries
from fhirserver.jobs.runner import Running
from fhirserver.search.custom_parameters import definitions_with

_BATCH = 200
_MOST_FAILURES = 1000
_ATTEMPTS = 10
_PAUSE = 0.2
_EVER = 2**31 - 1


class Reindex:
    """Does the work of such jobs. `share` is the part of the time that it may take: the rest is for requests.

    `base_url` is how this server is called where neither the job nor the resources tell.
    """

    def __init__(self, current: Current, r4: Definitions, store: IndexStore, base_url: str, *, share: float = 0.5):
        self._current = current
        self._r4 = r4
        self._store = store
        self._base_url = base_url
        self._share = share

    async def __call__(self, job: Running) -> None:
        """Carry out the job."""
        if "scope" not in job.progress:
            await self._begin(job)
        await self._current.refresh()
        scope = [Outdated(tuple(types) if types is not None else None, since) for types, since in job.progress["scope"]]
        await self._run(job, scope)
        await self._finish(job)

    async def _begin(self, job: Running) -> None:
        """Settle what is to be done, and what may be ready when it is: what everybody writes by from then on."""
        registry = await self._store.registry()
        parameters = self._waiting(registry, job.parameters)
        scope = self._scope(registry, parameters, job.parameters)
        targets = [[item.id, types, item.since] for item, types in parameters if not item.ready]
        format_since = None if registry.format.ready else registry.format.since
        if targets or format_since is not None:
            await self._wait_for_writers()
        counts = await self._store.count_outdated(scope, 0)
        job.progress |= {**_plan(scope, counts), "targets": targets, "format": format_since}

    def _waiting(self, registry: Registry, asked: Any) -> list[tuple[Registered, tuple[str, ...]]]:
        """The parameters that aren't ready, or that are asked for, with the types that they are about."""
        known = definitions_with(self._r4, ((item.id, item.definition, item.ready) for item in registry.parameters))
        wanted = asked.get("searchParameters")
        return [
            (item, known.types[item.id])
            for item in registry.parameters
            if item.id in known.types and (item.id in wanted if wanted else not item.ready)
        ]

    def _scope(
        self, registry: Registry, parameters: Sequence[tuple[Registered, tuple[str, ...]]], asked: Any
    ) -> list[Outdated]:
        """What is to be indexed again."""
        only = tuple(asked.get("types") or ()) or None
        about = [(item, tuple(name for name in types if only is None or name in only)) for item, types in parameters]
        if asked.get("all"):
            if asked.get("searchParameters"):
                only = tuple(sorted({name for _, types in about for name in types}))
            return [Outdated(only, _EVER)]
        scope = [Outdated(types, item.since) for item, types in about if types and not item.ready]
        if not registry.format.ready and not asked.get("searchParameters"):
            scope.append(Outdated(only, registry.format.since))
        return scope

    async def _wait_for_writers(self) -> None:
        """Until everybody who writes knows the parameters: who doesn't may not write any more, and is done with it."""
        await asyncio.sleep(self._current.lease + _PAUSE)
        moment = await self._store.now()
        while await self._store.has_older_transactions(moment):  # noqa: ASYNC110
            await asyncio.sleep(_PAUSE)

    async def _run(self, job: Running, scope: Sequence[Outdated]) -> None:
        """All buckets that have something to do, from where the job is."""
        bucket, resource_type, id = job.progress.get("at", [0, "", ""])
        position = (bucket, resource_type, id)
        per_second = job.parameters.get("perSecond")
        limit = min(_BATCH, per_second or _BATCH)
        for buckets, left in _portions(await self._store.count_outdated(scope, bucket)):
            while left > 0:
                start = monotonic()
                found = await self._store.outdated(scope, buckets, position, limit)
                if not found:  # what was counted changed meanwhile, or was done before this process came
                    break
                left -= len(found)
                await self._do(job, found)
                last = found[-1].version
                position = (last.bucket, last.resource_type, last.id)
                job.progress["at"] = list(position)
                await self._pause(monotonic() - start, len(found), per_second)

    async def _do(self, job: Running, found: Sequence[Indexed]) -> None:
        base_url = job.parameters.get("baseUrl") or self._base_url
        entries, failures = await make_entries(self._current.server, found, base_url)
        if entries:
            await self._replace(entries)
        progress = job.progress
        progress["done"] += len(found)
        progress["failed"] += len({failure.resource for failure in failures})
        for item in found:
            progress["types"].setdefault(item.version.resource_type, [0, 0])[0] += 1
        listed = progress["failures"]
        listed += [[each.resource, each.reason] for each in failures[: _MOST_FAILURES - len(listed)]]

    async def _replace(self, entries: Sequence[Reindexed]) -> None:
        for attempt in range(_ATTEMPTS):
            try:
                await self._store.reindex(entries)
                return
            except RolledBack:  # a writer of some of these resources was in the way
                if attempt == _ATTEMPTS - 1:
                    raise
                await asyncio.sleep(_PAUSE)

    async def _pause(self, spent: float, number: int, per_second: int | None) -> None:
        least = number / per_second if per_second else 0.0
        await asyncio.sleep(max(spent * (1 - self._share) / self._share, least - spent, 0))

    async def _finish(self, job: Running) -> None:
        """Let be searched by what can be now, and tell what can't."""
        ready: list[tuple[str, int]] = []
        left: list[str] = []
        for id, types, since in job.progress["targets"]:
            if await self._store.has_outdated(Outdated(tuple(types), since)):
                left.append(id)
            else:
                ready.append((id, since))
        format_since = job.progress["format"]
        if format_since is not None and await self._store.has_outdated(Outdated(None, format_since)):
            format_since = None
        if ready or format_since is not None:
            await self._store.mark_ready(ready, format_since)
            await self._current.refresh()
        job.progress |= {
            "ready": [f"SearchParameter/{id}" for id, _ in ready],
            "notReady": [f"SearchParameter/{id}" for id in left],
        }


def _portions(counts: Sequence[tuple[int, str, int]]) -> Iterator[tuple[list[int], int]]:
    """Buckets that are done together, and how many resources that are: one bucket, or several that have few."""
    buckets: list[int] = []
    number = 0
    for bucket, group in groupby(counts, key=lambda count: count[0]):
        more = sum(item[2] for item in group)
        if buckets and number + more > _BATCH:
            yield buckets, number
            buckets, number = [], 0
        buckets.append(bucket)
        number += more
    if buckets:
        yield buckets, number


def _plan(scope: Sequence[Outdated], counts: Sequence[tuple[int, str, int]]) -> dict[str, Any]:
    """The progress at the beginning. `types`: how many are done and how many there are, by type."""
    types: dict[str, list[int]] = {}
    for _, name, number in counts:
        types.setdefault(name, [0, 0])[1] += number
    return {
        "scope": [[outdated.types, outdated.since] for outdated in scope],
        "total": sum(number for _, _, number in counts),
        "done": 0,
        "failed": 0,
        "types": types,
        "failures": [],
    }
