"""https://hl7.org/fhir/R4/valueset-operation-validate-code.html and codesystem-operation-validate-code.html"""

from collections.abc import Sequence
from dataclasses import replace

from fhirserver.fhir.outcomes import InvalidRequest
from fhirserver.interactions.context import Call, Server
from fhirserver.interactions.terminology import CodeAnswer, CodeQuestion
from fhirserver.operations.answer import parameters
from fhirserver.operations.invocation import Arguments, Invocation
from fhirserver.operations.terminology.subject import Json, codings, refuse, resource_or_url


async def in_value_set(server: Server, call: Call, invocation: Invocation) -> bytes:
    """Whether a code is in a value set; of a CodeableConcept, one of its codes."""
    arguments = invocation.arguments
    refuse(arguments, ("context", "date"))
    value_set = await resource_or_url(server, call, invocation, "valueSet", "valueSetVersion")
    if value_set is None:
        raise InvalidRequest("url or valueSet is needed", code="required", expression="url")
    found = codings(arguments, "systemVersion", needs_system=False)
    return await _answer(server, [replace(item, value_set=value_set) for item in _questions(arguments, found)])


async def in_code_system(server: Server, call: Call, invocation: Invocation) -> bytes:
    """Whether a code is one of a code system; of a CodeableConcept, one of its codes."""
    arguments = invocation.arguments
    refuse(arguments, ("date",))
    given = await resource_or_url(server, call, invocation, "codeSystem", "version")
    found = codings(arguments, "version", needs_system=given is None)
    return await _answer(server, [_within(given, item) for item in _questions(arguments, found)])


def _within(code_system: Json | str | None, question: CodeQuestion) -> CodeQuestion:
    """The question about this code system. What has a URL is found by it, where it is ready for questions."""
    if code_system is None:
        return question
    if isinstance(code_system, dict):
        url, version = code_system.get("url", ""), code_system.get("version", question.version)
    else:
        url, _, version = code_system.partition("|")
    if question.system not in (None, url):
        raise InvalidRequest(f"the code is of '{str(question.system)[:200]}', not of '{url}'", expression="system")
    inline = code_system if isinstance(code_system, dict) and "concept" in code_system else None
    return replace(question, system=url, version=version or question.version, code_system=inline)


def _questions(arguments: Arguments, found: Sequence[Json]) -> list[CodeQuestion]:
    return [
        CodeQuestion(
            code=coding["code"],
            system=coding.get("system"),
            version=coding.get("version"),
            display=coding.get("display"),
            language=arguments.text("displayLanguage"),
            selectable=not arguments.flag("abstract", default=True),
        )
        for coding in found
    ]


async def _answer(server: Server, questions: Sequence[CodeQuestion]) -> bytes:
    answers = await server.terminology.check(questions)
    chosen = next((answer for answer in answers if answer.result), None)
    if chosen is None:
        problem = next((answer.problem for answer in answers if answer.problem is not None), None)
        if problem is not None:
            raise problem
        messages = dict.fromkeys(answer.message for answer in answers if answer.message)
        display = next((answer.display for answer in answers if answer.display), None)
        chosen = CodeAnswer(False, "; ".join(messages), display)
    items = [
        ("result", "valueBoolean", bool(chosen.result)),
        ("message", "valueString", chosen.message),
        ("display", "valueString", chosen.display),
    ]
    return parameters(item for item in items if item[2] is not None)
