"""What the interactions need from storage: values that go in and out, and the `Session` protocol.

`storage/` implements it; nothing here knows SQL.
"""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from fhirserver.audit.facts import NewEvent
from fhirserver.search.extract import IndexEntry
from fhirserver.search.query.tree import Node
from fhirserver.search.request import SearchRequest
from fhirserver.search.rewrite.restrict import Within

FOLLOWED = frozenset({"CodeSystem", "Consent", "SearchParameter", "StructureDefinition", "ValueSet"})
"""Types whose resources change what the server does: all processes hear of what is written (`current.py`)."""


class WriteConflict(Exception):
    """Another writer was faster: what the write was based on is no longer current. Read again and decide."""


@dataclass(frozen=True, slots=True)
class StoredResource:
    """One version of a resource as it is stored. A deletion is a version without content.

    `permitted` tells whether it matches the tree that it was read with.
    """

    resource_type: str
    id: str
    version_id: int
    last_updated: datetime
    deleted: bool
    content: bytes | None
    bucket: int
    permitted: bool = True

    @property
    def live(self) -> bytes:
        """The content of a version that is known not to be a deletion."""
        if self.content is None:
            raise ValueError(f"{self.resource_type}/{self.id} is deleted")
        return self.content


@dataclass(frozen=True, slots=True)
class NewVersion:
    """A version to be written, and what it is based on.

    `previous` is the version it replaces, None for a new id. `entry` is None for a deletion. `elsewhere` are the
    patients to whose compartments it belongs without living in their bucket. `denial` is what has to be kept of a
    Consent that denies something (`access/consents`).
    """

    version: StoredResource
    entry: IndexEntry | None
    previous: StoredResource | None
    elsewhere: tuple[str, ...] = ()
    denial: bytes | None = None


@dataclass(frozen=True, slots=True)
class SearchPage:
    """Matches in order; `next` and `previous` are the positions of the neighbouring pages, if there are any."""

    matches: Sequence[StoredResource]
    next: str | None
    previous: str | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """How a search is carried out: the statement, the indexes that it uses, the shards that it touches (None without
    Citus), milliseconds of planning and of execution, and the whole plan as JSON text."""

    statement: str
    indexes: Sequence[str]
    shards: int | None
    planning: float
    execution: float
    plan: str


@dataclass(frozen=True, slots=True)
class HistoryRequest:
    """Which versions: of one resource, of a type, or of all; newest first, after the position `cursor`.

    `since` keeps what was written at or after an instant; `at` what was current at some time of a closed interval.
    `types` and `buckets` keep what is of these types and lives there; None: any.
    """

    resource_type: str | None
    id: str | None
    count: int
    since: datetime | None = None
    at: tuple[datetime, datetime] | None = None
    cursor: str | None = None
    types: tuple[str, ...] | None = None
    buckets: frozenset[int] | None = None


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Versions, newest first, and the position of the next page."""

    versions: Sequence[StoredResource]
    next: str | None


class Session(Protocol):
    """Reading and writing. Outside of `transaction` each call is a transaction of its own."""

    async def read(self, resource_type: str, id: str, within: Node | None) -> StoredResource | None:
        """The current version, deletions included; None if the id was never used.

        Its `permitted` tells whether it matches the tree `within`; every one matches None.
        """
        ...

    async def read_many(
        self, targets: Sequence[tuple[str, str]], within: Within
    ) -> dict[tuple[str, str], StoredResource]:
        """The current versions of these (type, id), deletions included; unknown ones are left out."""
        ...

    async def read_version(self, resource_type: str, id: str, version_id: int) -> StoredResource | None:
        """One version, current or older, deletions included."""
        ...

    async def read_versions(self, versions: Sequence[tuple[str, str, int, int]]) -> Sequence[StoredResource]:
        """These older versions (type, id, number, bucket), as far as they are there."""
        ...

    async def write(self, changes: Sequence[NewVersion], events: Sequence[NewEvent] = ()) -> None:
        """Write these versions, and the events of that for the audit log, all or none.

        `WriteConflict` if one of them is not based on the current version.
        """
        ...

    async def search(self, request: SearchRequest) -> SearchPage:
        """One page of matches. Like `count` and `find` it takes only what `search/rewrite/restrict.py` restricted."""
        ...

    async def count(self, request: SearchRequest, *, estimate: bool = False) -> int:
        """How many matches there are; with `estimate`, what the planner expects."""
        ...

    async def is_outside(self, patient: str, types: Sequence[str]) -> bool:
        """Whether anything of these types in the patient's compartment may live outside of the patient's bucket."""
        ...

    async def explain(self, request: SearchRequest) -> Explanation:
        """Carry out a search to see how it is done."""
        ...

    async def find(self, requests: Sequence[SearchRequest]) -> list[Sequence[tuple[str, str]]]:
        """For each of these searches the (type, id) of its matches, two at the most: none, one, or several."""
        ...

    async def history(self, request: HistoryRequest) -> HistoryPage:
        """One page of versions."""
        ...

    async def lock(self, criteria: Sequence[str], shared: Sequence[str] = ()) -> None:
        """Wait for, and hold until the end of the transaction, these criteria of conditional interactions.

        Those that are `shared` can be held by many at once, but not while they are held alone.
        """
        ...

    async def receipt(self, digest: bytes) -> bool:
        """Note that an input with this digest was taken in; False if it was noted before."""
        ...

    async def receipts(self, digests: Sequence[bytes]) -> set[bytes]:
        """Those of these digests that are noted."""
        ...

    def transaction(self) -> AbstractAsyncContextManager["Session"]:
        """All that is done with the session it yields is committed at the end, or nothing is."""
        ...
