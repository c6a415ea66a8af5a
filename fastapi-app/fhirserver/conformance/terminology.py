"""TerminologyCapabilities: no code system is served, so there is little to say.

https://hl7.org/fhir/R4/terminologycapabilities.html
"""

from fhirserver.conformance.capabilities import heading
from fhirserver.fhir.resource_json import serialize


def terminology_capabilities(base_url: str, software_version: str, date: str) -> bytes:
    """The TerminologyCapabilities of the server at this base, as JSON text. `date` is an R4 dateTime."""
    path = "metadata?mode=terminology"
    return serialize(heading("TerminologyCapabilities", path, base_url, software_version, date))
