"""`fhirserver reindex`: index again what is stored, in this process and with all of its time."""

import asyncio
import sys
from collections.abc import Sequence

from fhirserver.fhir.outcomes import InvalidRequest
from fhirserver.interactions.jobs import Job, NewJob
from fhirserver.main import Process

_EVERY = 0.5


async def reindex(process: Process, types: Sequence[str], *, everything: bool) -> Job:
    """Do such a job; how it ended. `InvalidRequest` for a type that R4 does not have."""
    for name in types:
        if not process.definitions.is_resource_type(name):
            raise InvalidRequest(f"R4 has no resource type '{name}'")
    runner = process.runner(1.0)
    asked = {"types": list(types) or None, "all": everything, "baseUrl": process.base_url}
    id = await process.jobs.add(NewJob("reindex", asked, "command line"), runner.owner)
    work = asyncio.create_task(runner.run(await _job(process, id)))
    while not work.done():
        await asyncio.wait({work}, timeout=_EVERY)
        if sys.stderr.isatty():
            print(f"\r{_line(await _job(process, id))}  ", end="", file=sys.stderr, flush=True)
    if sys.stderr.isatty():
        print(file=sys.stderr)
    await work
    return await _job(process, id)


async def _job(process: Process, id: str) -> Job:
    job = await process.jobs.job(id)
    if job is None:
        raise InvalidRequest(f"the job {id} was removed")
    return job


def _line(job: Job) -> str:
    progress = job.progress
    if "total" not in progress:
        return "waiting until all processes know what is to be indexed"
    return f"{progress['done']} of {progress['total']} resources, {progress['failed']} with problems"


def report(job: Job) -> bool:
    """Print how it ended; whether all went well."""
    progress = job.progress
    for name, (done, total) in sorted(progress.get("types", {}).items()):
        print(f"{done:>9} of {total:>9}  {name}")
    print(f"{job.state}: {_line(job)}")
    for name in progress.get("ready", ()):
        print(f"{name} can be searched by now")
    for name in progress.get("notReady", ()):
        print(f"{name} can't be searched by yet: resources that it is about are not indexed", file=sys.stderr)
    for name, reason in progress.get("failures", ()):
        print(f"  {name}: {reason}", file=sys.stderr)
    if "problem" in progress:
        print(progress["problem"], file=sys.stderr)
    return job.state == "completed" and not progress["failed"] and not progress["notReady"]
