"""What people do with their own accounts: register, sign in, stay signed in, sign out, change the password.

Whether there is an account is told by nothing here: neither by what a login answers nor by how long it takes. An
attempt is counted before the password is looked at, by account and by address, so that many at once gain nothing.
"""

import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from fhirserver.access.authentication import ADMIN, Identified, digest
from fhirserver.access.errors import conflict, forbidden, invalid_grant, invalid_request, invalid_scope, too_many
from fhirserver.access.keys import ALGORITHM, KeyRing
from fhirserver.access.passwords import Passwords
from fhirserver.access.scopes import InvalidScope, parse_scopes
from fhirserver.access.store import Backoff, IdentityStore, SignIn, User
from fhirserver.access.tokens import Expectations, signed

BY_ACCOUNT = Backoff(10, timedelta(seconds=30), timedelta(minutes=15), timedelta(hours=1))
BY_ADDRESS = Backoff(50, timedelta(seconds=30), timedelta(minutes=15), timedelta(hours=1))

_USERNAME = re.compile(r"[a-z0-9](?:[a-z0-9._@-]{1,62}[a-z0-9])")
_EMAIL = re.compile(r"[A-Za-z0-9.!#$%&*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){0,8}")
_LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long tokens are good."""

    access: timedelta = timedelta(minutes=15)
    refresh: timedelta = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a login answers with (RFC 6749 5.1)."""

    access_token: str
    expires_in: int
    refresh_token: str
    scope: str

    def as_json(self) -> dict[str, Any]:
        """The answer of a token endpoint."""
        return {
            "access_token": self.access_token,
            "token_type": "Bearer",
            "expires_in": self.expires_in,
            "refresh_token": self.refresh_token,
            "scope": self.scope,
        }


def checked_user(
    username: str, email: str, full_name: str, roles: Sequence[str], password_hash: str, now: datetime
) -> User:
    """A new user with these names. `invalid_request` for what is no name or address."""
    name = username.strip().lower()
    if not _USERNAME.fullmatch(name):
        raise invalid_request("a username has 3 to 64 of: letters a to z, digits, and . _ @ - between them")
    if not _EMAIL.fullmatch(email):
        raise invalid_request("this is not an email address")
    if not 1 <= len(full_name.strip()) <= _LONGEST_NAME or not full_name.isprintable():
        raise invalid_request(f"full_name has 1 to {_LONGEST_NAME} printable characters")
    return User(new_id(), name, email, full_name.strip(), password_hash, tuple(roles), now)


def in_person(identified: Identified) -> User:
    """The user, with all that they may do: no app or program, and no token with less. `forbidden`."""
    is_whole = identified.caller.credential.startswith("session:") and len(identified.caller.grants) == 1
    if identified.user is None or not is_whole:
        raise forbidden("this is for users of this server, signed in with their password and without a scope")
    return identified.user


def new_id() -> str:
    """An id for a user, a sign-in or a key."""
    return secrets.token_hex(16)


