"""Whom a person belongs to, by the resources that are stored: Consents name organizations, teams and groups too."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from fhirserver.access.memberships import NOT_KNOWN, WITH_MEMBERS, Membership, is_in_force, references_in
from fhirserver.access.policy import Unrestricted
from fhirserver.fhir.resource_json import parse
from fhirserver.interactions.context import Call, Server
from fhirserver.interactions.permission import read_many, visible
from fhirserver.search.query.parse import parse_query

PEOPLE = ("Practitioner", "PractitionerRole", "RelatedPerson")
_MOST = 1000
_LEVELS = 10


class StoredMemberships:
    """Asks the server. `base_url` is how references to this server may begin."""

    def __init__(self, server: Callable[[], Server], base_url: str):
        self._server = server
        self._call = Call(base_url, "memberships", Unrestricted())

    async def of(self, person: str) -> Membership:
        """Whom the person belongs to for whom this resource stands (`Practitioner/1`).

        A role is of the practitioner and in an organization; that is part of others. What has an organization as a
        member has the people in it. Of who has no role it is not known whom they work for.
        """
        if person.partition("/")[0] not in PEOPLE:
            return NOT_KNOWN
        own = {person}
        roles = await self._roles(person)
        for role in roles:
            own.add(f"PractitionerRole/{role['id']}")
            own.update(self._in(role, "practitioner") if person.startswith("PractitionerRole/") else ())
        organizations = {one for role in roles for one in self._in(role, "organization")}
        own |= await self._with_what_they_are_part_of(organizations)
        own |= await self._having("CareTeam", "participant", "participant", "member", own)
        own |= await self._having("Group", "member", "member", "entity", own)
        return Membership(frozenset(own), WITH_MEMBERS if roles else frozenset())

    async def _roles(self, person: str) -> Sequence[dict[str, Any]]:
        if person.startswith("PractitionerRole/"):
            found = await self._read([person])
        elif person.startswith("Practitioner/"):
            found = await self._search("PractitionerRole", "practitioner", [person])
        else:
            found = []
        return [role for role in found if self._is_in_force(role)]

    async def _with_what_they_are_part_of(self, organizations: set[str]) -> set[str]:
        known, fresh = set(organizations), organizations
        for _ in range(_LEVELS):
            if not fresh:
                break
            fresh = {one for resource in await self._read(fresh) for one in self._in(resource, "partOf")} - known
            known |= fresh
        return known

    async def _having(self, resource_type: str, parameter: str, list_name: str, name: str, own: set[str]) -> set[str]:
        """What has one of these as a member, now."""
        found = await self._search(resource_type, parameter, sorted(own))
        return {
            f"{resource_type}/{one['id']}"
            for one in found
            if self._is_in_force(one)
            and any(
                self._is_in_force(member) and not own.isdisjoint(self._in(member, name))
                for member in one.get(list_name, ())
            )
        }

    def _in(self, resource: dict[str, Any], element: str) -> Iterable[str]:
        return references_in(resource, element, self._call.base_url)

    def _is_in_force(self, resource: dict[str, Any]) -> bool:
        server = self._server()
        return is_in_force(resource, server.clock(), server.zone)

    async def _read(self, references: Iterable[str]) -> Sequence[dict[str, Any]]:
        targets = [(type_name, id) for type_name, _, id in (one.partition("/") for one in references)]
        found = await read_many(self._server(), self._call, "read", targets)
        return [parse(stored.content) for stored in found.values() if stored.content is not None]

    async def _search(self, resource_type: str, parameter: str, references: Sequence[str]) -> Sequence[dict[str, Any]]:
        server = self._server()
        asked = [(parameter, ",".join(references)), ("_count", str(_MOST))]
        request = parse_query(
            asked,
            resource_type,
            server.definitions,
            server.zone,
            self._call.base_url,
            lenient=False,
            now=server.clock(),
        )
        page = await server.store.search(visible(server, self._call, request))
        return [parse(stored.live) for stored in page.matches]
