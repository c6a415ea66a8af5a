"""https://hl7.org/fhir/R4/conceptmap-operation-translate.html"""

from collections.abc import Sequence
from typing import Any

from fhirserver.fhir.outcomes import InvalidRequest
from fhirserver.fhir.terminology.concepts import Json
from fhirserver.fhir.terminology.maps import Match, TranslationRequest
from fhirserver.interactions.context import Call, Server
from fhirserver.operations.answer import parameters
from fhirserver.operations.invocation import Arguments, Invocation
from fhirserver.operations.terminology.subject import codings, resource_or_url


async def translate(server: Server, call: Call, invocation: Invocation) -> bytes:
    """What a code is in other code systems, by concept maps."""
    arguments = invocation.arguments
    request = TranslationRequest(
        codings=codings(arguments, "version", needs_system=True),
        concept_map=await resource_or_url(server, call, invocation, "conceptMap", "conceptMapVersion"),
        source=arguments.text("source"),
        target=arguments.text("target"),
        target_system=arguments.text("targetsystem"),
        reverse=arguments.flag("reverse"),
        dependencies=_dependencies(arguments),
    )
    matches = await server.terminology.translate(request)
    result = any(match.is_acceptable for match in matches)
    items: list[tuple[str, str, Any]] = [("result", "valueBoolean", result)]
    if not matches:
        items.append(("message", "valueString", "no map has a translation of the code"))
    elif not result:
        items.append(("message", "valueString", "the maps say that there is no equivalent"))
    return parameters([*items, *(("match", "part", _parts(match)) for match in matches)])


def _dependencies(arguments: Arguments) -> dict[str, Sequence[Json]]:
    found: dict[str, Sequence[Json]] = {}
    for dependency in arguments.all("dependency"):
        element, concept = dependency.text("element"), dependency.one("concept")
        if element is None or concept is None:
            raise InvalidRequest("a dependency has an element and a concept", code="required", expression="dependency")
        found[element] = concept.get("coding", ())
    return found


def _parts(match: Match) -> list[Json]:
    parts: list[Json] = [{"name": "equivalence", "valueCode": match.equivalence}]
    if match.concept is not None:
        parts.append({"name": "concept", "valueCoding": match.concept})
    for product in match.products:
        coding = {"system": product.get("system"), "code": product.get("value"), "display": product.get("display")}
        known = {name: value for name, value in coding.items() if value is not None}
        element = {"name": "element", "valueUri": product.get("property")}
        parts.append({"name": "product", "part": [element, {"name": "concept", "valueCoding": known}]})
    if match.source is not None:
        parts.append({"name": "source", "valueUri": match.source})
    return parts
