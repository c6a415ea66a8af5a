"""https://hl7.org/fhir/R4/codesystem-operation-subsumes.html"""

from fhirserver.fhir.outcomes import InvalidRequest
from fhirserver.interactions.context import Call, Server
from fhirserver.operations.answer import parameters
from fhirserver.operations.invocation import Arguments, Invocation
from fhirserver.operations.terminology.subject import Json, resource_or_url


async def subsumes(server: Server, call: Call, invocation: Invocation) -> bytes:
    """How two codes of a code system relate: equivalent, subsumes, subsumed-by, not-subsumed."""
    arguments = invocation.arguments
    a, b = _coding(arguments, "A"), _coding(arguments, "B")
    system, version = arguments.text("system"), arguments.text("version")
    own = await resource_or_url(server, call, invocation, "codeSystem")
    if isinstance(own, dict):
        system, version = own.get("url", system), own.get("version", version)
    systems = {text for text in (system, a.get("system"), b.get("system")) if text is not None}
    if not systems:
        raise InvalidRequest("the code system is not named", code="required", expression="system")
    if len(systems) > 1:
        raise InvalidRequest(
            f"how codes of several code systems relate is not known: {', '.join(sorted(systems))[:500]}",
            code="not-supported",
            expression="system",
        )
    version = version or a.get("version") or b.get("version")
    outcome = await server.terminology.subsumes(systems.pop(), a["code"], b["code"], version)
    return parameters([("outcome", "valueCode", outcome)])


def _coding(arguments: Arguments, which: str) -> Json:
    code, coding = arguments.text(f"code{which}"), arguments.one(f"coding{which}")
    if (code is None) == (coding is None):
        problem = f"one of code{which} and coding{which} is needed"
        raise InvalidRequest(problem, code="required" if code is None else "invalid", expression=f"code{which}")
    found: Json = {"code": code} if coding is None else coding
    if "code" not in found:
        raise InvalidRequest(f"there is no code in coding{which}", code="required", expression=f"coding{which}")
    return found
