"""Conditional update and delete: the resource is told by search criteria instead of an id.

https://hl7.org/fhir/R4/http.html#cond-update and #cdelete
"""

from typing import Any

from fhirserver.fhir.outcomes import Conflict, Forbidden, InvalidRequest
from fhirserver.interactions.context import Call, Server
from fhirserver.interactions.create import create
from fhirserver.interactions.criteria import locked_match
from fhirserver.interactions.delete import delete
from fhirserver.interactions.permission import read_current
from fhirserver.interactions.retrying import retried
from fhirserver.interactions.store import StoredResource
from fhirserver.interactions.update import update
from fhirserver.interactions.versions import Written, require_type


async def conditional_update(
    server: Server,
    call: Call,
    resource_type: str,
    query: str,
    resource: dict[str, Any],
    if_match: str | None = None,
) -> Written:
    """Update the one match; without a match create, under the id in the body if there is one.

    Raises `Conflict` if that id is taken: by a resource that the criteria do not match.
    """
    require_type(server, resource_type)

    async def attempt() -> Written:
        async with server.store.transaction() as session:
            inside = server.using(session)
            match = await locked_match(inside, call, resource_type, query)
            given = resource.get("id")
            if match is None:
                if given is None:
                    return await create(inside, call, resource_type, resource)
                require_free(call, await read_current(inside, call, "update", resource_type, str(given)))
                return await update(inside, call, resource_type, str(given), resource, if_match)
            if given is not None and given != match.id:
                raise InvalidRequest(
                    f"the criteria match {resource_type}/{match.id}, the body has id '{str(given)[:80]}'",
                    expression="id",
                )
            return await update(inside, call, resource_type, match.id, {**resource, "id": match.id}, if_match)

    return await retried(server, attempt)


async def conditional_delete(server: Server, call: Call, resource_type: str, query: str) -> StoredResource | None:
    """Delete the one match. None if there is none; `MultipleMatches` if there are several."""

    async def attempt() -> StoredResource | None:
        async with server.store.transaction() as session:
            inside = server.using(session)
            match = await locked_match(inside, call, resource_type, query)
            return await delete(inside, call, resource_type, match.id) if match is not None else None

    return await retried(server, attempt)


def require_free(call: Call, stored: StoredResource | None) -> None:
    """`Conflict` if there is such a resource; `Forbidden` if it is one that the call may not update."""
    if stored is not None and not stored.permitted:
        raise Forbidden(f"{call.caller.name} has no permission to update that {stored.resource_type}")
    if stored is not None and not stored.deleted:
        raise Conflict(f"nothing matches the criteria, but {stored.resource_type}/{stored.id} exists", expression="id")
