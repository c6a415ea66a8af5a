"""https://hl7.org/fhir/R4/resource-operation-validate.html"""

from collections.abc import Iterable
from typing import Any

from fhirserver.fhir.outcomes import FhirError, InvalidRequest, Issue, Severity, operation_outcome
from fhirserver.fhir.resource_json import parse, serialize
from fhirserver.fhir.validation.bindings import SEVERITIES
from fhirserver.fhir.validation.positions import located
from fhirserver.fhir.validation.report import Question, written
from fhirserver.interactions.context import Call, Server
from fhirserver.interactions.read import read
from fhirserver.interactions.terminology import CodeAnswer, CodeQuestion
from fhirserver.interactions.update import require_body_id
from fhirserver.operations.invocation import Invocation

_MODES = ("create", "update", "delete", "profile")
_PROFILES = "http://hl7.org/fhir/StructureDefinition/"


async def validate(server: Server, call: Call, invocation: Invocation) -> bytes:
    """An OperationOutcome of all that is wrong with a resource, or could be better.

    The resource is the one given or, on an instance without one, the one that is stored. Raises `InvalidRequest` for
    a mode that there is not and where there is nothing to validate; `NotFound`, `Gone`.
    """
    mode = invocation.arguments.text("mode")
    if mode is not None and mode not in _MODES:
        raise InvalidRequest(f"mode is one of {', '.join(_MODES)}, not {mode[:80]!r}", code="value", expression="mode")
    resource = invocation.arguments.one("resource")
    if mode == "delete":
        return await _validate_delete(server, call, invocation)
    if resource is None or mode == "profile":
        if invocation.id is None:
            raise InvalidRequest("$validate on a type needs a resource", code="required", expression="resource")
        resource = parse((await read(server, call, str(invocation.resource_type), invocation.id)).live)
    if not isinstance(resource, dict):
        raise InvalidRequest("the resource is no object", code="structure", expression="resource")
    report = server.validator.inspect(resource, invocation.resource_type, "full")
    issues = [
        *report.issues,
        *_of_mode(mode, resource, invocation.id),
        *_of_profiles(server, resource, invocation.arguments.text("profile")),
        *await _of_codes(server, report.questions),
    ]
    if invocation.text is not None:
        issues = located(issues, invocation.text, _place_of_resource(parse(invocation.text)))
    return serialize(operation_outcome(issues))


async def _validate_delete(server: Server, call: Call, invocation: Invocation) -> bytes:
    if invocation.id is None:
        raise InvalidRequest("mode delete is for a resource that is stored", code="invalid", expression="mode")
    await read(server, call, str(invocation.resource_type), invocation.id)
    return serialize(operation_outcome([]))


def _of_mode(mode: str | None, resource: dict[str, Any], id: str | None) -> Iterable[Issue]:
    """What an update, or a create, would say beyond what is wrong with the resource."""
    place = f"{resource.get('resourceType')}.id"
    if mode == "update" and (id is not None or "id" not in resource):
        try:
            require_body_id(resource, id or "")
        except FhirError as error:
            yield from (Issue("error", issue.code, issue.diagnostics, (place,)) for issue in error.issues)
    elif mode == "create" and "id" in resource:
        yield Issue("information", "informational", "A create gives another id", (place,))


def _of_profiles(server: Server, resource: dict[str, Any], profile: str | None) -> Iterable[Issue]:
    """Issues about profiles: R4's own types are checked anyway, others are not known."""
    resource_type = str(resource.get("resourceType"))
    meta = resource.get("meta")
    claimed = meta.get("profile") if isinstance(meta, dict) else None
    asked: list[tuple[Any, str, Severity]] = [(profile, resource_type, "error")] if profile is not None else []
    for index, url in enumerate(claimed if isinstance(claimed, list) else ()):
        asked.append((url, f"{resource_type}.meta.profile[{index}]", "warning"))
    for url, place, severity in asked:
        name = str(url).partition("|")[0].removeprefix(_PROFILES)
        if name in (resource_type, "Resource", "DomainResource"):
            continue
        if server.definitions.is_resource_type(name):
            yield Issue("error", "invalid", f"The profile {str(url)[:200]} is for another type", (place,))
        else:
            text = f"The profile {str(url)[:200]} is not known: nothing was checked against it"
            yield Issue(severity, "not-found", text, (place,))


async def _of_codes(server: Server, questions: list[Question]) -> list[Issue]:
    """What terminology says about the codes that R4 alone can't tell of."""
    if not questions:
        return []
    asked = [
        CodeQuestion(
            code=code,
            system=system,
            value_set=question.binding.value_set if question.binding else None,
            display=question.display,
        )
        for question in questions
        for system, code in question.codes
    ]
    answers = iter(await server.terminology.check(asked))
    issues = []
    for question in questions:
        told = [next(answers) for _ in question.codes]
        issue = _of_binding(question, told) if question.binding is not None else _of_system(question, told[0])
        if issue is not None:
            issues.append(issue)
    return issues


def _of_binding(question: Question, answers: list[CodeAnswer]) -> Issue | None:
    place, binding = written(question.place), question.binding
    if binding is None or any(answer.result for answer in answers):
        return None
    codes = ", ".join(f"{system or ''}|{code}" for system, code in question.codes)[:200]
    if all(answer.result is False for answer in answers):
        problem = f"None of the codes ({codes}) is in {binding.value_set} ({binding.strength})"
        return Issue(SEVERITIES[binding.strength], "code-invalid", problem, (place,))
    severity: Severity = "warning" if binding.strength == "required" else "information"
    return Issue(severity, "not-found", f"Whether {codes} is in {binding.value_set} can't be told", (place,))


def _of_system(question: Question, answer: CodeAnswer) -> Issue | None:
    ((system, code),) = question.codes
    place = written(question.place)
    if answer.result is None:
        return Issue("information", "not-found", f"The code system {str(system)[:200]} is not known", (place,))
    if answer.result:
        return None
    # The code systems of R4 itself are complete and stay as they are; of others there may be newer versions.
    is_wrong = str(system).startswith("http://hl7.org/fhir/") and answer.display is None
    problem = answer.message or f"{code[:200]} is not a code of {str(system)[:200]}"
    return Issue("error" if is_wrong else "warning", "code-invalid", problem, (place,))


def _place_of_resource(body: dict[str, Any]) -> str:
    """Where in the body the resource is: the whole of it, or a parameter."""
    if body.get("resourceType") != "Parameters":
        return ""
    index = next(n for n, item in enumerate(body["parameter"]) if item["name"] == "resource")
    return f"Parameters.parameter[{index}].resource"
