"""https://hl7.org/fhir/R4/valueset-operation-expand.html"""

from fhirserver.fhir.outcomes import InvalidRequest
from fhirserver.fhir.resource_json import serialize
from fhirserver.fhir.terminology.expansion import ExpansionRequest
from fhirserver.interactions.context import Call, Server
from fhirserver.operations.invocation import Invocation
from fhirserver.operations.terminology.subject import refuse, resource_or_url, versions

NOT_SUPPORTED = ("context", "contextDirection", "date")
_MOST = 2**31 - 1


async def expand(server: Server, call: Call, invocation: Invocation) -> bytes:
    """The codes of a value set, as a ValueSet with its expansion."""
    arguments = invocation.arguments
    refuse(arguments, NOT_SUPPORTED)
    value_set = await resource_or_url(server, call, invocation, "valueSet", "valueSetVersion")
    if value_set is None:
        raise InvalidRequest("url or valueSet is needed", code="required", expression="url")
    for name in ("offset", "count"):
        number = arguments.number(name)
        if number is not None and not 0 <= number <= _MOST:
            raise InvalidRequest(f"{name} is a whole number from 0 on", code="value", expression=name)
    request = ExpansionRequest(
        value_set=value_set,
        text=arguments.text("filter"),
        offset=arguments.number("offset") or 0,
        count=arguments.number("count"),
        active_only=arguments.flag("activeOnly"),
        selectable_only=arguments.flag("excludeNotForUI"),
        nested=not arguments.flag("excludeNested", default=True),
        with_definition=arguments.flag("includeDefinition"),
        with_designations=arguments.flag("includeDesignations"),
        designations=[str(token) for token in arguments.all("designation")],
        language=arguments.text("displayLanguage"),
        excluded_systems=[str(url) for url in arguments.all("exclude-system")],
        versions=versions(arguments, "system-version"),
        checked_versions=versions(arguments, "check-system-version"),
        forced_versions=versions(arguments, "force-system-version"),
    )
    return serialize(await server.terminology.expand(request))
