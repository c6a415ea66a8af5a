"""Keeps events in batches: many requests that end at the same time share one commit.

`before`: who records waits until the batch with the event is committed. `batch`: nobody waits, and batches are written
every half second; a normal stop writes what is left, a kill takes along what came after the last batch.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Literal, Protocol

from fhirserver.audit.facts import NewEvent
from fhirserver.fhir.outcomes import FhirError, Unavailable
from fhirserver.observability.logging import get_logger, info_each, places
from fhirserver.observability.metrics import observe_audit_batch, observe_audit_events, observe_audit_failure

Mode = Literal["before", "batch"]

INTERVAL = 0.5
"""Seconds between two batches, where nobody waits for them."""
GATHERING = 0.005
"""Seconds for which a batch that is waited for stays open to the other requests that are under way, where the one
before had several events."""
LARGEST = 500
"""Events in a batch; more that come at once stay together."""
LONGEST = 5.0
"""Seconds that events may be kept from being written before requests fail, where nobody waits for them."""
_PAUSE = 0.2  # seconds after a failure

_LOGGER = "fhirserver.audit"
_log = get_logger(_LOGGER)


class EventStore(Protocol):
    """Where events are kept."""

    async def append(self, events: Sequence[NewEvent]) -> None:
        """Keep these events of one bucket, all or none. Raises `Unavailable`, also for entries of former rules."""
        ...

    async def note_heads(self) -> None:
        """Note how far the streams of this process go."""
        ...


@dataclass(slots=True)
class _Batch:
    bucket: int
    begun: float
    done: "asyncio.Future[None]"
    events: list[NewEvent] = field(default_factory=list)


class BatchRecorder:
    """To be started, and closed at the end. `renewed` gives an event with the index entry of the present rules,
    `choose_bucket` a bucket for the next batch.

    `required`: a request whose event can't be kept fails. Else that is logged.
    """

    def __init__(
        self,
        store: EventStore,
        renewed: Callable[[NewEvent], NewEvent],
        choose_bucket: Callable[[], int],
        mode: Mode = "before",
        *,
        required: bool = True,
    ):
        self._store = store
        self._renewed = renewed
        self._choose_bucket = choose_bucket
        self._waits = mode == "before"
        self._required = required
        self._batches: deque[_Batch] = deque()
        self._wake = asyncio.Event()
        self._failing_since: float | None = None
        self._ending = asyncio.Event()
        self._comes_together = False  # whether requests end at the same time, at present
        self._under_way = 0
        self._waiting = 0
        self._nobody_else = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def bucket(self) -> int:
        return self._filling().bucket

    def begin(self) -> None:
        self._under_way += 1

    def end(self) -> None:
        self._under_way -= 1
        self._look()

    def _look(self) -> None:
        """Whether all requests that are under way wait for the batch."""
        if self._waiting >= self._under_way:
            self._nobody_else.set()

    def problem(self) -> str | None:
        """What keeps events from being written, if anything does."""
        since = self._failing_since
        return None if since is None else f"events can't be written since {monotonic() - since:.0f} s"

    async def keep(self, events: Sequence[NewEvent]) -> None:
        if self._required and not self._waits and self._is_behind():
            raise Unavailable("the audit log can't be written")
        batch = self._filling()
        batch.events += events
        self._wake.set()
        if not self._waits:
            return
        self._waiting += 1
        self._look()
        try:
            await asyncio.shield(batch.done)
        except FhirError as error:
            if self._required:
                raise Unavailable("the audit log can't be written") from error
        finally:
            self._waiting -= 1

    def _filling(self) -> _Batch:
        """The batch that takes further events."""
        if not self._batches or len(self._batches[-1].events) >= LARGEST:
            done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            done.add_done_callback(_retrieved)
            self._batches.append(_Batch(self._choose_bucket(), monotonic(), done))
        return self._batches[-1]

    def _is_behind(self) -> bool:
        return bool(self._batches) and monotonic() - self._batches[0].begun > LONGEST

    def start(self) -> None:
        """Begin to write batches."""
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Write what is left, and end."""
        self._ending.set()
        self._wake.set()
        if self._task is not None:
            await self._task
        lost = sum(len(batch.events) for batch in self._batches)
        if lost:
            _log.error("events are lost", events=lost)
        await self._note_heads()

    async def follow(self) -> None:
        """Note every second how far the streams go, until cancelled."""
        while True:
            await asyncio.sleep(1)
            await self._note_heads()

    async def _note_heads(self) -> None:
        try:
            await self._store.note_heads()
        except FhirError as error:
            _log.warning("the heads of the audit streams are not noted", error=type(error).__name__)

    async def _run(self) -> None:
        while self._batches or not self._ending.is_set():
            await self._wake.wait()
            if not self._waits and not self._ending.is_set():
                await self._pause(INTERVAL)
            self._wake.clear()
            while self._batches:
                if self._waits and self._comes_together:
                    await self._gather()
                if await self._write():
                    continue
                if self._ending.is_set():
                    return
                await self._pause(_PAUSE)
            if self._ending.is_set():
                return

    async def _gather(self) -> None:
        self._nobody_else.clear()
        self._look()
        try:
            async with asyncio.timeout(GATHERING):
                await self._nobody_else.wait()
        except TimeoutError:
            return

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._ending.wait(), seconds)
        except TimeoutError:
            return

    async def _write(self) -> bool:
        """Write the first batch; False if that failed. Where nobody waits for it, it is tried again."""
        batch = self._batches.popleft()
        self._comes_together = len(batch.events) > 1
        try:
            await self._append(batch)
        except Exception as error:
            observe_audit_failure(len(batch.events))
            self._failing_since = self._failing_since or monotonic()
            _log.error("events can't be written", error=type(error).__name__, trace=places(error))
            if self._waits:
                batch.done.set_exception(error if isinstance(error, FhirError) else Unavailable("a defect"))
            else:
                self._batches.appendleft(batch)
            return False
        self._failing_since = None
        observe_audit_batch(monotonic() - batch.begun)
        batch.done.set_result(None)
        told(batch.events)
        return True

    async def _append(self, batch: _Batch) -> None:
        try:
            await self._store.append(batch.events)
        except Unavailable:
            batch.events = [self._renewed(event) for event in batch.events]  # the rules may have changed meanwhile
            await self._store.append(batch.events)


def told(events: Sequence[NewEvent]) -> None:
    """Log events that are kept: a line for each."""
    observe_audit_events(len(events))
    if len(events) == 1:
        _log.info("audit", **events[0].line)
    else:
        info_each(_LOGGER, "audit", [event.line for event in events])


def _retrieved(done: "asyncio.Future[None]") -> None:
    """Nobody need ask for what went wrong."""
    if not done.cancelled():
        done.exception()
