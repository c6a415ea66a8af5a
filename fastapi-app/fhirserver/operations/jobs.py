"""Jobs as they are told: Parameters at `_jobs/[id]`.

https://hl7.org/fhir/R4/async.html
"""

from collections.abc import Iterator, Sequence
from typing import Any

from fhirserver.fhir.outcomes import NotFound, UnsupportedOperation
from fhirserver.fhir.resource_json import serialize
from fhirserver.interactions.context import Call, Server
from fhirserver.interactions.jobs import FINISHED, Job, Jobs
from fhirserver.interactions.versions import instant

_RECENT = 50

Item = dict[str, Any]


def jobs_of(server: Server) -> Jobs:
    """Where jobs are kept. `UnsupportedOperation` if this server has none."""
    if server.jobs is None:
        raise UnsupportedOperation("this server has no jobs")
    return server.jobs


def address_of(call: Call, id: str) -> str:
    """Where the job is told of."""
    return f"{call.base_url}/_jobs/{id}"


async def find_job(server: Server, id: str) -> Job:
    """The job with this id. `NotFound` if there is none."""
    job = await jobs_of(server).job(id)
    if job is None:
        raise NotFound(f"there is no job '{id[:64]}'")
    return job


async def cancel_job(server: Server, id: str) -> None:
    """Let the job be done no more. `NotFound` if there is none that is still to be done."""
    if not await jobs_of(server).cancel(id):
        raise NotFound(f"there is no job '{id[:64]}' that is not finished")


async def recent_jobs(server: Server) -> bytes:
    """The last jobs, without their failures."""
    jobs = await jobs_of(server).recent(_RECENT)
    return _parameters([{"name": "job", "part": list(_head(job))} for job in jobs])


def told(job: Job) -> bytes:
    """A job with all that its progress says."""
    progress = job.progress
    items = list(_head(job))
    items += [_part("type", code=name, done=done, total=total) for name, (done, total) in _types(progress)]
    items += [_value(name, "String", text) for name in ("ready", "notReady") for text in progress.get(name, ())]
    items += [_part("failure", resource=name, reason=reason) for name, reason in progress.get("failures", ())]
    return _parameters(items)


def is_finished(job: Job) -> bool:
    """Whether there is nothing more to come."""
    return job.state in FINISHED


def progress_line(job: Job) -> str:
    """How far it is, in a few words."""
    if "total" not in job.progress:
        return job.state
    return f"{job.state}, {job.progress['done']} of {job.progress['total']}"


def _types(progress: Any) -> Sequence[tuple[str, Sequence[int]]]:
    return sorted(progress.get("types", {}).items())


def _head(job: Job) -> Iterator[Item]:
    yield _value("id", "Id", job.id)
    yield _value("kind", "Code", job.kind)
    yield _value("state", "Code", job.state)
    yield _value("requester", "String", job.requester)
    yield _value("requested", "Instant", instant(job.requested))
    if job.finished is not None:
        yield _value("finished", "Instant", instant(job.finished))
    for name in ("total", "done", "failed"):
        if name in job.progress:
            yield _value(name, "Integer", job.progress[name])
    if "problem" in job.progress:
        yield _value("problem", "String", job.progress["problem"])


def _value(name: str, kind: str, value: str | int) -> Item:
    return {"name": name, f"value{kind}": value}


def _part(name: str, **values: str | int) -> Item:
    parts = [_value(key, "Integer" if isinstance(value, int) else "String", value) for key, value in values.items()]
    return {"name": name, "part": parts}


def _parameters(items: Sequence[Item]) -> bytes:
    return serialize({"resourceType": "Parameters", "parameter": items})
