"""https://hl7.org/fhir/R4/resource-operation-validate.html"""

from collections.abc import Iterable
from typing import Any

from fhirserver.fhir.outcomes import FhirError, InvalidRequest, Issue, Severity, operation_outcome
from fhirserver.fhir.resource_json import parse, serialize
from fhirserver.fhir.validation.positions import located
from fhirserver.fhir.validation.report import Report, written
from fhirserver.interactions.context import Call, Server
from fhirserver.interactions.profiles import reason
from fhirserver.interactions.questions import answered
from fhirserver.interactions.read import read
from fhirserver.interactions.update import require_body_id
from fhirserver.operations.invocation import Invocation

_MODES = ("create", "update", "delete", "profile")


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
    profile = invocation.arguments.text("profile")
    asked = [profile] if profile is not None else []
    report = server.validator.inspect(resource, invocation.resource_type, "full", profiles=asked)
    issues = [
        *report.issues,
        *_of_mode(mode, resource, invocation.id),
        *_of_unknown_profiles(server, report),
        *(issue for issue in await answered(server.terminology, report.questions) if issue is not None),
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


def _of_unknown_profiles(server: Server, report: Report) -> Iterable[Issue]:
    """Issues about what nothing could be checked against: errors for the profile that is asked for."""
    for url, place in dict.fromkeys(report.unknown_profiles):
        severity: Severity = "error" if place[0] is None else "warning"
        yield Issue(severity, "not-found", reason(server, url), (written(place),))


def _place_of_resource(body: dict[str, Any]) -> str:
    """Where in the body the resource is: the whole of it, or a parameter."""
    if body.get("resourceType") != "Parameters":
        return ""
    index = next(n for n, item in enumerate(body["parameter"]) if item["name"] == "resource")
    return f"Parameters.parameter[{index}].resource"
