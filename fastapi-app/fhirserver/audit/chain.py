"""The chain of hashes that leads from each event of a stream to the next.

A stream is what one connection to the database writes: within it events come one after the other, so that nobody waits
for anybody. With a key, nobody can make a chain anew who has the database alone.
"""

import hashlib
import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from struct import pack

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Link:
    """An event as it stands in its stream. `content` is None if its text is gone."""

    sequence: int
    hash: bytes
    id: str
    recorded: datetime
    content: bytes | None


@dataclass(frozen=True, slots=True)
class Head:
    """How far a stream goes: the number of its last event (0: none), and its hash."""

    sequence: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong in a stream, and where. `stream` is 0 for what is in none."""

    stream: int
    sequence: int
    text: str

    def __str__(self) -> str:
        place = f"stream {self.stream}, event {self.sequence}: " if self.stream else ""
        return place + self.text


class Chain:
    """Makes the hashes. `key`: what only the operator knows; without it everybody can make them."""

    def __init__(self, key: bytes | None):
        self._key = key
        self.fingerprint = hashlib.sha256(b"fhirserver audit" + key).digest()[:8] if key is not None else b""
        """Tells chains of different keys apart, and tells nothing of the key."""

    def start(self, stream: int) -> Head:
        """Where a stream begins."""
        return Head(0, self._digest(b"stream" + pack(">i", stream)))

    def next(self, stream: int, head: Head, id: str, recorded: datetime, content: bytes) -> Head:
        """The head after this event."""
        sequence = head.sequence + 1
        micros = round((recorded - EPOCH).total_seconds() * 1_000_000)
        return Head(sequence, self._digest(head.hash + pack(">iqq", stream, sequence, micros) + id.encode() + content))

    def _digest(self, message: bytes) -> bytes:
        if self._key is None:
            return hashlib.sha256(message).digest()
        return hmac.digest(self._key, message, "sha256")


class Walk:
    """Goes along the events of a stream in their order and collects what is wrong. `after` is where it begins."""

    def __init__(self, chain: Chain, stream: int, after: Head):
        self._chain = chain
        self._stream = stream
        self.head = after
        self.seen = 0
        self.problems: list[Problem] = []

    def take(self, links: Iterable[Link], expected: Sequence[Head] = ()) -> None:
        """Check the next events; of the `expected` heads, those that are passed have to be right."""
        wanted = {head.sequence: head.hash for head in expected}
        for link in links:
            self.seen += 1
            if link.sequence <= self.head.sequence:
                self._wrong(link.sequence, "there is more than one")
                continue
            if link.sequence != self.head.sequence + 1:
                missing = f"{self.head.sequence + 1} to {link.sequence - 1}"
                self._wrong(link.sequence, f"events {missing} before it are missing")
            elif link.content is None:
                self._wrong(link.sequence, f"AuditEvent/{link.id} has lost its content")
            elif self._chain.next(self._stream, self.head, link.id, link.recorded, link.content).hash != link.hash:
                self._wrong(link.sequence, f"AuditEvent/{link.id} was changed, or its place in the chain")
            if wanted.get(link.sequence, link.hash) != link.hash:
                self._wrong(link.sequence, "it is not the event that was noted as the last one")
            self.head = Head(link.sequence, link.hash)

    def end(self, noted: Head) -> None:
        """The stream goes as far as was noted, at least."""
        if self.head.sequence < noted.sequence:
            self._wrong(self.head.sequence, f"the events after it, to {noted.sequence}, are missing")

    def _wrong(self, sequence: int, text: str) -> None:
        self.problems.append(Problem(self._stream, sequence, text))
