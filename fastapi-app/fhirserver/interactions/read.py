"""https://hl7.org/fhir/R4/http.html#read"""

from fhirserver.fhir.outcomes import Gone, NotFound
from fhirserver.interactions.context import Call, Server
from fhirserver.interactions.permission import read_current
from fhirserver.interactions.store import StoredResource
from fhirserver.interactions.versions import require_id, require_type


async def read(server: Server, call: Call, resource_type: str, id: str) -> StoredResource:
    """The current version. `NotFound` if there is none that the call may see, `Gone` if it is deleted."""
    require_type(server, resource_type)
    require_id(id)
    stored = await read_current(server, call, "read", resource_type, id)
    if stored is None or not stored.permitted:
        raise NotFound(f"{resource_type}/{id} is not known")
    if stored.deleted:
        raise Gone(f"{resource_type}/{id} was deleted (version {stored.version_id})")
    call.trail.read("read", stored)
    return stored
