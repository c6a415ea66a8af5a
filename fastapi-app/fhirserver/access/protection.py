"""What sensitive labels leave of what a policy allows."""

from collections.abc import Iterable

from fhirserver.access.caller import Caller
from fhirserver.access.policy import Policy
from fhirserver.access.record import record_of
from fhirserver.access.scopes import Permission
from fhirserver.access.sensitivity import Label, unlabelled
from fhirserver.fhir.definitions import Definitions
from fhirserver.search.query.tree import NOTHING, And, Node, Or, conjunction


class Protected:
    """What `policy` allows the caller, but for what has one of `labels`, unless the caller is cleared for it.

    The own record of a patient is theirs: of that they see all that the policy allows.
    """

    def __init__(self, policy: Policy, caller: Caller, definitions: Definitions, labels: Iterable[Label]):
        self._policy = policy
        self._definitions = definitions
        self._labels = tuple(label for label in labels if label.code not in caller.clearance)
        kind, _, id = (caller.fhir_user or "").partition("/")
        self._own = id if kind == "Patient" else None
        self._known: dict[tuple[Permission, str], Node | None] = {}

    def restriction(self, permission: Permission, resource_type: str) -> Node | None:
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
        shown: Node | None = unlabelled(self._definitions, resource_type, self._labels)
        if shown is None:
            return allowed
        if self._own is not None:
            own = record_of(self._definitions, resource_type, self._own)
            if allowed is not None and _parts(allowed).issuperset(_parts(own)):
                return allowed
            if own != NOTHING:
                shown = Or((own, shown))
        return shown if allowed is None else conjunction((allowed, shown))


def _parts(node: Node) -> frozenset[Node]:
    """What all has to hold for the node to hold."""
    return frozenset(node.parts if isinstance(node, And) else (node,))
