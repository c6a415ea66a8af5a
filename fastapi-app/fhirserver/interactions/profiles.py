"""Which profiles a resource that is written has to conform to: those that it claims, those that its type requires here.

https://hl7.org/fhir/R4/profiling.html and https://hl7.org/fhir/R4/resource.html#profile-tags
"""

from collections.abc import Iterator
from typing import Any

from fhirserver.fhir.outcomes import Issue
from fhirserver.fhir.validation.report import Context, Report, written
from fhirserver.interactions.context import Server


def inspect(server: Server, resource: dict[str, Any], resource_type: str, context: Context) -> Report:
    """Check a resource by all rules for a write: R4's, those of the profiles that it claims in its meta, of the
    extensions that are known, and of the profiles that its type requires here.

    Of several profiles that are required as alternatives it has to conform to one: if it claims one, to that.
    """
    groups = server.validation.profiles.get(resource_type, ())
    asked = [group[0] for group in groups if len(group) == 1]
    report = server.validator.inspect(resource, resource_type, "strict", context, asked)
    claimed = {url.partition("|")[0] for url in _claims(resource)}
    for group in groups:
        if len(group) > 1 and claimed.isdisjoint(url.partition("|")[0] for url in group) and not _is_wrong(report):
            _take(_best(server, resource, resource_type, context, group), report)
    report.issues += _unknown(server, report)
    return report


def _claims(resource: dict[str, Any]) -> list[str]:
    meta = resource.get("meta")
    claims = meta.get("profile") if isinstance(meta, dict) else None
    return [url for url in claims if isinstance(url, str)] if isinstance(claims, list) else []


def _best(server: Server, resource: dict[str, Any], resource_type: str, context: Context, urls: Any) -> Report:
    """What the first of these profiles that it conforms to says of a resource; if there is none, the first of all."""
    reports = []
    for url in urls:
        report = server.validator.inspect(resource, resource_type, "strict", context, [url])
        if not _is_wrong(report) and all(place[0] is not None for _, place in report.unknown_profiles):
            return report
        reports.append(report)
    return reports[0]


def _take(other: Report, report: Report) -> None:
    report.issues += [issue for issue in other.issues if issue not in report.issues]
    report.questions += [question for question in other.questions if question not in report.questions]
    report.unknown_profiles += other.unknown_profiles


def _is_wrong(report: Report) -> bool:
    return any(issue.is_error for issue in report.issues)


def _unknown(server: Server, report: Report) -> Iterator[Issue]:
    """The errors for profiles that are not known: those that are required and, if that is not allowed, claimed."""
    for url, place in dict.fromkeys(report.unknown_profiles):
        parent = place[0]
        is_required = parent is None
        is_claimed = place[1] == "profile" and parent is not None and parent[1] == "meta"
        if is_required or (is_claimed and server.validation.knows_all_profiles):
            yield Issue("error", "not-found", reason(server, url), (written(place),))


def reason(server: Server, url: str) -> str:
    """Why nothing could be checked against a profile."""
    problem = server.structures.problem(url)
    why = f"can't be used: {problem}" if problem is not None else "is not known: nothing was checked against it"
    return f"The profile {url[:200]} {why}"
