"""Whom a person belongs to: what stands in the resources that say so.

https://hl7.org/fhir/R4/practitionerrole.html, careteam.html, group.html
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any

from fhirserver.fhir.datatypes.dates import date_interval
from fhirserver.fhir.datatypes.references import parse_reference


@dataclass(frozen=True, slots=True)
class Membership:
    """The roles, organizations, teams and groups of a person, as `Type/id`, and who else the person is.

    `is_known`: there is a role at least. Of who has none, it is not known whom they work for.
    """

    references: frozenset[str] = frozenset()
    is_known: bool = False


NOT_KNOWN = Membership()

Memberships = Callable[[str], Awaitable[Membership]]
"""Whom the person belongs to for whom this resource stands."""


async def nobody_knows(_: str) -> Membership:
    """The memberships where nothing is stored of them."""
    return NOT_KNOWN


def is_in_force(resource: Mapping[str, Any], now: datetime, zone: tzinfo) -> bool:
    """Whether a role, a team or a group, or one's part in it, is active now. What can't be understood is not."""
    if resource.get("active") is False or resource.get("inactive") is True:
        return False
    if resource.get("status") in ("proposed", "suspended", "inactive", "entered-in-error"):
        return False
    period = resource.get("period") or {}
    try:
        start, end = period.get("start"), period.get("end")
        begins = start is None or date_interval(str(start), zone)[0] <= now.timestamp()
        return begins and (end is None or now.timestamp() <= date_interval(str(end), zone)[1])
    except (ValueError, OverflowError, AttributeError):
        return False


def references_in(resource: Mapping[str, Any], element: str, base_url: str) -> Iterable[str]:
    """The resources of this server that an element refers to, as `Type/id`."""
    value = resource.get(element)
    for item in value if isinstance(value, list) else [value]:
        text = item.get("reference") if isinstance(item, dict) else None
        target = parse_reference(text, base_url) if isinstance(text, str) else None
        if target is not None and target.kind == "local":
            yield f"{target.resource_type}/{target.id}"
