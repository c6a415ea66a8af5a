"""What a request leaves behind for the audit log.

The interactions note what they touch. Writes take their events along, to be committed with the change; the rest is
recorded before the answer leaves.
"""

from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import urlencode

from fhirserver.access.caller import Caller
from fhirserver.audit.auditor import Auditor
from fhirserver.audit.codes import RECORDED
from fhirserver.audit.facts import Change, Facts, NewEvent, Touched, Version, VersionChange, Who
from fhirserver.audit.patients import patients_of
from fhirserver.fhir.datatypes.ids import is_id
from fhirserver.fhir.definitions import Definitions
from fhirserver.fhir.outcomes import Forbidden

Params = Sequence[tuple[str, str]]

_MOST = 500
"""So many resources or patients stand in one event."""


class Trail:
    """That of who is not audited: the operator's command line, and everybody where there is no access control."""

    def identified(self, caller: Caller) -> None:
        """Who asks, and for which purpose."""

    def read(self, kind: str, version: Version) -> None:
        """This version was given to the caller."""

    def listed(
        self, kind: str, address: str, params: Params, versions: Iterable[Version], id: str | None = None
    ) -> None:
        """These versions were found, at an address below the base. `id`: it is the history of one resource."""

    def done(
        self, kind: str, status: int, resource_type: str | None = None, id: str | None = None, query: str | None = None
    ) -> None:
        """This was asked for, with this outcome: a refusal, or what neither gave nor changed a resource."""

    def about(self, name: str) -> None:
        """What the request is about, if that is no resource: a user, a key."""

    def signing_in(self, username: str) -> None:
        """Who the request says to come from, where that is what it has to prove."""

    def anew(self) -> None:
        """The request begins again: what was noted so far was for nothing."""

    def changing(self, changes: Sequence[VersionChange]) -> Sequence[NewEvent]:
        """The events of these changes, to be written with them. `Forbidden` for what pretends to be such an event."""
        return ()


NO_TRAIL = Trail()


class RequestTrail(Trail):
    """That of a request."""

    def __init__(self, auditor: Auditor, address: str, request_id: str):
        self._auditor = auditor
        self._request_id = request_id
        self._noted: list[Facts] = []
        self._about: str | None = None
        self._has_changed = False
        self._who = Who(address)

    def identified(self, caller: Caller) -> None:
        self._who = Who.at(self._who.address, caller)

    def read(self, kind: str, version: Version) -> None:
        touched = Touched(version.resource_type, version.id, version.version_id)
        self._noted.append(Facts(kind, 200, (touched,), patients_of(self._auditor.definitions, version)))

    def listed(
        self, kind: str, address: str, params: Params, versions: Iterable[Version], id: str | None = None
    ) -> None:
        query = urlencode(list(params), safe=":,|/$")
        definitions = self._auditor.definitions
        asked = _asked(definitions, address, params)
        found = (patient for version in versions for patient in patients_of(definitions, version))
        patients = list(dict.fromkeys((*asked, *found)))
        touched = (Touched(address.partition("/")[0], id),) if id is not None else ()
        text = f"{address}?{query}" if query else address
        for first in range(0, max(1, len(patients)), _MOST):
            self._noted.append(Facts(kind, 200, touched, patients[first : first + _MOST], text))

    def done(
        self, kind: str, status: int, resource_type: str | None = None, id: str | None = None, query: str | None = None
    ) -> None:
        is_known = resource_type is not None and self._auditor.definitions.is_resource_type(resource_type)
        touched = (Touched(resource_type, id),) if resource_type and id and is_known and is_id(id) else ()
        patients = [one.id for one in touched if one.resource_type == "Patient"]
        self._noted.append(Facts(kind, status, touched, patients, query, self._about))

    def about(self, name: str) -> None:
        self._about = name

    def signing_in(self, username: str) -> None:
        if self._who.kind is None:
            self._who = Who(self._who.address, "user", username, username)

    def anew(self) -> None:
        self._noted.clear()
        self._has_changed = False

    def changing(self, changes: Sequence[VersionChange]) -> Sequence[NewEvent]:
        if any(_pretends(change.version) for change in changes):
            raise Forbidden(f"the tag {RECORDED.system}|{RECORDED.code} is for what this server records")
        self._has_changed = True
        if len(changes) == 1:
            [change] = changes
            kind = _change(change)
            facts = [Facts(kind, 200, (_touched(change, None),), self._patients(changes))]
        else:
            parts = [changes[first : first + _MOST] for first in range(0, len(changes), _MOST)]
            facts = [
                Facts("transaction", 200, [_touched(change, _change(change)) for change in part], self._patients(part))
                for part in parts
            ]
        bucket = changes[0].version.bucket
        return [self._auditor.event(one, self._who, self._request_id, bucket) for one in facts]

    async def finish(
        self, kind: str, status: int, resource_type: str | None, id: str | None, query: str | None
    ) -> None:
        """Record what was noted, and the outcome of the request if that says more. Returns when it is safe.

        Raises `Unavailable` if it can't be recorded.
        """
        if status >= 400 or not (self._noted or self._has_changed):
            # What was read for an answer that does not leave was not given to anybody.
            self._noted.clear()
            self.done(kind, status, resource_type, id, query)
        await self._auditor.record([(facts, self._who, self._request_id) for facts in self._noted])

    def _patients(self, changes: Sequence[VersionChange]) -> Sequence[str]:
        versions = (one for change in changes for one in (change.version, change.previous) if one is not None)
        return tuple(
            dict.fromkeys(id for version in versions for id in patients_of(self._auditor.definitions, version))
        )


def _asked(definitions: Definitions, address: str, params: Params) -> Iterator[str]:
    """The ids of the patients whom a search names, whether or not it finds anything."""
    path = address.split("/")
    if path[0] == "Patient" and len(path) > 1 and is_id(path[1]):
        yield path[1]
    placing = definitions.placing_parameters(path[-1]) if definitions.is_resource_type(path[-1]) else ()
    for name, values in params:
        code, _, modifier = name.partition(":")
        for value in values.split(","):
            resource_type, slash, id = value.rpartition("/")
            if not slash and (code == "patient" or modifier == "Patient" or (code == "_id" and path[-1] == "Patient")):
                resource_type = "Patient"
            if resource_type == "Patient" and (code in placing or code in ("patient", "_id")) and is_id(id):
                yield id


def _pretends(version: Version) -> bool:
    """Whether a client's AuditEvent looks as if this server had recorded it."""
    return version.resource_type == "AuditEvent" and f'"{RECORDED.system}"'.encode() in (version.content or b"")


def _change(change: VersionChange) -> Change:
    if change.version.content is None:
        return "delete"
    return "create" if change.previous is None or change.previous.content is None else "update"


def _touched(change: VersionChange, done: Change | None) -> Touched:
    version = change.version
    return Touched(version.resource_type, version.id, version.version_id, done)
