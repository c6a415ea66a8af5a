"""Waiting for a database, or a worker of a cluster, that is away for a moment.

What only reads is tried again. What writes is tried again if it is known that nothing was done: when there was no
connection to begin with. Between two attempts no connection is held, so that others, who ask other shards, go on.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from random import uniform
from typing import TypeVar

import asyncpg
from sqlalchemy.exc import TimeoutError as PoolTimeout

from fhirserver.fhir.outcomes import RolledBack, Unavailable
from fhirserver.storage.errors import NothingDone

T = TypeVar("T")

_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 0.5  # seconds
_BEFORE_ANYTHING = ("refused", "could not connect", "timeout expired", "starting up", "could not translate host name")


async def patiently(attempt: Callable[[], Awaitable[T]], seconds: float, *, only_reads: bool) -> T:
    """What `attempt` gives, within a budget of `seconds`. Raises its last error: `Unavailable`."""
    end = time.monotonic() + seconds
    pause = _FIRST_PAUSE
    while True:
        try:
            return await attempt()
        except Unavailable as error:
            may_repeat = was_nothing_done(error) or (only_reads and not isinstance(error.__cause__, PoolTimeout))
            if isinstance(error, RolledBack) or not may_repeat or time.monotonic() + pause > end:
                raise
        await asyncio.sleep(uniform(pause / 2, pause))  # noqa: S311
        pause = min(2 * pause, _LONGEST_PAUSE)


def was_nothing_done(error: Unavailable) -> bool:
    """Whether the error came before the database, or the worker that it asked, could do anything."""
    if isinstance(error, NothingDone):
        return True
    cause = error.__cause__
    # The coordinator's word about a worker that it could not connect to.
    return isinstance(cause, asyncpg.PostgresConnectionError) and any(word in str(cause) for word in _BEFORE_ANYTHING)
