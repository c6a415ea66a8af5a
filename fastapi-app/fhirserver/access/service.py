"""All of access control that the web needs, in one object."""

from collections.abc import Callable
from dataclasses import dataclass

from fhirserver.access.accounts import Accounts
from fhirserver.access.administration import Administration
from fhirserver.access.authentication import Authentication
from fhirserver.access.caller import Caller
from fhirserver.access.keys import KeyRing
from fhirserver.access.oauth.authorization import Authorization
from fhirserver.access.oauth.client_authentication import ClientAuthentication
from fhirserver.access.oauth.clients import Clients
from fhirserver.access.oauth.issued import Issued
from fhirserver.access.oauth.launches import Launches
from fhirserver.access.oauth.tokens import TokenEndpoint
from fhirserver.access.policy import Policy
from fhirserver.access.purposes import Purposes
from fhirserver.access.rate_limits import RateLimit


@dataclass(frozen=True, slots=True)
class RateLimits:
    """Requests in a minute: of a caller, from an address while it is not known who asks, from an address to `/auth`."""

    by_caller: RateLimit
    by_address: RateLimit
    at_auth: RateLimit


@dataclass(frozen=True, slots=True)
class OAuth:
    """The authorization server. `issuer` is how it is called in tokens about people; None: by its address."""

    clients: Clients
    client_authentication: ClientAuthentication
    launches: Launches
    authorization: Authorization
    tokens: TokenEndpoint
    issued: Issued
    issuer: str | None


@dataclass(frozen=True, slots=True)
class Access:
    """Who may come in, and how. `policy_of` is what a caller may touch."""

    authentication: Authentication
    accounts: Accounts
    administration: Administration
    keys: KeyRing
    limits: RateLimits
    oauth: OAuth
    purposes: Purposes
    policy_of: Callable[[Caller], Policy]
