"""Carrying out jobs: one at a time in a process, each job by one process at a time.

A process takes a job that nobody has, or whose process has not been heard of for the time of a lease, and tells that it
is alive, with the progress, every second. When it can't any more (it was killed, or the job was cancelled) another one
goes on, or nobody does.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

from fhirserver.fhir.outcomes import FhirError, TooCostly, Unavailable
from fhirserver.interactions.jobs import Job, State
from fhirserver.observability.logging import get_logger, places

LEASE = 15.0
INTERVAL = 1.0
_LOOK_EVERY = 2.0

_log = get_logger("fhirserver.jobs")


class RunnableJobs(Protocol):
    """Where jobs are kept, for those who carry them out."""

    async def take(self, kinds: Sequence[str], owner: str, lease: float) -> Job | None:
        """The oldest job that nobody carries out, from now on in the hands of `owner`."""
        ...

    async def save(self, id: str, owner: str, progress: Mapping[str, Any]) -> bool:
        """Note how far it is, and that `owner` is alive; False if the job isn't in its hands any more."""
        ...

    async def release(self, id: str, owner: str, progress: Mapping[str, Any]) -> None:
        """Let another one go on."""
        ...

    async def finish(self, id: str, owner: str, state: State, progress: Mapping[str, Any]) -> None:
        """It is done, for good or ill."""
        ...


class Running:
    """A job at work. What stands in `progress` is saved every second, and handed on to who goes on after this process;
    so it has to be right at every point where the work waits."""

    def __init__(self, job: Job):
        self.id = job.id
        self.parameters = job.parameters
        self.progress: dict[str, Any] = dict(job.progress)


Work = Callable[[Running], Awaitable[None]]
"""Carries out a job of its kind. It goes on from the progress, which is empty at first. When it raises Unavailable
or TooCostly, it is tried again; after another error it has failed."""


class Runner:
    """Carries out jobs of the kinds that this process can do now. `owner` tells it from all others."""

    def __init__(
        self,
        store: RunnableJobs,
        kinds: Callable[[], Mapping[str, Work]],
        owner: str,
        *,
        lease: float = LEASE,
        interval: float = INTERVAL,
    ):
        self.owner = owner
        self._store = store
        self._kinds = kinds
        self._lease = lease
        self._interval = interval

    async def follow(self) -> None:
        """Carry out what there is to do, until cancelled."""
        while True:
            try:
                job = await self._store.take(list(self._kinds()), self.owner, self._lease)
                if job is not None:
                    await self.run(job)
            except FhirError as error:
                _log.warning("jobs are not heard of", error=type(error).__name__)
            except Exception as error:  # a defect must not end it: there are other jobs
                _log.error("defect", error=type(error).__name__, trace=places(error))
            await asyncio.sleep(_LOOK_EVERY)

    async def run(self, job: Job) -> None:
        """Carry out a job that is in the hands of this process. When that is cancelled, another one may go on."""
        running = Running(job)
        work = asyncio.ensure_future(self._kinds()[job.kind](running))
        try:
            while not work.done():
                await asyncio.wait({work}, timeout=self._interval)
                if not work.done() and not await self._is_held(running):
                    return
            await self._settle(running, work)
        except asyncio.CancelledError:
            await self._store.release(running.id, self.owner, running.progress)
            raise
        finally:
            work.cancel()

    async def _is_held(self, running: Running) -> bool:
        """Whether this process still has the job. It may go on for a while when it can't find out."""
        try:
            return await self._store.save(running.id, self.owner, running.progress)
        except Unavailable:
            return True

    async def _settle(self, running: Running, work: "asyncio.Future[None]") -> None:
        error = work.exception()
        if error is None:
            running.progress.pop("problem", None)
            await self._store.finish(running.id, self.owner, "completed", running.progress)
        elif isinstance(error, Unavailable | TooCostly):
            running.progress["problem"] = str(error)
            await self._store.release(running.id, self.owner, running.progress)
        else:
            known = isinstance(error, FhirError) and error.status < 500
            running.progress["problem"] = str(error) if known else f"a defect of the server ({type(error).__name__})"
            _log.error("a job failed", job=running.id, error=type(error).__name__, trace=places(error))
            await self._store.finish(running.id, self.owner, "failed", running.progress)
