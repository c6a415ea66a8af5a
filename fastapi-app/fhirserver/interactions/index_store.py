"""What indexing needs from storage: the registered search parameters, and the index entries of what is stored.

The *index version* is a number that goes up whenever the search parameters change (decisions/0011). Each index entry
tells by which version it was made.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from fhirserver.interactions.store import StoredResource
from fhirserver.search.entry import IndexEntry


@dataclass(frozen=True, slots=True)
class Registered:
    """A search parameter: the id of its resource, what that says, the index version since which it is indexed by, and
    whether everything is."""

    id: str
    definition: dict[str, Any]
    since: int
    ready: bool


@dataclass(frozen=True, slots=True)
class IndexFormat:
    """The format of the index, the version since which it is that, and whether everything is."""

    format: int
    since: int
    ready: bool


@dataclass(frozen=True, slots=True)
class Registry:
    """The present index version, the format, and the parameters that were posted, oldest first."""

    number: int
    format: IndexFormat
    parameters: Sequence[Registered]


@dataclass(frozen=True, slots=True)
class Outdated:
    """Resources of these types (None: of all), and what contains such resources, indexed before a version."""

    types: tuple[str, ...] | None
    since: int


@dataclass(frozen=True, slots=True)
class Indexed:
    """The current version of a resource, and the targets of references that stand in its index entry."""

    version: StoredResource
    targets: Sequence[int]


@dataclass(frozen=True, slots=True)
class Reindexed:
    """A new index entry for a version; `elsewhere` as in NewVersion."""

    version: StoredResource
    entry: IndexEntry
    elsewhere: tuple[str, ...]


class IndexStore(Protocol):
    """Each call is a transaction of its own."""

    async def changes(self) -> Mapping[str, int]:
        """How many changes there were, by type of resource (`store.FOLLOWED`)."""
        ...

    async def registry(self) -> Registry:
        """All that is registered."""
        ...

    async def set_format(self, format: int) -> None:
        """This is the format of the index from now on, if it had an older one."""
        ...

    async def doubt_format(self) -> None:
        """Something may have been indexed by an older format again."""
        ...

    async def mark_ready(self, parameters: Sequence[tuple[str, int]], format_since: int | None) -> None:
        """These parameters (id, since) are ready, if they are still the same; with `format_since`, the format too."""
        ...

    async def count_outdated(self, scope: Sequence[Outdated], first_bucket: int) -> Sequence[tuple[int, str, int]]:
        """How many there are, by bucket and type, from this bucket on: (bucket, type, number), in order."""
        ...

    async def outdated(
        self, scope: Sequence[Outdated], buckets: Sequence[int], after: tuple[int, str, str], limit: int
    ) -> Sequence[Indexed]:
        """The next of them in these buckets, after this (bucket, type, id); fewer than `limit` if they are large."""
        ...

    async def has_outdated(self, scope: Outdated) -> bool:
        """Whether there are any."""
        ...

    async def indexed(self, resource_type: str, id: str) -> Indexed | None:
        """The current version of one resource; None if there is none, or it is deleted."""
        ...

    async def reindex(self, entries: Sequence[Reindexed]) -> int:
        """Replace the index entries of these versions; how many were, as the others changed meanwhile."""
        ...

    async def now(self) -> datetime:
        """The database's time."""
        ...

    async def has_older_transactions(self, moment: datetime) -> bool:
        """Whether a transaction of this server goes on that began before."""
        ...
