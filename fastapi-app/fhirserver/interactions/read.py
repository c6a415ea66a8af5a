"""https://hl7.org/fhir/R4/http.html#read"""

from fhirserver.fhir.outcomes import Gone, NotFound
from fhirserver.interactions.context import Call, Server
from fhirserver.interactions.store import StoredResource
from fhirserver.interactions.versions import require_id, require_type


async def read(server: Server, call: Call, resource_type: str, id: str) -> StoredResource:
    """The current version. `NotFound` if there never was one, `Gone` if it is deleted."""
    require_type(server, resource_type)
    require_id(id)
    return current(await server.store.read(resource_type, id), resource_type, id)


def current(stored: StoredResource | None, resource_type: str, id: str) -> StoredResource:
    """`stored`, if it can be shown; else `NotFound` or `Gone`."""
    if stored is None:
        raise NotFound(f"{resource_type}/{id} is not known")
    if stored.deleted:
        raise Gone(f"{resource_type}/{id} was deleted (version {stored.version_id})")
    return stored
