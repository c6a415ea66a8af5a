"""https://hl7.org/fhir/R4/http.html#delete"""

from fhirserver.fhir.outcomes import Conflict
from fhirserver.interactions.context import Call, Server
from fhirserver.interactions.integrity import write
from fhirserver.interactions.permission import read_current, require_deletable
from fhirserver.interactions.preconditions import require_match
from fhirserver.interactions.store import StoredResource, WriteConflict
from fhirserver.interactions.versions import deletion, require_id, require_type

_ATTEMPTS = 50


async def delete(
    server: Server, call: Call, resource_type: str, id: str, if_match: str | None = None
) -> StoredResource | None:
    """Delete the resource: the deletion is a version of its own. None if there was nothing (left) to delete.

    Raises `Conflict` for what others refer to, if the server keeps referential integrity.

    A call that may not delete everything gets `NotFound` for what is not there or may not be seen, and `Forbidden`.
    """
    require_type(server, resource_type)
    require_id(id)
    for _ in range(_ATTEMPTS):
        current = await read_current(server, call, "delete", resource_type, id)
        await require_deletable(server, call, current, resource_type, id)
        require_match(if_match, current)
        if current is None or current.deleted:
            call.trail.done("delete", 204, resource_type, id)
            return current
        change = deletion(server, call, current)
        try:
            await write(server, call, [change])
        except WriteConflict:
            continue
        return change.version
    raise Conflict(f"{resource_type}/{id} is being written by too many others at once")
