"""https://hl7.org/fhir/R4/http.html#update and #upsert"""

from typing import Any

from fhirserver.fhir.outcomes import Conflict, InvalidRequest
from fhirserver.interactions.context import Call, Server
from fhirserver.interactions.integrity import write
from fhirserver.interactions.permission import read_current, require
from fhirserver.interactions.preconditions import require_match, require_none_match
from fhirserver.interactions.store import WriteConflict
from fhirserver.interactions.validation import check
from fhirserver.interactions.versions import Written, next_version, require_id, require_type

_ATTEMPTS = 50


async def update(
    server: Server,
    call: Call,
    resource_type: str,
    id: str,
    resource: dict[str, Any],
    if_match: str | None = None,
    if_none_match: str | None = None,
) -> Written:
    """Store the resource as the next version of Type/id; as its first if there is none, or revive a deleted one.

    Raises `InvalidRequest` if the body's id is missing or another, `PreconditionFailed`, `InvalidResource`, `Forbidden`
    unless the call may update both what is there and what is to be there. Without If-Match the last writer wins: when
    another one was faster, this one follows it.
    """
    require_type(server, resource_type)
    require_id(id)
    require(call, "update", resource_type)
    require_body_id(resource, id)
    await check(server, call, resource_type, resource)
    for _ in range(_ATTEMPTS):
        current = await read_current(server, call, "update", resource_type, id)
        change = next_version(server, call, "update", resource_type, id, resource, current)
        require_match(if_match, current)
        require_none_match(if_none_match, current)
        try:
            await write(server, call, [change])
        except WriteConflict:
            continue
        return Written(change.version, created=current is None or current.deleted)
    raise Conflict(f"{resource_type}/{id} is being written by too many others at once")


def require_body_id(resource: dict[str, Any], id: str) -> None:
    """The body of an update carries the id of its address."""
    given = resource.get("id")
    if given is None:
        raise InvalidRequest(f"the body of an update carries its id ('{id}')", expression="id")
    if given != id:
        raise InvalidRequest(f"the body has id {str(given)[:80]!r}, the address says '{id}'", expression="id")
