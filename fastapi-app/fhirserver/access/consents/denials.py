"""All that Consents deny, and of that what is kept from a caller.

What rules say of an access is looked at first: who asks, for what, and when. Callers for whom that comes to the same
share what remains: trees over the records of the patients who say the same.
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from math import inf, nextafter
from types import MappingProxyType

from fhirserver.access.consents.rules import FOREVER, Denial, Rule, type_of
from fhirserver.access.consents.trees import DeniedOf, all_of, any_of
from fhirserver.access.memberships import WITH_MEMBERS
from fhirserver.access.record import records_of
from fhirserver.access.scopes import Permission
from fhirserver.fhir.definitions import Definitions
from fhirserver.search.query.tree import NOTHING, Node

_SEEING = frozenset({"access", "use", "disclose"})
_ACTIONS: dict[Permission, tuple[frozenset[str], ...]] = {
    "read": (_SEEING,),
    "search": (_SEEING,),
    "create": (_SEEING, frozenset({"collect"})),
    "update": (_SEEING, frozenset({"correct"})),
    "delete": (_SEEING, frozenset({"correct"})),
}
"""The actions of Consent that a permission is, each of which has to be allowed: what may not be seen is not written."""

_REMEMBERED = 2000


@dataclass(frozen=True, slots=True)
class Asking:
    """Who asks, as far as Consents know: by which references they are named, and for what (wider purposes too).

    `known` are the types of actors of which it is known whether they belong to them: to none but those among these.
    """

    references: frozenset[str]
    purposes: frozenset[str]
    known: frozenset[str] = frozenset()


class Denials:
    """What the Consents with these ids deny, after so many changes. It does not change: `changed` makes another one."""

    def __init__(
        self,
        definitions: Definitions,
        zone: tzinfo,
        by_consent: Mapping[str, Denial] = MappingProxyType({}),
        number: int = 0,
    ):
        self.number = number
        self._definitions = definitions
        self._zone = zone
        self._by_consent = by_consent
        patients: dict[Rule, set[str]] = {}
        for denial in by_consent.values():
            patients.setdefault(denial.rule, set()).add(denial.patient)
        self._patients = patients
        every = [rule for outer in patients for rule in _all_rules(outer)]
        self._named = frozenset(actor for rule in every for actor in rule.actors)
        starts = {rule.period[0] for rule in every}
        self._moments = sorted(starts.union(nextafter(rule.period[1], inf) for rule in every))
        self._known: dict[tuple[Asking, Permission, str, int], Node] = {}

    def changed(self, changes: Mapping[str, Denial | None], number: int) -> "Denials":
        """With these instead of what the same Consents denied before; None: nothing any more."""
        together = {**self._by_consent, **changes}
        denials = {id: denial for id, denial in together.items() if denial is not None}
        return Denials(self._definitions, self._zone, denials, number)

    def moment(self, now: datetime) -> int:
        """A number that changes when another rule comes into force, or one is no longer."""
        return bisect_right(self._moments, now.timestamp())

    def denied(self, asking: Asking, permission: Permission, resource_type: str, now: datetime) -> Node:
        """The tree of the resources of a type that are kept from the caller. What is audited is kept from nobody."""
        if not self._patients or resource_type == "AuditEvent":
            return NOTHING
        asking = replace(asking, references=asking.references & self._named)
        key = asking, permission, resource_type, self.moment(now)
        known = self._known.get(key)
        if known is None:
            of_type = DeniedOf(self._definitions, resource_type, self._zone)
            known = any_of(
                all_of((of_type.by(rule), records_of(self._definitions, resource_type, patients)))
                for rule, patients in self._in_force(asking, permission, now).items()
            )
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[key] = known
        return known

    def _in_force(self, asking: Asking, permission: Permission, now: datetime) -> Mapping[Rule, frozenset[str]]:
        """What the rules come to for this access, and for whom they say so."""
        found: dict[Rule, set[str]] = {}
        for actions in _ACTIONS[permission]:
            for rule, patients in self._patients.items():
                remaining = _remaining(rule, asking, actions, now.timestamp())
                if remaining is not None and remaining.may_deny:
                    found.setdefault(remaining, set()).update(patients)
        return {rule: frozenset(patients) for rule, patients in found.items()}


def _all_rules(rule: Rule) -> Iterator[Rule]:
    yield rule
    for inner in rule.rules:
        yield from _all_rules(inner)


def _remaining(rule: Rule, asking: Asking, actions: frozenset[str], now: float) -> Rule | None:
    """The rule as far as it is about data; None if it is not about this access."""
    for wanted, given in ((rule.purposes, asking.purposes), (rule.actions, actions)):
        if wanted and wanted.isdisjoint(given):
            return None
    is_unclear = rule.is_unclear
    if rule.actors and rule.actors.isdisjoint(asking.references):
        if WITH_MEMBERS.isdisjoint({type_of(actor) for actor in rule.actors} - asking.known):
            return None
        is_unclear = True  # it may be about them
    first, last = rule.period
    if not first <= now <= last:
        return None
    inner = (_remaining(one, asking, actions, now) for one in rule.rules)
    return replace(
        rule,
        rules=tuple(one for one in inner if one is not None),
        period=FOREVER,
        actors=frozenset(),
        actions=frozenset(),
        purposes=frozenset(),
        is_unclear=is_unclear,
    )
