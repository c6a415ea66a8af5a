"""https://hl7.org/fhir/R4/capabilitystatement-operation-versions.html"""

from fhirserver.interactions.context import Call, Server
from fhirserver.operations.answer import parameters
from fhirserver.operations.invocation import Invocation


async def versions(server: Server, call: Call, invocation: Invocation) -> bytes:
    """The versions of FHIR that can be spoken here: one."""
    version = ".".join(server.definitions.fhir_version.split(".")[:2])
    return parameters([("version", "valueCode", version), ("default", "valueCode", version)])
