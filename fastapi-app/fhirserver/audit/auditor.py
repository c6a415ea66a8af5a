"""Makes events of facts, and sees to it that they are kept."""

from collections.abc import Callable, Sequence
from datetime import datetime, tzinfo
from typing import Protocol

from fhirserver.audit.content import content_of, moment_of, outcome_of
from fhirserver.audit.facts import Facts, NewEvent, Who
from fhirserver.audit.index import EventIndex
from fhirserver.fhir.definitions import Definitions

Rules = Callable[[], tuple[Definitions, int]]
"""The definitions as they are now, and the number of the rules by which is indexed."""


class Recorder(Protocol):
    """Keeps events."""

    def bucket(self) -> int:
        """Where the next events are kept."""
        ...

    def begin(self) -> None:
        """A request is under way that will have events."""
        ...

    def end(self) -> None:
        """One that has begun has ended."""
        ...

    async def keep(self, events: Sequence[NewEvent]) -> None:
        """Keep them. Returns when they are as safe as the settings say; raises `Unavailable`."""
        ...


class Auditor:
    """One for a process. `observer` is how this server is called; the others are collaborators as `Server` has them."""

    def __init__(
        self,
        rules: Rules,
        zone: tzinfo,
        observer: str,
        recorder: Recorder,
        clock: Callable[[], datetime],
        new_id: Callable[[int], str],
    ):
        self._rules = rules
        self._zone = zone
        self._observer = observer
        self.recorder = recorder
        self._clock = clock
        self._new_id = new_id
        self.definitions, version = rules()
        self._index = EventIndex(self.definitions, zone, version, observer)

    def event(self, facts: Facts, who: Who, request_id: str, bucket: int) -> NewEvent:
        """The event, to be kept in this bucket."""
        index = self._present()
        id, recorded = self._new_id(bucket), self._clock()
        moment = moment_of(recorded)
        content = content_of(facts, who, request_id, self._observer, id, moment)
        entry = index.entry(facts, who, request_id, id, recorded, moment, content)
        line = {
            "event_id": id,
            "kind": facts.kind,
            "outcome": outcome_of(facts.status),
            "status": facts.status,
            "resource_type": facts.touched[0].resource_type if facts.touched else None,
            "agent": who.id or None,
            "request_id": request_id,
        }
        return NewEvent(id, bucket, recorded, content, entry, line)

    async def record(self, given: Sequence[tuple[Facts, Who, str]]) -> None:
        """Keep the events of these facts. Raises `Unavailable` if that can't be done."""
        if given:
            bucket = self.recorder.bucket()
            await self.recorder.keep([self.event(*one, bucket) for one in given])

    def indexed_anew(self, event: NewEvent) -> NewEvent:
        """The event with the entry that the present rules make of it."""
        entry = self._present().extracted(event.content)
        return NewEvent(event.id, event.bucket, event.recorded, event.content, entry, event.line)

    def _present(self) -> EventIndex:
        definitions, version = self._rules()
        if definitions is not self.definitions or version != self._index.index_version:
            self.definitions = definitions
            self._index = EventIndex(definitions, self._zone, version, self._observer)
        return self._index
