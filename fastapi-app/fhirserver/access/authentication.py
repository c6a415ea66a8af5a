"""Credentials → who is asking, and what they may touch.

What was found out is remembered, so that a request costs a look into a dict. It is forgotten when the standing of
somebody changes: all processes hear of that within seconds (`access/changes.py`), and trust nothing remembered when
they have not heard for too long.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from fhirserver.access.caller import App, Caller
from fhirserver.access.keys import KeyRing
from fhirserver.access.memberships import NOT_KNOWN, Memberships, believed, nobody_knows
from fhirserver.access.oauth.store import Client, OAuthStore
from fhirserver.access.policy import Policy
from fhirserver.access.purposes import BREAK_GLASS
from fhirserver.access.scopes import Scope, understood
from fhirserver.access.sensitivity import clearance_of
from fhirserver.access.store import SignIn, User
from fhirserver.access.tokens import Expectations, InvalidToken, issuer_of, verified
from fhirserver.fhir.outcomes import NotAuthenticated

ADMIN = "server/admin"
"""The scope of those who manage users, roles and keys."""

_REMEMBERED = 10_000
_AT_MOST = timedelta(minutes=5)
_MEMBERSHIP = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Identified:
    """Who was identified. `user` is None for those whom another issuer knows."""

    caller: Caller
    policy: Policy
    user: User | None
    is_admin: bool


@dataclass(frozen=True, slots=True)
class ExternalIdentity:
    """What a token of another issuer says: roles of this server, and a scope that narrows them (None: it does not)."""

    subject: str
    name: str
    roles: tuple[str, ...]
    fhir_user: str | None
    scope: str | None
    token_id: str
    expires: datetime


class Issuer(Protocol):
    """An issuer outside whose tokens are accepted."""

    async def identify(self, token: str, now: datetime) -> ExternalIdentity:
        """Who the token is about. Raises InvalidToken."""
        ...


@dataclass(frozen=True, slots=True)
class _Known:
    identified: Identified
    until: datetime
    subjects: frozenset[str]


def digest(secret: str) -> bytes:
    """What is stored of a secret that is long and random."""
    return hashlib.sha256(secret.encode()).digest()


class Authentication:
    """Identifies callers. `policy_of` gives the policy of a caller; `is_fresh` whether changes are being heard of;
    `memberships` whom somebody belongs to, which is asked for again after a minute."""

    def __init__(
        self,
        store: OAuthStore,
        keys: KeyRing,
        expected: Expectations,
        issuers: Mapping[str, Issuer],
        policy_of: Callable[[Caller], Policy],
        clock: Callable[[], datetime],
        is_fresh: Callable[[], bool],
        memberships: Memberships = nobody_knows,
    ):
        self._store = store
        self._keys = keys
        self._expected = expected
        self._issuers = issuers
        self._policy_of = policy_of
        self._clock = clock
        self._is_fresh = is_fresh
        self._memberships = memberships
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._roles: dict[str, str] | None = None
        self._forgotten = 0

    def remembered(self, credential: str) -> Identified | None:
        """Who this is, if that was found out before and still holds. `credential` is `Bearer …` or `Key …`."""
        known = self._known.get(credential)
        if known is None or known.until <= self._clock() or not self._is_fresh():
            return None
        return known.identified

    async def identify(self, credential: str) -> Identified:
        """Who this is. Raises `NotAuthenticated`."""
        forgotten = self._forgotten
        kind, _, secret = credential.partition(" ")
        now = self._clock()
        try:
            known = await (self._by_token(secret, now) if kind == "Bearer" else self._by_key(secret, now))
        except InvalidToken as error:
            raise NotAuthenticated(str(error)) from error
        if known.identified.caller.fhir_user is not None:
            known = replace(known, until=min(known.until, now + _MEMBERSHIP))
        if forgotten == self._forgotten:  # what was forgotten in the meantime may have been this
            self._known[credential] = known
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return known.identified

    async def forget(self, subjects: frozenset[str]) -> None:
        """The standing of these has changed."""
        self._forgotten += 1
        if "signing-keys" in subjects:
            await self._keys.load()
        if not subjects.isdisjoint(("roles", "signing-keys")):
            self._roles = None
            self._known.clear()
            return
        for credential in [key for key, known in self._known.items() if not subjects.isdisjoint(known.subjects)]:
            del self._known[credential]

    async def _by_token(self, token: str, now: datetime) -> _Known:
        issuer = issuer_of(token)
        external = self._issuers.get(issuer)
        if external is not None:
            return await self._by_external(await external.identify(token, now), issuer)
        claims = await verified(token, self._keys.public, self._expected, now)
        expires = datetime.fromtimestamp(claims["exp"], now.tzinfo)
        if "sid" not in claims and "client_id" in claims:
            return await self._of_client(claims, _earliest(now, expires))
        found = await self._store.sign_in(str(claims.get("sid")))
        if found is None or found[0].kind == "browser":
            raise InvalidToken("the token belongs to no login")
        sign_in, user = found
        if sign_in.revoked or sign_in.expires <= now or user.id != claims["sub"]:
            raise InvalidToken("the token was revoked")
        until = _earliest(now, expires, sign_in.expires)
        if sign_in.kind == "app":
            return await self._of_app(user, sign_in, str(claims.get("scope", "")), until)
        return await self._of_user(user, f"session:{sign_in.id}", sign_in.scope, until)

    async def _of_client(self, claims: Mapping[str, Any], until: datetime) -> _Known:
        """A system that has its token from client_credentials: what it asked for, of what it may have now."""
        client = await self._enabled(str(claims["client_id"]))
        id = str(claims.get("jti"))
        if claims["sub"] != client.id or await self._store.is_revoked(id):
            raise InvalidToken("the token was revoked")
        grants = understood(client.scope.split()), understood(str(claims.get("scope", "")).split())
        clearance = clearance_of(client.scope.split())
        caller = Caller("client", client.id, client.name, f"token:{id}", (), grants, clearance=clearance)
        subjects = frozenset((caller.credential, f"client:{client.id}"))
        return _Known(Identified(caller, self._policy_of(caller), None, is_admin=False), until, subjects)

    async def _of_app(self, user: User, sign_in: SignIn, scope: str, until: datetime) -> _Known:
        """An app for a user: what it was given, of what the app may have now, of what the user may do now."""
        client = await self._enabled(str(sign_in.client_id))
        texts = scope, sign_in.scope or "", client.scope
        patient = (sign_in.context or {}).get("patient")
        app = App(client.id, client.name, tuple(understood(text.split()) for text in texts), patient)
        own = (await self.of_user(user, f"app:{sign_in.id}")).caller
        caller = replace(own, app=app)
        subjects = frozenset((f"session:{sign_in.id}", f"user:{user.id}", f"client:{client.id}"))
        return _Known(Identified(caller, self._policy_of(caller), user, is_admin=False), until, subjects)

    async def _enabled(self, client_id: str) -> Client:
        client = await self._store.client(client_id)
        if client is None or client.disabled:
            raise InvalidToken("the token was revoked")
        return client

    async def _by_key(self, key: str, now: datetime) -> _Known:
        found = await self._store.api_key(digest(key))
        if found is None or found[0].revoked or found[0].expires <= now:
            raise InvalidToken("the API key is not known, or no longer good")
        api_key, user = found
        return await self._of_user(user, f"key:{api_key.id}", api_key.scope, _earliest(now, api_key.expires))

    async def of_user(self, user: User, credential: str, scope: str | None = None) -> Identified:
        """What the user may do, with a credential whose scope narrows it. Raises InvalidToken for who is disabled."""
        if user.disabled:
            raise InvalidToken("the token was revoked")
        caller, is_admin = await self._caller(
            "user", user.id, user.username, credential, user.roles, user.fhir_user, scope
        )
        return Identified(caller, self._policy_of(caller), user, is_admin)

    async def _of_user(self, user: User, credential: str, scope: str | None, until: datetime) -> _Known:
        identified = await self.of_user(user, credential, scope)
        return _Known(identified, until, frozenset((credential, f"user:{user.id}")))

    async def _by_external(self, identity: ExternalIdentity, issuer: str) -> _Known:
        if await self._store.is_revoked(identity.token_id):
            raise InvalidToken("the token was revoked")
        credential = f"token:{identity.token_id}"
        caller, is_admin = await self._caller(
            "user", f"{issuer}#{identity.subject}", identity.name, credential, identity.roles, identity.fhir_user,
            identity.scope,
        )  # fmt: skip
        until = _earliest(self._clock(), identity.expires)
        return _Known(Identified(caller, self._policy_of(caller), None, is_admin), until, frozenset((credential,)))

    async def _caller(
        self,
        kind: Any,
        id: str,
        name: str,
        credential: str,
        roles: tuple[str, ...],
        fhir_user: str | None,
        scope: str | None,
    ) -> tuple[Caller, bool]:
        of_roles = " ".join([text for role in roles if (text := (await self.role_scopes()).get(role))]).split()
        grants: list[tuple[Scope, ...]] = [understood(of_roles)]
        is_admin = ADMIN in of_roles
        if scope is not None:
            grants.append(understood(scope.split()))
            is_admin = is_admin and ADMIN in scope.split()
        patient = fhir_user.removeprefix("Patient/") if fhir_user and fhir_user.startswith("Patient/") else None
        caller = Caller(
            kind, id, name, credential, roles, tuple(grants), patient, fhir_user,
            clearance=clearance_of(of_roles),
            may_break_glass=BREAK_GLASS in of_roles and not credential.startswith("key:"),
            membership=believed(await self._memberships(fhir_user), grants[0]) if fhir_user else NOT_KNOWN,
        )  # fmt: skip
        return caller, is_admin

    async def role_scopes(self) -> Mapping[str, str]:
        """The scopes of each role."""
        if self._roles is None:
            forgotten = self._forgotten
            roles = {role.name: role.scopes for role in await self._store.roles()}
            if forgotten != self._forgotten:
                return roles
            self._roles = roles
        return self._roles


def _earliest(now: datetime, *moments: datetime) -> datetime:
    return min(now + _AT_MOST, *moments)
