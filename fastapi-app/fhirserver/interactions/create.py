"""https://hl7.org/fhir/R4/http.html#create and #ccreate"""

from typing import Any

from fhirserver.fhir.datatypes.ids import home_bucket
from fhirserver.fhir.placement import patient_of
from fhirserver.interactions.context import Call, Server
from fhirserver.interactions.criteria import locked_match
from fhirserver.interactions.integrity import write
from fhirserver.interactions.permission import require
from fhirserver.interactions.retrying import retried
from fhirserver.interactions.validation import check
from fhirserver.interactions.versions import Written, next_version, require_type


async def create(
    server: Server,
    call: Call,
    resource_type: str,
    resource: dict[str, Any],
    if_none_exist: str | None = None,
) -> Written:
    """Store the resource under a new id. With If-None-Exist: only if nothing matches; one match is returned as it is.

    An id in the body is ignored. Raises `InvalidResource`, `MultipleMatches`, `Forbidden`.
    """
    require_type(server, resource_type)
    require(call, "create", resource_type)
    await check(server, call, resource_type, resource)
    if if_none_exist is None:
        return await insert(server, call, resource_type, resource)

    async def attempt() -> Written:
        async with server.store.transaction() as session:
            inside = server.using(session)
            match = await locked_match(inside, call, resource_type, if_none_exist)
            if match is not None:
                return Written(match, created=False, changed=False)
            return await insert(inside, call, resource_type, resource)

    written = await retried(server, attempt)
    if not written.changed:
        call.trail.read("create", written.stored)
    return written


async def insert(server: Server, call: Call, resource_type: str, resource: dict[str, Any]) -> Written:
    """Store a checked resource under a new id, whose bucket is its patient's."""
    id = assign_id(server, call, resource_type, resource)
    change = next_version(server, call, "create", resource_type, id, resource, None)
    await write(server, call, [change])
    return Written(change.version, created=True)


def assign_id(server: Server, call: Call, resource_type: str, resource: dict[str, Any]) -> str:
    """A new id in the bucket where the resource belongs."""
    patient = patient_of(server.definitions, resource_type, resource, call.base_url)
    return server.new_id(home_bucket(patient) if patient is not None else server.random_bucket())
