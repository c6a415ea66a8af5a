"""Whom a person belongs to: what stands in the resources that say so.

https://hl7.org/fhir/R4/practitionerrole.html, careteam.html, group.html
"""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any

from fhirserver.access.scopes import Scope
from fhirserver.fhir.datatypes.dates import date_interval
from fhirserver.fhir.datatypes.references import parse_reference

_MADE_BY = {
    "PractitionerRole": {"PractitionerRole"},
    "Organization": {"PractitionerRole", "Organization"},
    "CareTeam": {"PractitionerRole", "Organization", "CareTeam"},
    "Group": {"PractitionerRole", "Organization", "Group"},
}
"""What people belong to, and the types of the resources that say who does."""
WITH_MEMBERS = frozenset(_MADE_BY)


@dataclass(frozen=True, slots=True)
class Membership:
    """The roles, organizations, teams and groups of a person, as `Type/id`, and who else the person is.

    `known` are the types of which it is known to which the person belongs, and to which not.
    """

    references: frozenset[str] = frozenset()
    known: frozenset[str] = frozenset()


NOT_KNOWN = Membership()

Memberships = Callable[[str], Awaitable[Membership]]
"""Whom the person belongs to for whom this resource stands."""


async def nobody_knows(_: str) -> Membership:
    """The memberships where nothing is stored of them."""
    return NOT_KNOWN


def believed(membership: Membership, scopes: Collection[Scope]) -> Membership:
    """What of it is believed of who has these scopes: nothing that they could have written themselves.

    Else who is denied something would leave the organization that it is denied to, or join one that is permitted it.
    """
    written = {
        name
        for name in WITH_MEMBERS
        if any(scope.allows(permission, name) for scope in scopes for permission in ("create", "update", "delete"))
    }
    known = frozenset(name for name in membership.known if _MADE_BY[name].isdisjoint(written))
    references = (
        one
        for one in membership.references
        if (type_name := one.partition("/")[0]) not in WITH_MEMBERS or type_name in known
    )
    return Membership(frozenset(references), known)


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
