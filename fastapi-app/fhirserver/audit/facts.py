"""What an event tells, before it is an AuditEvent."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from fhirserver.access.caller import Caller, Kind
from fhirserver.search.entry import IndexEntry

Change = Literal["create", "update", "delete"]


class Version(Protocol):
    """A version of a resource as the interactions have it."""

    @property
    def resource_type(self) -> str: ...
    @property
    def id(self) -> str: ...
    @property
    def version_id(self) -> int: ...
    @property
    def content(self) -> bytes | None: ...
    @property
    def bucket(self) -> int: ...


class VersionChange(Protocol):
    """A version that is about to be written, and the one that it replaces."""

    @property
    def version(self) -> Version: ...
    @property
    def previous(self) -> Version | None: ...


@dataclass(frozen=True, slots=True)
class Touched:
    """A resource that an event is about. `change`: what was done to it, where it was written with others."""

    resource_type: str
    id: str
    version_id: int | None = None
    change: Change | None = None

    def __str__(self) -> str:
        address = f"{self.resource_type}/{self.id}"
        return address if self.version_id is None else f"{address}/_history/{self.version_id}"


@dataclass(frozen=True, slots=True)
class Who:
    """Whom a request comes from: what an event tells of the caller, and the address of the network.

    Without `kind` nobody was identified.
    """

    address: str
    kind: Kind | None = None
    id: str = ""
    name: str = ""
    credential: str = ""
    roles: tuple[str, ...] = ()
    fhir_user: str | None = None
    purpose_of_use: str | None = None
    reason: str | None = None

    @classmethod
    def at(cls, address: str, caller: Caller | None) -> "Who":
        """The caller, if there is one, at this address."""
        if caller is None:
            return cls(address)
        return cls(
            address, caller.kind, caller.id, caller.name, caller.credential, caller.roles, caller.fhir_user,
            caller.purpose_of_use, caller.reason,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Facts:
    """One event: `kind` is one of `kinds.KINDS`, `status` that of HTTP.

    `patients` are the ids of those whom it concerns. `query` is what was asked, as the text of a URL below the base;
    `about` what it concerns that is no resource: a user, a key.
    """

    kind: str
    status: int
    touched: Sequence[Touched] = ()
    patients: Sequence[str] = ()
    query: str | None = None
    about: str | None = None


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An AuditEvent that is to be stored: its JSON text, and by what it is found. It has one version."""

    id: str
    bucket: int
    recorded: datetime
    content: bytes
    entry: IndexEntry
    line: dict[str, Any]
    """What is logged of it: who and what kind, nothing that could name a patient."""
