"""The order in which a transaction is carried out, whatever the order of its entries.

https://hl7.org/fhir/R4/http.html#trules
"""

from collections.abc import Iterable

from fhirserver.bundles.entries import EntryRequest
from fhirserver.fhir.outcomes import InvalidRequest, Issue

_RANK = {"DELETE": 0, "POST": 1, "PUT": 2, "GET": 3, "HEAD": 3}


def in_order(entries: Iterable[EntryRequest]) -> list[EntryRequest]:
    """DELETE, then POST, then PUT, then GET and HEAD; as they stand within each."""
    return sorted(entries, key=lambda entry: _RANK[entry.method])


def require_distinct(targets: Iterable[tuple[EntryRequest, str, str]]) -> None:
    """`InvalidRequest` if two entries concern the same resource. `targets` are (entry, type, id).

    Several creates with If-None-Exist may: what one of them creates or finds, the others find.
    """
    first: dict[tuple[str, str], EntryRequest] = {}
    issues = []
    for entry, resource_type, id in targets:
        other = first.setdefault((resource_type, id), entry)
        if other is not entry and not other.method == entry.method == "POST":
            issues.append(
                Issue(
                    "error",
                    "invalid",
                    f"{resource_type}/{id} is written by {other.place} too",
                    (f"{entry.place}.request",),
                )
            )
    if issues:
        raise InvalidRequest(issues)
