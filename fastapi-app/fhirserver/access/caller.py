"""Who is asking, and by what right."""

from dataclasses import dataclass
from typing import Literal

from fhirserver.access.memberships import NOT_KNOWN, Membership
from fhirserver.access.scopes import Scope

Kind = Literal["operator", "user", "client"]


@dataclass(frozen=True, slots=True)
class App:
    """An app that acts for a user. `grants` are the scopes that it was given, and those that it may be given at most.

    `patient` is the id of the patient that the app was opened for, which need not be the user.
    """

    client_id: str
    name: str
    grants: tuple[tuple[Scope, ...], ...]
    patient: str | None


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is asking.

    `id` is that of the user or client, `name` how people call it. `credential` names what it was told by
    (`session:…`, `app:…`, `key:…`, `token:…`), never the secret itself. `grants` are sets of scopes: what may be done
    is what every one of them allows. `patient` is the id of the patient that scopes of the context `patient` are about;
    `fhir_user` the resource that stands for the user. What an `app` does for a user, both have to be allowed to do.
    `membership` is whom the user belongs to.
    `clearance` are the codes of the labels that hide nothing from the caller. `purpose_of_use` is what this request is
    for (None: treatment), `reason` why the caller breaks the glass for it, None if not; who `may_break_glass` may.
    """

    kind: Kind
    id: str
    name: str
    credential: str = ""
    roles: tuple[str, ...] = ()
    grants: tuple[tuple[Scope, ...], ...] = ()
    patient: str | None = None
    fhir_user: str | None = None
    purpose_of_use: str | None = None
    reason: str | None = None
    app: App | None = None
    clearance: frozenset[str] = frozenset()
    may_break_glass: bool = False
    membership: Membership = NOT_KNOWN

    @property
    def references(self) -> frozenset[str]:
        """The resources that stand for the caller, and for whom the caller belongs to."""
        return self.membership.references.union({self.fhir_user} if self.fhir_user else ())


OPERATOR = Caller("operator", "operator", "operator")
"""Who runs the command line, or a server that asks nobody who they are."""
