"""The server of a process as it is now. What is posted changes it, in all processes within seconds.

Each process asks the database every second how many changes there were of the types that matter (`store.FOLLOWED`):
one small statement. When one of these numbers went up, those who follow the type make a new `Server` of the old one;
requests that are under way end with the one they began with.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from time import monotonic
from typing import Protocol

from fhirserver.fhir.outcomes import FhirError, Unavailable
from fhirserver.interactions.context import Server
from fhirserver.observability.logging import get_logger, places

INTERVAL = 1.0
"""Seconds between two questions."""
LEASE = 4.0
"""Seconds for which a process may write as it last heard that it has to (decisions/0011)."""

_log = get_logger("fhirserver.current")


class Changes(Protocol):
    """Who counts."""

    async def changes(self) -> Mapping[str, int]:
        """How many changes there were, by type of resource."""
        ...


class Follower(Protocol):
    """Part of the server that depends on resources."""

    @property
    def resource_types(self) -> Collection[str]:
        """The types that it follows, of `store.FOLLOWED`."""
        ...

    async def apply(self, server: Server) -> Server:
        """The server with this part as the resources have it now. Called at the start, and after changes."""
        ...


class Current:
    """Holds the server of this process. To be refreshed before use, and followed."""

    def __init__(
        self,
        server: Server,
        store: Changes,
        followers: Sequence[Follower],
        *,
        lease: float = LEASE,
        seconds: Callable[[], float] = monotonic,
    ):
        self.server = replace(server, source=lambda: self.server)
        self.lease = lease
        self._store = store
        self._followers = followers
        self._seconds = seconds
        self._numbers: Mapping[str, int] | None = None  # not asked for yet
        self._confirmed: dict[int, float] = {}  # index version → when it was last the present one
        self._lock = asyncio.Lock()
        self._hurried = asyncio.Event()

    async def refresh(self) -> Server:
        """Ask once; the server as it is now. Raises what the store raises."""
        async with self._lock:
            start = self._seconds()
            numbers = await self._store.changes()
            known = self._numbers
            changed = {name for name, number in numbers.items() if known is None or known.get(name) != number}
            server = self.server
            for follower in self._followers:
                if known is None or not changed.isdisjoint(follower.resource_types):
                    server = await follower.apply(server)
            self.server, self._numbers = server, numbers
            self._confirmed = {version: at for version, at in self._confirmed.items() if at > start - self.lease}
            self._confirmed[numbers.get("SearchParameter", 0)] = start
            return server

    async def confirm(self, index_version: int, changes: Callable[[], Awaitable[Mapping[str, int]]]) -> None:
        """Make sure that index entries of this version may be written: it was the present one a short while ago, or
        `changes` (which asks by the connection that is to write) says that it is.

        Raises `Unavailable` if it is not any more: the request can be sent again.
        """
        version = abs(index_version)
        if self._is_confirmed(version):
            return
        start = self._seconds()
        if (await changes()).get("SearchParameter") != version:
            raise Unavailable("the search parameters changed in the middle of this; send it again")
        self._confirmed[version] = start

    def _is_confirmed(self, version: int) -> bool:
        at = self._confirmed.get(version)
        return at is not None and self._seconds() - at < self.lease

    def hurry(self) -> None:
        """There is a change to be asked for: `follow` does not wait any longer."""
        self._hurried.set()

    async def follow(self) -> None:
        """Ask again and again, until cancelled."""
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._hurried.wait(), INTERVAL)
            self._hurried.clear()
            try:
                await self.refresh()
            except FhirError as error:
                _log.warning("changes are not heard", error=type(error).__name__)
            except Exception as error:  # a defect must not end it: what is written next may be heard again
                _log.error("defect", error=type(error).__name__, trace=places(error))
