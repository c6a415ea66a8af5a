"""What sensitive labels and Consents leave of what the scopes of a caller allow."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from fhirserver.access.caller import Caller
from fhirserver.access.consents import Asking, Denials
from fhirserver.access.consents.trees import all_of, any_of, negated
from fhirserver.access.policy import Policy
from fhirserver.access.purposes import Purposes
from fhirserver.access.record import record_of
from fhirserver.access.scopes import Permission
from fhirserver.access.sensitivity import Label, unlabelled
from fhirserver.fhir.definitions import Definitions
from fhirserver.search.query.tree import EVERYTHING, NOTHING, And, Node


@dataclass(frozen=True, slots=True)
class Protection:
    """What protects patients here. `denials` gives what Consents deny as it is now."""

    definitions: Definitions
    labels: tuple[Label, ...]
    denials: Callable[[], Denials]
    purposes: Purposes
    clock: Callable[[], datetime]


class Protected:
    """What `policy` allows the caller, but for what their clearance is not enough for, and what is denied to them.

    The own record of a patient is theirs: of that they see all that the policy allows. So is everything to who breaks
    the glass.
    """

    def __init__(self, policy: Policy, caller: Caller, protection: Protection):
        self._policy = policy
        self._protection = protection
        self._labels = tuple(label for label in protection.labels if label.code not in caller.clearance)
        self._asking = Asking(caller.references, protection.purposes.of(caller.purpose_of_use), caller.membership.known)
        self._is_broken = caller.reason is not None
        kind, _, id = (caller.fhir_user or "").partition("/")
        self._own = id if kind == "Patient" else None
        self._denials = protection.denials()
        self._moment = -1
        self._known: dict[tuple[Permission, str], Node | None] = {}

    def restriction(self, permission: Permission, resource_type: str) -> Node | None:
        if self._is_broken:
            return self._policy.restriction(permission, resource_type)
        denials = self._protection.denials()
        moment = denials.moment(self._protection.clock())
        if denials is not self._denials or moment != self._moment:
            self._denials, self._moment = denials, moment
            self._known.clear()
        key = permission, resource_type
        if key not in self._known:
            self._known[key] = self._restriction(permission, resource_type)
        return self._known[key]

    def allows_all(self, permission: Permission, resource_type: str) -> bool:
        return self._policy.allows_all(permission, resource_type)

    def _restriction(self, permission: Permission, resource_type: str) -> Node | None:
        allowed = self._policy.restriction(permission, resource_type)
        if allowed == NOTHING:
            return NOTHING
        definitions = self._protection.definitions
        denied = self._denials.denied(self._asking, permission, resource_type, self._protection.clock())
        shown = all_of((unlabelled(definitions, resource_type, self._labels), negated(denied)))
        if shown != EVERYTHING and self._own is not None:
            own = record_of(definitions, resource_type, self._own)
            if allowed is not None and _parts(allowed).issuperset(_parts(own)):
                return allowed
            shown = any_of((own, shown))
        if shown == EVERYTHING:
            return allowed
        return shown if allowed is None else all_of((allowed, shown))


def _parts(node: Node) -> frozenset[Node]:
    """What all has to hold for the node to hold."""
    return frozenset(node.parts if isinstance(node, And) else (node,))
