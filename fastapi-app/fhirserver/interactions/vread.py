"""https://hl7.org/fhir/R4/http.html#vread"""

from fhirserver.fhir.outcomes import Gone, NotFound
from fhirserver.interactions.context import Call, Server
from fhirserver.interactions.permission import matches, read_current, require
from fhirserver.interactions.store import StoredResource
from fhirserver.interactions.versions import require_id, require_type

_LAST_VERSION = 2**63 - 1


async def vread(server: Server, call: Call, resource_type: str, id: str, version_id: str) -> StoredResource:
    """One version. `NotFound` if there is none with this number, `Gone` if that version is the deletion.

    A call that may not see everything sees a version if it may see both that and the current one.
    """
    require_type(server, resource_type)
    require_id(id)
    require_id(version_id)
    is_restricted = require(call, "read", resource_type) is not None
    stored = None
    if version_id.isascii() and version_id.isdigit() and int(version_id) <= _LAST_VERSION:
        stored = await server.store.read_version(resource_type, id, int(version_id))
    if stored is not None and is_restricted:
        now = await read_current(server, call, "read", resource_type, id)
        if now is None or not now.permitted or not (stored.deleted or matches(server, call, "read", stored)):
            stored = None
    if stored is None:
        raise NotFound(f"{resource_type}/{id} has no version {version_id}")
    if stored.deleted:
        raise Gone(f"version {version_id} of {resource_type}/{id} is its deletion")
    call.trail.read("vread", stored)
    return stored
