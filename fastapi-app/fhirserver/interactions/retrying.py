"""A transaction that another writer, or a database that was away, has undone is begun again for a while."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import count
from random import uniform
from typing import TypeVar

from fhirserver.fhir.outcomes import RolledBack
from fhirserver.interactions.store import WriteConflict

T = TypeVar("T")

_PATIENCE, _LONGEST_PAUSE = 15.0, 0.5  # seconds


async def retried(transaction: Callable[[], Awaitable[T]]) -> T:
    """What `transaction` gives, which does nothing if it raises. Raises its last `RolledBack` or `WriteConflict`."""
    time = asyncio.get_running_loop().time
    end = time() + _PATIENCE
    for attempt in count():
        try:
            return await transaction()
        except (RolledBack, WriteConflict):
            if time() > end:
                raise
        await asyncio.sleep(uniform(0, min(_LONGEST_PAUSE, 0.01 * 2.0 ** min(attempt, 10))))  # noqa: S311
    raise AssertionError("count() never ends")
