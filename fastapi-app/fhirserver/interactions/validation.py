"""How thoroughly a write is checked, and the check itself.

https://hl7.org/fhir/R4/validation.html
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from fhirserver.fhir.datatypes.ids import is_id
from fhirserver.fhir.outcomes import InvalidRequest, InvalidResource, Issue
from fhirserver.fhir.validation.report import Context, Question
from fhirserver.interactions.context import MODES, Call, Mode, Server
from fhirserver.interactions.profiles import inspect
from fhirserver.interactions.questions import answered
from fhirserver.search import custom_parameters

_TRANSACTION = Context(conditional=True)
_OUTER = Context(outer_only=True)
_ENTRY = re.compile(r"Bundle\.entry\[(\d+)\]").match


async def check(server: Server, call: Call, resource_type: str, resource: dict[str, Any]) -> None:
    """Refuse what is not a valid resource of this type: `InvalidRequest` for another type, `InvalidResource`."""
    issues, questions = examine(server, call, resource_type, resource)
    issues = [*issues, *errors(await answered(server.terminology, questions))]
    if issues:
        raise InvalidResource(issues)


def examine(
    server: Server, call: Call, resource_type: str, resource: dict[str, Any], *, in_transaction: bool = False
) -> tuple[list[Issue], list[Question]]:
    """What keeps a resource from being written, warnings included if there are errors, and the questions that are left
    to `answered`. Raises `InvalidRequest` for one of another type. In a transaction references may be search criteria.
    """
    given, id = resource.get("resourceType"), resource.get("id", "none")
    is_off = mode_of(server, call) == "off"
    if given != resource_type and (isinstance(given, str) or is_off):
        raise InvalidRequest(
            f"the body is a {str(given)[:80]}, the address says {resource_type}", expression="resourceType"
        )
    if is_off and not (isinstance(id, str) and is_id(id)):
        raise InvalidRequest(f"{str(id)[:80]!r} is not an id", expression="id", code="value")
    context = _TRANSACTION if in_transaction else Context()
    issues, questions = _inspected(server, call, resource, resource_type, context)
    if resource_type == "SearchParameter" and not any(issue.is_error for issue in issues):
        with unchecked(server, resource_type, resource):
            issues = custom_parameters.problems(resource, server.definitions)
    return (issues if any(issue.is_error for issue in issues) else []), questions


def errors(issues: Iterable[Issue | None]) -> list[Issue]:
    """Those of these that are errors."""
    return [issue for issue in issues if issue is not None and issue.is_error]


def check_bundle(server: Server, call: Call, bundle: dict[str, Any]) -> dict[int, list[Issue]]:
    """The errors of a batch or transaction apart from the resources in it, by the index of the entry they are in.

    Raises `InvalidResource` for those that are in none.
    """
    found: dict[int, list[Issue]] = {}
    outside = []
    for issue in _inspected(server, call, bundle, "Bundle", _OUTER)[0]:
        match = _ENTRY(issue.expression[0]) if issue.expression else None
        if match is not None:
            found.setdefault(int(match[1]), []).append(issue)
        else:
            outside.append(issue)
    if outside:
        raise InvalidResource([*outside, *(issue for issues in found.values() for issue in issues)])
    return found


@contextmanager
def unchecked(server: Server, resource_type: str, resource: dict[str, Any]) -> Iterator[None]:
    """What is done within with a resource that may not have been checked at all.

    Raises `InvalidResource` if it fails because the resource does not have the structure of its type.
    """
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError):
        issues = server.validator.validate(resource, resource_type, "structure")
        if issues:
            raise InvalidResource(issues) from None
        raise


def mode_of(server: Server, call: Call) -> Mode:
    """How thoroughly this request's resources are checked. `InvalidRequest` if it asks for less than it may."""
    mode = server.validation.mode
    if call.validation is None or call.validation == mode:
        return mode
    if MODES.index(call.validation) > MODES.index(mode) and not server.validation.may_be_lowered:
        raise InvalidRequest(f"this server does not let a request lower its validation from '{mode}'", code="forbidden")
    return call.validation


def _inspected(
    server: Server, call: Call, resource: dict[str, Any], resource_type: str, context: Context
) -> tuple[list[Issue], list[Question]]:
    mode = mode_of(server, call)
    if mode == "strict":
        report = inspect(server, resource, resource_type, context)
        return report.issues, report.questions
    if mode == "off" and resource_type != "SearchParameter":
        return [], []
    # With search parameters the server itself works.
    return server.validator.validate(resource, resource_type, "structure", context), []
