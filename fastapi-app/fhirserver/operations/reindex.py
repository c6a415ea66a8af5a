"""`$reindex`: index again what is stored, so that it is found by search parameters that were posted later.

On the system or a type it starts a job; on a resource it is done at once. It is for those who may update all of the
types that it is about.
"""

from collections.abc import Sequence

from fhirserver.access.scopes import NAMED_ONLY
from fhirserver.fhir.definitions.operations import OperationDefinition, OperationParameter
from fhirserver.fhir.outcomes import Forbidden, InvalidRequest, NotFound, Unprocessable, UnsupportedOperation
from fhirserver.interactions.context import Call, Server
from fhirserver.interactions.index_store import IndexStore
from fhirserver.interactions.jobs import NewJob
from fhirserver.interactions.reindexing import make_entries
from fhirserver.operations.answer import Accepted, parameters
from fhirserver.operations.invocation import Invocation
from fhirserver.operations.jobs import address_of, jobs_of

DEFINITION = OperationDefinition(
    code="reindex",
    url="urn:fhirserver:OperationDefinition:reindex",
    title="Reindex",
    description="Index again what is stored, so that it is found by search parameters that were posted later.",
    system=True,
    type=True,
    instance=True,
    resource_types=("Resource",),
    parameters=(
        OperationParameter("type", "code", max=None, documentation="Only resources of this type"),
        OperationParameter(
            "searchParameter",
            "uri",
            max=None,
            documentation="Only for this search parameter: the URL or the address (SearchParameter/id) of one that"
            " was posted",
        ),
        OperationParameter("all", "boolean", documentation="Also resources whose index is up to date"),
        OperationParameter("perSecond", "positiveInt", documentation="At most so many resources in a second"),
    ),
    affects_state=True,
)


async def reindex(server: Server, call: Call, invocation: Invocation) -> bytes | Accepted:
    """Start the job, or index one resource again."""
    index = server.index
    if index is None:
        raise UnsupportedOperation("this server does not reindex")
    arguments = invocation.arguments
    if invocation.id is not None:
        return await _one(server, call, index, str(invocation.resource_type), invocation.id)
    types = [str(name) for name in arguments.all("type")]
    if invocation.resource_type is not None:
        if types:
            raise InvalidRequest("on a type, $reindex takes no parameter 'type'", expression="type")
        types = [invocation.resource_type]
    for name in types:
        if not server.definitions.is_resource_type(name):
            raise InvalidRequest(f"R4 has no resource type '{name[:80]}'", expression="type", code="value")
    per_second = arguments.number("perSecond")
    if per_second is not None and per_second < 1:
        raise InvalidRequest("perSecond is 1 at least", expression="perSecond", code="value")
    require_all(server, call, types)
    asked = {
        "types": types or None,
        "searchParameters": await _ids(index, [str(text) for text in arguments.all("searchParameter")]),
        "all": arguments.flag("all"),
        "perSecond": per_second,
        "baseUrl": call.base_url,
    }
    id = await jobs_of(server).add(NewJob("reindex", asked, call.caller.name))
    address = address_of(call, id)
    return Accepted(address, parameters([("job", "valueId", id), ("status", "valueUri", address)]))


def require_all(server: Server, call: Call, types: Sequence[str]) -> None:
    """`Forbidden` unless the call may update everything of these types; without any, of all that `*` stands for."""
    for name in types or (name for name in server.definitions.resource_types if name not in NAMED_ONLY):
        if not call.policy.allows_all("update", name):
            raise Forbidden(f"{call.caller.name} has no permission to reindex: it is for who may update every {name}")


async def _ids(index: IndexStore, wanted: Sequence[str]) -> list[str]:
    """The ids of the SearchParameters that these URLs or addresses name."""
    if not wanted:
        return []
    registered = (await index.registry()).parameters
    names = {item.definition["url"]: item.id for item in registered}
    names |= {f"SearchParameter/{item.id}": item.id for item in registered}
    unknown = [text for text in wanted if text not in names]
    if unknown:
        raise InvalidRequest(
            f"there is no active search parameter '{unknown[0][:200]}'", expression="searchParameter", code="not-found"
        )
    return [names[text] for text in wanted]


async def _one(server: Server, call: Call, index: IndexStore, resource_type: str, id: str) -> bytes:
    require_all(server, call, [resource_type])
    found = await index.indexed(resource_type, id)
    if found is None:
        raise NotFound(f"{resource_type}/{id} is not known")
    entries, failures = await make_entries(server, [found], call.base_url)
    if not entries:
        raise Unprocessable(failures[0].reason)
    replaced = await index.reindex(entries)
    told = [("problem", "valueString", failure.reason) for failure in failures]
    return parameters([("reindexed", "valueBoolean", replaced == 1), *told])
