"""The seam between interactions and access control.

A policy answers with search trees: what may be touched is what matches. `Unrestricted` is the policy of the operator's
command line, and of a server without access control; `Scoped` what the scopes of a caller allow, `Protected`
(`access/protection.py`) what labels leave of that.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, tzinfo
from typing import Protocol

from fhirserver.access.record import record_of
from fhirserver.access.scopes import InvalidScope, Permission, Scope
from fhirserver.fhir.definitions import Definitions
from fhirserver.fhir.outcomes import InvalidRequest
from fhirserver.search.evaluate import is_evaluable
from fhirserver.search.query.parse import parse_query
from fhirserver.search.query.tree import EVERYTHING, NOTHING, Node, conjunction, disjunction
from fhirserver.search.request import SearchRequest


class Policy(Protocol):
    """What one caller may touch."""

    def restriction(self, permission: Permission, resource_type: str) -> Node | None:
        """The tree that a resource of this type has to match for this; None if every one does, NOTHING if none does.

        It is one that `search/evaluate.py` can evaluate.
        """
        ...

    def allows_all(self, permission: Permission, resource_type: str) -> bool:
        """Whether the scopes allow this for all of the type. Of some it can still be kept from the caller."""
        ...


class Unrestricted:
    """Everything may be touched."""

    def restriction(self, permission: Permission, resource_type: str) -> Node | None:
        return None

    def allows_all(self, permission: Permission, resource_type: str) -> bool:
        return True


class Scoped:
    """What scopes allow: of each set of `grants` one scope at least.

    `patient` is the id of the patient that scopes of the context `patient` are about; without it they allow nothing.
    """

    def __init__(
        self,
        grants: Sequence[Iterable[Scope]],
        patient: str | None,
        definitions: Definitions,
        zone: tzinfo,
        now: datetime,
    ):
        self._grants = tuple(tuple(scopes) for scopes in grants)
        self._patient = patient
        self._definitions = definitions
        self._zone = zone
        self._now = now
        self._known: dict[tuple[Permission, str], Node | None] = {}

    def restriction(self, permission: Permission, resource_type: str) -> Node | None:
        key = permission, resource_type
        if key not in self._known:
            self._known[key] = self._restriction(permission, resource_type)
        return self._known[key]

    def allows_all(self, permission: Permission, resource_type: str) -> bool:
        return self.restriction(permission, resource_type) is None

    def _restriction(self, permission: Permission, resource_type: str) -> Node | None:
        if not self._grants:
            return NOTHING
        allowed = [self._allowed(scopes, permission, resource_type) for scopes in self._grants]
        if NOTHING in allowed:
            return NOTHING
        tree = conjunction(allowed)
        return None if tree == EVERYTHING else tree

    def _allowed(self, scopes: Iterable[Scope], permission: Permission, resource_type: str) -> Node:
        alternatives = []
        for scope in scopes:
            if scope.allows(permission, resource_type):
                tree = self._tree(scope, resource_type)
                if tree == EVERYTHING:
                    return EVERYTHING
                if tree != NOTHING:
                    alternatives.append(tree)
        return disjunction(alternatives)

    def _tree(self, scope: Scope, resource_type: str) -> Node:
        """What a scope allows of a type; a scope whose parameters make no sense for the type allows nothing."""
        parts: list[Node] = []
        if scope.context == "patient":
            if self._patient is None:
                return NOTHING
            parts.append(record_of(self._definitions, resource_type, self._patient))
        if scope.query:
            try:
                parts.append(query_tree(scope, resource_type, self._definitions, self._zone, self._now))
            except InvalidScope:
                return NOTHING
        return NOTHING if NOTHING in parts else conjunction(parts)


class Both:
    """What every one of these policies allows: what a user may do, and what the user gave an app."""

    def __init__(self, *policies: Policy):
        self._policies = policies

    def restriction(self, permission: Permission, resource_type: str) -> Node | None:
        trees = [policy.restriction(permission, resource_type) for policy in self._policies]
        if NOTHING in trees:
            return NOTHING
        limiting = dict.fromkeys(tree for tree in trees if tree is not None)
        return conjunction(limiting) if limiting else None

    def allows_all(self, permission: Permission, resource_type: str) -> bool:
        return all(policy.allows_all(permission, resource_type) for policy in self._policies)


def query_tree(scope: Scope, resource_type: str, definitions: Definitions, zone: tzinfo, now: datetime) -> Node:
    """The tree of a scope's parameters for a type. InvalidScope unless they are about the resource itself only."""
    try:
        request = parse_query(scope.query, resource_type, definitions, zone, "", lenient=False, now=now)
    except InvalidRequest as error:
        raise InvalidScope(f"{scope}: {error}") from error
    has_only_conditions = replace(request, tree=EVERYTHING, applied=(), buckets=None, path="") == SearchRequest(
        resource_type
    )
    if request.is_everything or not has_only_conditions or not is_evaluable(request.tree):
        raise InvalidScope(f"{scope}: its parameters have to be about the resource itself")
    return request.tree


def require_sound(scopes: Iterable[Scope], definitions: Definitions, zone: tzinfo, now: datetime) -> None:
    """InvalidScope for the first that names a type or a parameter that R4 has not."""
    for scope in scopes:
        if scope.resource_type != "*" and not definitions.is_resource_type(scope.resource_type):
            raise InvalidScope(f"{scope}: R4 has no resource type '{scope.resource_type}'")
        if scope.query:
            shown = "Basic" if scope.resource_type == "*" else scope.resource_type
            query_tree(scope, shown, definitions, zone, now)
