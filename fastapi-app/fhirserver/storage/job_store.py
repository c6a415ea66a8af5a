"""Jobs in their table (`interactions/jobs.py`), and who carries them out (`jobs/runner.py`)."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

import orjson

from fhirserver.interactions.jobs import Job, NewJob, State
from fhirserver.storage.engine import Pool
from fhirserver.storage.statements import Observe, Statement, Statements

_COLUMNS = "id, kind, state, parameters, progress, requester, requested, finished"

ADD = Statement(
    "job_add",
    "INSERT INTO job (id, kind, state, parameters, progress, requester, requested, owner, heartbeat)"
    " VALUES ($1, $2, $3, $4, '{}', $5, now(), $6, now()) ON CONFLICT (id) DO UPDATE SET state = excluded.state,"
    " progress = excluded.progress, requested = excluded.requested, finished = NULL, owner = excluded.owner,"
    " heartbeat = excluded.heartbeat WHERE job.state IN ('completed', 'failed')",
)
PRUNE = Statement("job_prune", "DELETE FROM job WHERE finished < now() - interval '30 days'")
GET = Statement("job", f"SELECT {_COLUMNS} FROM job WHERE id = $1")
RECENT = Statement("jobs", f"SELECT {_COLUMNS} FROM job ORDER BY requested DESC, id LIMIT $1")
CANCEL = Statement(
    "job_cancel",
    "UPDATE job SET state = 'cancelled', finished = now(), owner = NULL"
    " WHERE id = $1 AND state IN ('waiting', 'running')",
)
FREE = Statement(
    "job_free",
    "SELECT id, owner, heartbeat FROM job WHERE kind = ANY($1::text[]) AND (state = 'waiting'"
    " OR (state = 'running' AND heartbeat < now() - make_interval(secs => $2))) ORDER BY requested, id LIMIT 1",
)
# Guarded by what was seen: of several processes that see the same, one takes it.
TAKE = Statement(
    "job_take",
    "UPDATE job SET state = 'running', owner = $2, heartbeat = now() WHERE id = $1 AND state IN ('waiting', 'running')"
    f" AND owner IS NOT DISTINCT FROM $3 AND heartbeat IS NOT DISTINCT FROM $4 RETURNING {_COLUMNS}",
)
_HELD = "WHERE id = $1 AND owner = $2 AND state = 'running'"
SAVE = Statement("job_save", f"UPDATE job SET progress = $3, heartbeat = now() {_HELD}")
RELEASE = Statement("job_release", f"UPDATE job SET progress = $3, state = 'waiting', owner = NULL {_HELD}")
FINISH = Statement("job_finish", f"UPDATE job SET progress = $3, state = $4, finished = now(), owner = NULL {_HELD}")


class PostgresJobs:
    """On a pool of connections; `observe` hears of every statement. Each call is a transaction of its own."""

    def __init__(self, pool: Pool, observe: Observe):
        self._pool = pool
        self._observe = observe

    async def add(self, job: NewJob, owner: str | None = None) -> str:
        id = job.id or uuid4().hex
        state = "waiting" if owner is None else "running"
        await self._run(PRUNE)
        await self._run(ADD, id, job.kind, state, orjson.dumps(dict(job.parameters)), job.requester, owner)
        return id

    async def job(self, id: str) -> Job | None:
        rows = await self._rows(GET, id)
        return _job(rows[0]) if rows else None

    async def recent(self, limit: int) -> Sequence[Job]:
        return [_job(row) for row in await self._rows(RECENT, limit)]

    async def cancel(self, id: str) -> bool:
        return await self._run(CANCEL, id) == 1

    async def take(self, kinds: Sequence[str], owner: str, lease: float) -> Job | None:
        """The oldest job that nobody carries out, from now on in the hands of `owner`."""
        for free in await self._rows(FREE, list(kinds), lease):
            for row in await self._rows(TAKE, free["id"], owner, free["owner"], free["heartbeat"]):
                return _job(row)
        return None

    async def save(self, id: str, owner: str, progress: Mapping[str, Any]) -> bool:
        """Note how far it is, and that `owner` is alive; False if the job isn't in its hands any more."""
        return await self._run(SAVE, id, owner, orjson.dumps(progress)) == 1

    async def release(self, id: str, owner: str, progress: Mapping[str, Any]) -> None:
        """Let another one go on."""
        await self._run(RELEASE, id, owner, orjson.dumps(progress))

    async def finish(self, id: str, owner: str, state: State, progress: Mapping[str, Any]) -> None:
        """It is done, for good or ill."""
        await self._run(FINISH, id, owner, orjson.dumps(progress), state)

    async def _rows(self, statement: Statement, *arguments: Any) -> Sequence[Any]:
        async with self._pool.connection() as driver:
            return await Statements(driver, self._observe).rows(statement, *arguments)

    async def _run(self, statement: Statement, *arguments: Any) -> int:
        async with self._pool.connection() as driver:
            return await Statements(driver, self._observe).run(statement, *arguments)


def _job(row: Any) -> Job:
    return Job(
        row["id"],
        row["kind"],
        row["state"],
        orjson.loads(row["parameters"]),
        orjson.loads(row["progress"]),
        row["requester"],
        row["requested"],
        row["finished"],
    )
