"""What a terminology operation is about: a resource at hand or in the request, and the codes in question."""

from collections.abc import Mapping, Sequence
from typing import Any

from fhirserver.fhir.outcomes import InvalidRequest, InvalidResource
from fhirserver.fhir.resource_json import parse
from fhirserver.fhir.terminology.compose import canonical
from fhirserver.interactions.context import Call, Server
from fhirserver.interactions.read import read
from fhirserver.operations.invocation import Arguments, Invocation

Json = dict[str, Any]


async def resource_or_url(
    server: Server, call: Call, invocation: Invocation, in_body: str, version: str | None = None
) -> Json | str | None:
    """The resource the operation was called on or was given (the parameter `in_body`), or the canonical it was given.

    `version` names the parameter with the version that goes with `url`. None if there is neither. `InvalidRequest`
    if there is more than one of them, `InvalidResource` if what was given is not valid.
    """
    arguments = invocation.arguments
    given = [name for name in ("url", in_body) if name in arguments]
    if len(given) + (invocation.id is not None) > 1:
        where = [f"{invocation.resource_type}/{invocation.id}"] if invocation.id is not None else []
        raise InvalidRequest(f"only one of {', '.join((*where, *given))} can be meant", expression=given[-1])
    if invocation.id is not None:
        stored = await read(server, call, str(invocation.resource_type), invocation.id)
        return parse(stored.live, max_depth=250)
    resource = arguments.one(in_body)
    if resource is not None:
        issues = server.validator.validate(resource, resource["resourceType"])
        if any(issue.severity in ("error", "fatal") for issue in issues):
            raise InvalidResource(issues)
        checked: Json = resource
        return checked
    url = arguments.text("url")
    own_version = arguments.text(version) if version is not None else None
    if url is not None and own_version is not None:
        if canonical(url)[1] not in (None, own_version):
            raise InvalidRequest(f"url and {version} name different versions", expression=version)
        return f"{canonical(url)[0]}|{own_version}"
    return url


def codings(arguments: Arguments, version: str, *, needs_system: bool) -> list[Json]:
    """The codings in `code` (with `system`, `display` and the parameter `version`), `coding` or `codeableConcept`.

    `InvalidRequest` if it is none or several of them, or if there is no code in it.
    """
    given = [name for name in ("code", "coding", "codeableConcept") if name in arguments]
    if len(given) != 1:
        problem = "one of code, coding and codeableConcept is needed" + (f", not {', '.join(given)}" if given else "")
        raise InvalidRequest(
            problem, code="required" if not given else "invalid", expression=given[-1] if given else None
        )
    if given == ["code"]:
        names = {"code": "code", "system": "system", "version": version, "display": "display"}
        found = [{name: value for name, source in names.items() if (value := arguments.text(source)) is not None}]
    elif given == ["coding"]:
        found = [arguments.one("coding")]
    else:
        found = list(arguments.one("codeableConcept").get("coding", ()))
    if not found or any("code" not in coding for coding in found):
        raise InvalidRequest(f"there is no code in {given[0]}", code="required", expression=given[0])
    if needs_system and any("system" not in coding for coding in found):
        raise InvalidRequest(f"there is no system with the code in {given[0]}", code="required", expression=given[0])
    return found


def versions(arguments: Arguments, name: str) -> Mapping[str, str]:
    """The versions of code systems that a parameter gives as `system|version`."""
    found: dict[str, str] = {}
    for text in arguments.all(name):
        url, version = canonical(str(text))
        if version is None:
            raise InvalidRequest(
                f"{name} is [system]|[version], not '{str(text)[:200]}'", code="value", expression=name
            )
        if found.setdefault(url, version) != version:
            raise InvalidRequest(f"{name} gives two versions of '{url[:200]}'", expression=name)
    return found


def refuse(arguments: Arguments, names: Sequence[str]) -> None:
    """`InvalidRequest` for parameters of R4 that would change the answer, but are not supported here."""
    for name in names:
        if name in arguments:
            raise InvalidRequest(f"the parameter {name} is not supported", code="not-supported", expression=name)
