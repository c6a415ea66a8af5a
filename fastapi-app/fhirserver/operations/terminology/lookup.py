"""https://hl7.org/fhir/R4/codesystem-operation-lookup.html"""

from collections.abc import Iterator
from typing import Any

from fhirserver.fhir.outcomes import InvalidRequest
from fhirserver.fhir.terminology.concepts import Json, designation_in
from fhirserver.interactions.context import Call, Server
from fhirserver.interactions.terminology import Found
from fhirserver.operations.answer import parameters
from fhirserver.operations.invocation import Invocation
from fhirserver.operations.terminology.subject import codings, refuse

Item = tuple[str, str, Any]


async def lookup(server: Server, call: Call, invocation: Invocation) -> bytes:
    """What there is to know of a concept."""
    arguments = invocation.arguments
    refuse(arguments, ("date",))
    if "coding" in arguments and "system" in arguments:
        raise InvalidRequest("the system of a coding is in the coding", expression="system")
    (coding,) = codings(arguments, "version", needs_system=True)
    found = await server.terminology.lookup(coding["system"], coding["code"], coding.get("version"))
    wanted = {str(name) for name in arguments.all("property")}
    language = arguments.text("displayLanguage")
    return parameters([*_head(found, language), *_designations(found, wanted), *_properties(found, wanted)])


def _head(found: Found, language: str | None) -> Iterator[Item]:
    header = found.header
    yield "name", "valueString", header.get("title") or header.get("name") or header["url"]
    if "version" in header:
        yield "version", "valueString", header["version"]
    yield "display", "valueString", found.concept.display_in(language) or found.concept.code


def _designations(found: Found, wanted: set[str]) -> Iterator[Item]:
    """All of them, or those in the languages that are asked for as `lang.es`."""
    listed = list(found.concept.designations)
    if wanted and "designation" not in wanted:
        languages = [name.removeprefix("lang.") for name in wanted if name.startswith("lang.")]
        listed = [item for item in listed if any(designation_in([item], language) for language in languages)]
    kinds = {"language": "valueCode", "use": "valueCoding", "value": "valueString"}
    for item in listed:
        yield "designation", "part", [{"name": name, kind: item[name]} for name, kind in kinds.items() if name in item]


def _properties(found: Found, wanted: set[str]) -> Iterator[Item]:
    concept = found.concept
    own: list[Json] = [{"code": "definition", "valueString": concept.definition}] if concept.definition else []
    own += [{"code": "parent", "valueCode": code} for code in concept.parents]
    own += [{"code": "child", "valueCode": code} for code in found.children]
    own.append({"code": "inactive", "valueBoolean": concept.inactive})
    linked = {"parent", "child", "inactive"}
    own += [item for item in concept.properties if item.get("code") not in linked]
    for item in own:
        if not wanted or item.get("code") in wanted:
            value = next(((name, value) for name, value in item.items() if name.startswith("value")), None)
            if value is not None:
                parts = [{"name": "code", "valueCode": item.get("code")}, {"name": "value", value[0]: value[1]}]
                yield "property", "part", parts
