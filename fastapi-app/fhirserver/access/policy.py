"""The seam between interactions and access control.

A policy answers with search trees: what may be touched is what matches. `Unrestricted` is the policy of a
server that is reachable from its own machine only, and of the operator's command line.
"""

from typing import Protocol

from fhirserver.search.query.tree import Node


class Policy(Protocol):
    """What one caller may touch."""

    def restriction(self, interaction: str, resource_type: str) -> Node | None:
        """The tree that a resource of this type has to match for this interaction; None if every one does."""
        ...


class Unrestricted:
    """Everything may be touched."""

    def restriction(self, interaction: str, resource_type: str) -> Node | None:
        return None
