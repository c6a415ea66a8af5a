"""What every interaction is handed: the `Server` it runs on and the `Call` it answers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, tzinfo
from typing import Literal, get_args

from fhirserver.access.caller import OPERATOR, Caller
from fhirserver.access.consents import Denials
from fhirserver.access.policy import Policy
from fhirserver.audit.trail import NO_TRAIL, Trail
from fhirserver.fhir.definitions import Definitions
from fhirserver.fhir.profiles.structures import Structures
from fhirserver.fhir.validation.validator import Validator
from fhirserver.interactions.index_store import IndexStore
from fhirserver.interactions.jobs import Jobs
from fhirserver.interactions.store import Session
from fhirserver.interactions.terminology import Terminology
from fhirserver.search.extract import Extractor

Mode = Literal["strict", "structure", "off"]
MODES: tuple[Mode, ...] = get_args(Mode)
"""From the most thorough to none."""


@dataclass(frozen=True, slots=True)
class Validation:
    """How writes are checked: `strict` against all rules of R4, `structure` alone, or `off`.

    `may_be_lowered`: a request may ask for less than `mode`. `integrity`: what is referred to has to be there.
    `knows_all_profiles`: a resource may claim no others than those that the server knows. `profiles`: by type, what its
    resources have to conform to: to one of each of these.
    """

    mode: Mode = "strict"
    may_be_lowered: bool = False
    integrity: bool = False
    knows_all_profiles: bool = False
    profiles: Mapping[str, Sequence[Sequence[str]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes that a request may not pass."""

    default_count: int = 20
    max_count: int = 1000
    max_nesting: int = 100
    max_includes: int = 1000


@dataclass(frozen=True, slots=True)
class Server:
    """The collaborators of the interactions. Clock and id source are arguments, so that answers can be asserted.

    `clock` gives the present instant with millisecond precision in UTC; `new_id` an unused id in a bucket;
    `random_bucket` a bucket for what belongs to no patient. `denials` is what Consents deny. Without `index` and `jobs`
    nothing is reindexed. `source` gives the server as it is now, where it changes. For `patience` seconds a transaction
    that a database interrupted is begun again.
    """

    definitions: Definitions
    validator: Validator
    extractor: Extractor
    store: Session
    terminology: Terminology
    structures: Structures
    clock: Callable[[], datetime]
    new_id: Callable[[int], str]
    random_bucket: Callable[[], int]
    zone: tzinfo
    limits: Limits
    validation: Validation = Validation()
    denials: Denials | None = None
    index: IndexStore | None = None
    jobs: Jobs | None = None
    source: "Callable[[], Server] | None" = None
    patience: float = 15.0
    in_transaction: bool = False

    def latest(self) -> "Server":
        """The server of this process as it is now, for who began with this one a while ago."""
        return self if self.source is None else self.source()

    def using(self, session: Session) -> "Server":
        """The same server, reading and writing in this session, which is a transaction."""
        return replace(self, store=session, in_transaction=True)


@dataclass(frozen=True, slots=True)
class Call:
    """The request at hand: the base of the URLs in the answer (without a slash at its end), its id, and who asks.

    `policy` is what `caller` may touch; the interactions ask it through `interactions/permission.py`. `validation` is
    what it asks for; None: as the server has it. `trail` is told what the interactions touch, for the audit log.
    """

    base_url: str
    request_id: str
    policy: Policy
    caller: Caller = OPERATOR
    validation: Mode | None = None
    trail: Trail = NO_TRAIL
