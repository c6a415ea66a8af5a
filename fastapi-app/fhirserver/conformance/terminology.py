"""TerminologyCapabilities: the code systems that are known, and what `$expand` can be asked for.

https://hl7.org/fhir/R4/terminologycapabilities.html
"""

from collections.abc import Iterable
from itertools import groupby

from fhirserver.conformance.capabilities import heading
from fhirserver.fhir.definitions import Definitions
from fhirserver.fhir.resource_json import serialize
from fhirserver.operations.terminology.expand import NOT_SUPPORTED

_TEXT_FILTER = (
    "Concepts are found that have, for each word of the filter, a word in code, display or designations that begins"
    " with it; neither case nor accents matter. Those with the shortest display come first."
)


def terminology_capabilities(
    definitions: Definitions,
    code_systems: Iterable[tuple[str, str | None]],
    base_url: str,
    software_version: str,
    date: str,
) -> bytes:
    """The TerminologyCapabilities of the server at this base, as JSON text. `date` is an R4 dateTime.

    `code_systems` are URL and version, sorted.
    """
    parameters = definitions.operations["ValueSet-expand"].parameters
    statement = {
        **heading("TerminologyCapabilities", "metadata?mode=terminology", base_url, software_version, date),
        "codeSystem": [
            {"uri": url, "version": [{"code": version} for _, version in known if version], "subsumption": True}
            for url, known in groupby(code_systems, key=lambda system: system[0])
        ],
        "expansion": {
            "hierarchical": True,
            "paging": True,
            "incomplete": False,
            "parameter": [{"name": item.name} for item in parameters if item.name not in NOT_SUPPORTED],
            "textFilter": _TEXT_FILTER,
        },
        "codeSearch": "all",
        "validateCode": {"translations": False},
        "translation": {"needsMap": False},
    }
    for system in statement["codeSystem"]:
        if not system["version"]:
            del system["version"]
    return serialize(statement)
