"""A transaction that another writer, or a database that was away, has undone is begun again for a while."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import count
from random import uniform
from typing import TypeVar

from fhirserver.fhir.outcomes import Interrupted, RolledBack
from fhirserver.interactions.context import Server
from fhirserver.interactions.store import WriteConflict

T = TypeVar("T")

_WITH_OTHERS, _LONGEST_PAUSE = 15.0, 0.5  # seconds


async def retried(server: Server, transaction: Callable[[], Awaitable[T]], *, follows: bool = True) -> T:
    """What `transaction` gives, which does nothing if it raises. Raises its last `RolledBack` or `WriteConflict`.

    Within a transaction it is done once: the whole is begun again. Without `follows` another writer ends it at once,
    for who has to look anew first.
    """
    if server.in_transaction:
        return await transaction()
    time = asyncio.get_running_loop().time
    begin = time()
    for attempt in count():
        try:
            return await transaction()
        except (RolledBack, WriteConflict) as error:
            seconds = server.patience if isinstance(error, Interrupted) else _WITH_OTHERS
            if time() > begin + seconds or (isinstance(error, WriteConflict) and not follows):
                raise
        await asyncio.sleep(uniform(0, min(_LONGEST_PAUSE, 0.01 * 2.0 ** min(attempt, 10))))  # noqa: S311
    raise AssertionError("count() never ends")
