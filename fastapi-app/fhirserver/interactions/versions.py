"""Making a new version: stamped with id and meta, indexed, placed. Nothing is written here.

https://hl7.org/fhir/R4/http.html#versions
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from fhirserver.access.consents import denial_of
from fhirserver.access.scopes import Permission
from fhirserver.fhir.datatypes.ids import is_id
from fhirserver.fhir.outcomes import InvalidRequest, UnsupportedType
from fhirserver.fhir.placement import bucket_of
from fhirserver.fhir.resource_json import serialize
from fhirserver.interactions.compartments import patients_elsewhere
from fhirserver.interactions.context import Call, Server
from fhirserver.interactions.permission import require_states
from fhirserver.interactions.store import NewVersion, StoredResource
from fhirserver.interactions.validation import unchecked


@dataclass(frozen=True, slots=True)
class Written:
    """The outcome of a write: the version that is current now, and whether the resource is new."""

    stored: StoredResource
    created: bool
    changed: bool = True


def instant(moment: datetime) -> str:
    """An R4 instant with milliseconds: `2026-01-31T09:30:00.123Z`. `moment` is in UTC."""
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def require_type(server: Server, resource_type: str) -> None:
    """`UnsupportedType` unless R4 has this resource type."""
    if not server.definitions.is_resource_type(resource_type):
        raise UnsupportedType(f"R4 has no resource type '{resource_type}'")


def require_id(id: str) -> None:
    """`InvalidRequest` unless this is an R4 id."""
    if not is_id(id):
        raise InvalidRequest(f"'{id[:80]}' is not an id: 1 to 64 letters, digits, '-' and '.'", code="value")


def stamp(resource: dict[str, Any], id: str, version_id: int, last_updated: datetime) -> dict[str, Any]:
    """The resource with its id and with `meta.versionId` and `meta.lastUpdated` of this version, first of all."""
    meta = {"versionId": str(version_id), "lastUpdated": instant(last_updated)}
    given = resource.get("meta")
    if isinstance(given, dict):
        meta |= {
            name: value
            for name, value in given.items()
            if name not in ("versionId", "lastUpdated", "_versionId", "_lastUpdated")
        }
    stamped: dict[str, Any] = {"resourceType": resource["resourceType"], "id": id, "meta": meta}
    for name, value in resource.items():
        if name not in ("resourceType", "id", "_id", "meta"):
            stamped[name] = value
    return stamped


def next_version(
    server: Server,
    call: Call,
    permission: Permission,
    resource_type: str,
    id: str,
    resource: dict[str, Any],
    previous: StoredResource | None,
) -> NewVersion:
    """The version of a checked resource that follows `previous`, ready to be written.

    `Forbidden` unless the call has the permission for both. `previous` was read for it.
    """
    version_id = previous.version_id + 1 if previous else 1
    last_updated = following_instant(server, previous)
    stamped = stamp(resource, id, version_id, last_updated)
    content = serialize(stamped)
    with unchecked(server, resource_type, stamped):
        bucket = bucket_of(server.definitions, resource_type, id, stamped, call.base_url)
        entry = server.extractor.extract(stamped, resource_type, call.base_url)
        elsewhere = patients_elsewhere(server, stamped, content, bucket, call.base_url)
        if "\x00" in entry.strings or "\x00" in entry.texts:
            raise ValueError("PostgreSQL has no such text")
    version = StoredResource(resource_type, id, version_id, last_updated, False, content, bucket)
    denial = denial_of(server.definitions, stamped, call.base_url, server.zone) if resource_type == "Consent" else None
    change = NewVersion(version, entry, previous, elsewhere, denial)
    require_states(call, permission, change)
    return change


def deletion(server: Server, call: Call, previous: StoredResource) -> NewVersion:
    """The version that says that the resource is deleted. It stays where the resource was.

    `Forbidden` unless the call may delete `previous`, which was read for that.
    """
    version = StoredResource(
        previous.resource_type,
        previous.id,
        previous.version_id + 1,
        following_instant(server, previous),
        True,
        None,
        previous.bucket,
    )
    change = NewVersion(version, None, previous)
    require_states(call, "delete", change)
    return change


def following_instant(server: Server, previous: StoredResource | None) -> datetime:
    """Now, but later than the previous version whatever the clocks of several servers say."""
    now = server.clock()
    if previous is not None and previous.last_updated >= now:
        return previous.last_updated + timedelta(milliseconds=1)
    return now
