"""Search criteria that stand for one resource, as conditional interactions and references use them.

Who may write for want of a match takes a lock keyed by the criteria before it searches, inside the transaction that
writes, so that two of them can't both find nothing.
"""

from fhirserver.fhir.outcomes import InvalidRequest, MultipleMatches
from fhirserver.interactions.context import Call, Server
from fhirserver.interactions.pending import settled
from fhirserver.interactions.permission import require, visible
from fhirserver.interactions.store import StoredResource
from fhirserver.interactions.versions import require_type
from fhirserver.search.query.parameters import query_parameters
from fhirserver.search.query.parse import parse_query
from fhirserver.search.request import SearchRequest
from fhirserver.search.rewrite.canonical import canonical


async def criteria_request(server: Server, call: Call, resource_type: str, query: str) -> SearchRequest:
    """The search that these criteria stand for: `identifier=a|b&active=true`, with or without `Type?` before it.

    Raises `InvalidRequest` if there are none, or one that is not known.
    """
    require_type(server, resource_type)
    head, mark, rest = query.partition("?")
    if mark and "=" not in head:
        if head not in ("", resource_type):
            raise InvalidRequest(f"the criteria are to find a {resource_type}, not a '{head[:80]}'")
        query = rest
    request = parse_query(
        query_parameters(query),
        resource_type,
        server.definitions,
        server.zone,
        call.base_url,
        lenient=False,
        now=server.clock(),
    )
    if request.is_everything:
        raise InvalidRequest("a conditional interaction needs at least one search criterion")
    return await settled(server, call, request)


async def locked_match(server: Server, call: Call, resource_type: str, query: str) -> StoredResource | None:
    """The one resource that matches, or None. `MultipleMatches` if there are several. Within a transaction.

    What the call may not find does not match. `Forbidden` if it may find nothing of the type.
    """
    request = await criteria_request(server, call, resource_type, query)
    tree = require(call, "search", resource_type)
    await server.store.lock([canonical(request)])
    [found] = await server.store.find([visible(server, call, request)])
    if not found:
        return None
    if len(found) > 1:
        raise MultipleMatches(f"several {resource_type} match '{query[:200]}'")
    return await server.store.read(*found[0], tree)
