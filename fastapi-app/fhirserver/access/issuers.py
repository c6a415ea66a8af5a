"""Tokens of other issuers: OpenID Connect providers that the operator configured, and nobody else's.

https://openid.net/specs/openid-connect-discovery-1_0.html. Where its keys are comes from the issuer's own discovery
document, never from a token. Keys are kept for an hour; a key that is not known is asked for, but not often.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from fhirserver.access.authentication import ExternalIdentity
from fhirserver.access.key_sets import Fetch, KeptKeys, KeySet, usable
from fhirserver.access.scopes import parse_scope
from fhirserver.access.tokens import Expectations, InvalidToken, verified

ALGORITHMS = ("RS256", "RS384", "RS512", "ES256", "ES384", "ES512")
_KEPT = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class IssuerRules:
    """What of an issuer's tokens is believed.

    `roles` maps the values of the claim at `roles_claim` (a path such as `realm_access.roles`) to roles of this server;
    values that it does not list mean nothing. `default_roles` have all who have a token. `fhir_user_claim` names the
    resource that stands for the user; without it, none does.
    """

    issuer: str
    audience: str
    algorithms: Sequence[str] = ("RS256", "ES256")
    roles_claim: str = "roles"
    roles: Mapping[str, str] | None = None
    default_roles: Sequence[str] = ()
    name_claim: str = "preferred_username"
    fhir_user_claim: str | None = None


class OpenIdIssuer:
    """One issuer. `fetch` has to guard itself against addresses that lead elsewhere."""

    def __init__(self, rules: IssuerRules, fetch: Fetch, skew: timedelta, clock: Callable[[], datetime]):
        self._rules = rules
        self._fetch = fetch
        self._expected = Expectations(rules.issuer, rules.audience, tuple(rules.algorithms), skew)
        self._keys = KeptKeys(self._fetched_keys, _KEPT, clock)

    async def identify(self, token: str, now: datetime) -> ExternalIdentity:
        """Who the token is about. Raises InvalidToken."""
        claims = await verified(token, self._keys.key, self._expected, now)
        rules = self._rules
        given = _at(claims, rules.roles_claim)
        values = given.split() if isinstance(given, str) else given if isinstance(given, list) else []
        mapped = [(rules.roles or {}).get(value) for value in values if isinstance(value, str)]
        roles = dict.fromkeys([*rules.default_roles, *(role for role in mapped if role is not None)])
        name = claims.get(rules.name_claim)
        return ExternalIdentity(
            subject=str(claims["sub"])[:200],
            name=str(name)[:200] if isinstance(name, str) and name.isprintable() else str(claims["sub"])[:200],
            roles=tuple(roles),
            fhir_user=_fhir_user(claims, rules.fhir_user_claim),
            scope=_scope(claims.get("scope")),
            token_id=sha256(token.encode()).hexdigest(),
            expires=datetime.fromtimestamp(claims["exp"], now.tzinfo),
        )

    async def _fetched_keys(self) -> KeySet:
        issuer = self._rules.issuer
        discovery = await self._fetch(issuer.rstrip("/") + "/.well-known/openid-configuration")
        if not isinstance(discovery, dict) or discovery.get("issuer") != issuer:
            raise InvalidToken("what the issuer says of itself is not about it")
        return usable(await self._fetch(str(discovery.get("jwks_uri"))), self._rules.algorithms)


def _at(claims: Mapping[str, Any], path: str) -> Any:
    """The claim at a path: a claim of that very name, or one inside others."""
    if path in claims:
        return claims[path]
    value: Any = claims
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _scope(claim: Any) -> str | None:
    """The scopes about resources, which narrow what the roles allow; None if there are none."""
    if not isinstance(claim, str):
        return None
    return claim if any(_is_about_resources(item) for item in claim.split()) else None


def _is_about_resources(text: str) -> bool:
    try:
        return parse_scope(text) is not None
    except ValueError:
        return True


def _fhir_user(claims: Mapping[str, Any], claim: str | None) -> str | None:
    """`Patient/1`, also from a URL that ends so."""
    value = claims.get(claim) if claim is not None else None
    if not isinstance(value, str) or not value.isprintable():
        return None
    return "/".join(value.split("/")[-2:])
