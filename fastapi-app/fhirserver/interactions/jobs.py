"""Work that takes longer than a request: what there is of a job, and where jobs are kept.

A job is carried out by one process at a time (`jobs/runner.py`), by any of those that serve the database. It tells its
progress as it goes; when the process dies, another one goes on from there.

https://hl7.org/fhir/R4/async.html
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

State = Literal["waiting", "running", "completed", "failed", "cancelled"]
FINISHED: tuple[State, ...] = ("completed", "failed", "cancelled")


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to be done: its kind, what it is to do, and who wants it. It gets an id, unless it has one."""

    kind: str
    parameters: Mapping[str, Any]
    requester: str
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it stands. `progress` is whatever its kind notes to tell, and to go on from."""

    id: str
    kind: str
    state: State
    parameters: Mapping[str, Any]
    progress: Mapping[str, Any]
    requester: str
    requested: datetime
    finished: datetime | None = None


class Jobs(Protocol):
    """Where jobs are kept."""

    async def add(self, job: NewJob, owner: str | None = None) -> str:
        """Let a job be done; its id. With `owner`: by that process, which has it already.

        One with the id of a job that is not finished, or was cancelled, is that job; of another, it is done again.
        """
        ...

    async def job(self, id: str) -> Job | None:
        """The job with this id."""
        ...

    async def recent(self, limit: int) -> Sequence[Job]:
        """The jobs that were asked for last, the last one first."""
        ...

    async def cancel(self, id: str) -> bool:
        """Let the job be done no more; False if there is none that is not finished. Its process stops soon."""
        ...