class Accounts:
    """The accounts. `self_registration` are the roles that somebody may register for; none: nobody registers."""

    def __init__(
        self,
        store: IdentityStore,
        keys: KeyRing,
        passwords: Passwords,
        expected: Expectations,
        lifetimes: Lifetimes,
        self_registration: Sequence[str],
        role_scopes: Callable[[], Any],
        clock: Callable[[], datetime],
    ):
        self._store = store
        self._keys = keys
        self._passwords = passwords
        self._expected = expected
        self._lifetimes = lifetimes
        self._self_registration = tuple(self_registration)
        self._role_scopes = role_scopes
        self._clock = clock

    async def register(self, username: str, email: str, full_name: str, password: str, role: str) -> User:
        """A new user, who asked for it. `forbidden` unless that is open to this role."""
        if not self._self_registration:
            raise forbidden("nobody registers here: an administrator invites")
        scopes = (await self._role_scopes()).get(role, ADMIN)
        if role not in self._self_registration or ADMIN in scopes.split():
            raise forbidden(f"one can register as {' or '.join(self._self_registration)}")
        self._passwords.require_good(password, (username, email.partition("@")[0]))
        checked_user(username, email, full_name, (role,), "", self._clock())  # before the work of hashing
        hashed = await self._passwords.hash(password)
        user = checked_user(username, email, full_name, (role,), hashed, self._clock())
        if not await self._store.add_user(user):
            raise conflict("this username is taken")
        return user

    async def verified(self, username: str, password: str, address: str) -> User:
        """The user who knows the password. `invalid_grant`, `too_many`. The only place where a password lets in."""
        name, now = username.strip().lower(), self._clock()
        account = _attempts_of("account", name)
        await self._count(account, now, BY_ACCOUNT)
        await self._count(_attempts_of("address", address), now, BY_ADDRESS)
        user = await self._store.user_named(name if _USERNAME.fullmatch(name) else "")
        is_right = await self._passwords.verify(password, user.password_hash if user is not None else None)
        if user is None or not is_right or user.disabled:
            raise invalid_grant("username or password is wrong")
        await self._store.forgive(account, _attempts_of("address", address))
        if self._passwords.is_outdated(user.password_hash):
            user = replace(user, password_hash=await self._passwords.hash(password))
            await self._store.save_user(user)
        return user

    async def login(self, username: str, password: str, scope: str | None, address: str) -> Tokens:
        """Tokens for who knows the password. `invalid_grant`, `too_many`."""
        if scope is not None:
            _require_scope(scope)
        user = await self.verified(username, password, address)
        handle, secret = secrets.token_urlsafe(24), secrets.token_urlsafe(32)
        now = self._clock()
        expires = now + self._lifetimes.refresh
        sign_in = SignIn(sign_in_id(handle), user.id, digest(secret), scope or None, now, expires)
        await self._store.add_sign_in(sign_in)
        return await self._tokens(user, sign_in, f"{handle}.{secret}")

    async def is_known(self, username: str) -> bool:
        """Whether there is an account of this name. That is not told to who asks."""
        name = username.strip().lower()
        return _USERNAME.fullmatch(name) is not None and await self._store.user_named(name) is not None

    async def refresh(self, refresh_token: str) -> Tokens:
        """Tokens for the next while. A refresh token is good once: if it comes again, the whole sign-in ends."""
        handle, _, secret = refresh_token.partition(".")
        refusal = invalid_grant("the refresh token is not good, or no longer")
        found = (
            await self._store.sign_in(sign_in_id(handle))
            if len(refresh_token) < _LONGEST_NAME and refresh_token.isascii()
            else None
        )
        if found is None or found[0].kind != "login":  # apps have theirs from the token endpoint
            raise refusal
        sign_in, user = found
        if sign_in.revoked or sign_in.expires <= self._clock() or user.disabled:
            raise refusal
        fresh = secrets.token_urlsafe(32)
        if not await self._store.rotate(sign_in.id, digest(secret), digest(fresh)):
            await self._store.revoke_sign_in(sign_in.id)
            raise refusal
        return await self._tokens(user, sign_in, f"{handle}.{fresh}")

    async def logout(self, identified: Identified) -> None:
        """End the sign-in that the caller's token belongs to. An API key is revoked elsewhere."""
        kind, _, id = identified.caller.credential.partition(":")
        if kind == "session":
            await self._store.revoke_sign_in(id)
        elif kind == "token":
            await self._store.revoke_token(id, self._clock() + timedelta(days=1))
        else:
            raise invalid_request("an API key does not sign out; revoke it")

    async def change_password(self, identified: Identified, current: str, new: str, address: str) -> None:
        """Another password; all other sign-ins end. `invalid_grant` if the current one is wrong."""
        user = identified.user
        kind, _, sign_in = identified.caller.credential.partition(":")
        if user is None or kind != "session":
            raise forbidden("a password is changed by its user, signed in with it")
        account, now = _attempts_of("account", user.username), self._clock()
        await self._count(account, now, BY_ACCOUNT)
        await self._count(_attempts_of("address", address), now, BY_ADDRESS)
        if not await self._passwords.verify(current, user.password_hash):
            raise invalid_grant("the current password is wrong")
        await self._store.forgive(account, _attempts_of("address", address))
        self._passwords.require_good(new, (user.username, user.email.partition("@")[0]))
        hashed = await self._passwords.hash(new)
        current_user = await self._store.user(user.id) or user
        await self._store.save_user(replace(current_user, password_hash=hashed))
        await self._store.revoke_sign_ins(user.id, besides=sign_in)

    async def _count(self, subject: str, now: datetime, backoff: Backoff) -> None:
        until = await self._store.attempt(subject, now, backoff)
        if until is not None:
            raise too_many("too many attempts; try again later", (until - now).total_seconds())

    async def _tokens(self, user: User, sign_in: SignIn, refresh_token: str) -> Tokens:
        scopes = [(await self._role_scopes()).get(role, "") for role in user.roles]
        scope = sign_in.scope if sign_in.scope is not None else " ".join(scopes)
        claims: dict[str, Any] = {
            "iss": self._expected.issuer,
            "aud": self._expected.audience,
            "sub": user.id,
            "sid": sign_in.id,
            "roles": list(user.roles),
        }
        if user.fhir_user is not None:
            claims["fhirUser"] = user.fhir_user
        access = signed(claims, self._keys.signing(), ALGORITHM, self._clock(), self._lifetimes.access)
        return Tokens(access, int(self._lifetimes.access.total_seconds()), refresh_token, scope)


def _require_scope(scope: str) -> None:
    try:
        parse_scopes(scope)
    except InvalidScope as error:
        raise invalid_scope(str(error)) from error


def _attempts_of(kind: str, name: str) -> str:
    """What attempts are counted under. What was typed as a name may be a password: it is not kept as it is."""
    return f"{kind}:{digest(name).hex()}"


def sign_in_id(handle: str) -> str:
    """Tokens name their sign-in, and who sees one does not learn how to refresh it, nor how to end it."""
    return digest(handle).hex()[:32]
