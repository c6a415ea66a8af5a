"""Hearing of changes in the standing of somebody: the same in all processes, within a second or two.

The store is asked every second, as what it holds is the truth. Who is configured with Redis hears at once as well.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from time import monotonic
from typing import Protocol

from fhirserver.access.store import IdentityStore
from fhirserver.fhir.outcomes import FhirError
from fhirserver.observability.logging import get_logger

INTERVAL = 1.0
TRUSTED = 4.0
"""Seconds for which what is remembered is trusted after the last time that the store was heard."""

_log = get_logger("fhirserver.access")


class Bell(Protocol):
    """Something that rings in all processes when there is a change to be asked for."""

    def rings(self) -> AsyncIterator[None]:
        """One item for each time. It ends when it can't be heard any more."""
        ...


Listener = Callable[[frozenset[str]], Awaitable[None]]
"""Is told the subjects of announcements."""


class Changes:
    """Asks the store for what was announced, and passes each announcement on once."""

    def __init__(self, store: IdentityStore, listeners: Iterable[Listener], bell: Bell | None = None):
        self._store = store
        self._listeners = tuple(listeners)
        self._bell = bell
        self._seen: set[str] = set()
        self._heard = -TRUSTED

    def is_fresh(self) -> bool:
        """Whether the store was heard of late."""
        return monotonic() - self._heard < TRUSTED

    async def ask(self) -> None:
        """Ask once. Raises what the store raises."""
        begin = monotonic()
        announced = dict(await self._store.announced())
        fresh = frozenset(subject for id, subject in announced.items() if id not in self._seen)
        if fresh:
            for listener in self._listeners:
                await listener(fresh)
        self._seen = set(announced)
        self._heard = begin

    async def follow(self) -> None:
        """Ask again and again, until cancelled."""
        rung = asyncio.Event()
        bell = asyncio.create_task(self._listen(rung)) if self._bell is not None else None
        try:
            while True:
                try:
                    await self.ask()
                except FhirError as error:
                    _log.warning("changes of access are not heard", error=type(error).__name__)
                try:
                    await asyncio.wait_for(rung.wait(), INTERVAL)
                except TimeoutError:
                    continue
                rung.clear()
        finally:
            if bell is not None:
                bell.cancel()

    async def _listen(self, rung: asyncio.Event) -> None:
        assert self._bell is not None
        while True:
            async for _ in self._bell.rings():
                rung.set()
            await asyncio.sleep(INTERVAL)
