"""What access control needs of storage: who there is, how they prove it, and what changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol


@dataclass(frozen=True, slots=True)
class User:
    """A person or a system that can sign in. `fhir_user` is the resource that stands for it: `Patient/1`."""

    id: str
    username: str
    email: str
    full_name: str
    password_hash: str
    roles: tuple[str, ...]
    created: datetime
    fhir_user: str | None = None
    disabled: bool = False


@dataclass(frozen=True, slots=True)
class Role:
    """A named set of scopes, separated by blanks."""

    name: str
    scopes: str
    description: str


@dataclass(frozen=True, slots=True)
class SignIn:
    """What a login began: a family of refresh tokens, of which the one with this digest is good.

    `scope` narrows what the user may do; None: everything that the user may. A sign-in of the kind `app` is what the
    user gave the client `client_id`, `context` what for; one of the kind `browser` is good for the pages where users
    decide on that, and for nothing else.
    """

    id: str
    user_id: str
    digest: bytes
    scope: str | None
    created: datetime
    expires: datetime
    revoked: bool = False
    kind: Literal["login", "browser", "app"] = "login"
    client_id: str | None = None
    context: Mapping[str, Any] | None = None

    @property
    def launch_context(self) -> dict[str, Any]:
        """What an app is told of what it was opened for."""
        return {name: value for name, value in (self.context or {}).items() if name != "browser"}


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key that a user made for a program. Of the key itself the digest is kept."""

    id: str
    user_id: str
    name: str
    digest: bytes
    scope: str
    created: datetime
    expires: datetime
    revoked: bool = False


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key that signs tokens. `private_pem` is encrypted if the server has a passphrase for it.

    It signs from `active` on, until a later one does; what it has signed is good until `retires` (None: not yet known).
    """

    kid: str
    private_pem: bytes
    public_jwk: dict[str, Any]
    active: datetime
    retires: datetime | None = None


@dataclass(frozen=True, slots=True)
class Backoff:
    """How many attempts are free, and how long the next ones are locked out: doubling from `first` up to `longest`.

    After `forget` without an attempt the count begins anew.
    """

    free: int
    first: timedelta
    longest: timedelta
    forget: timedelta


class IdentityStore(Protocol):
    """Users, roles, sign-ins, keys. What changes the standing of somebody is announced with the same commit.

    A subject of an announcement is `user:<id>`, `session:<id>`, `key:<id>`, `token:<id>`, `client:<id>`, `roles` or
    `signing-keys`.
    """

    async def add_user(self, user: User) -> bool:
        """False if the username is taken."""
        ...

    async def user(self, id: str) -> User | None:
        """The user with this id."""
        ...

    async def user_named(self, username: str) -> User | None:
        """The user with this username, in lower case."""
        ...

    async def users(self, after: str, count: int) -> Sequence[User]:
        """Users in the order of their usernames, after one."""
        ...

    async def has_user_in(self, roles: Sequence[str], besides: str = "") -> bool:
        """Whether an enabled user has one of these roles, other than the one with the id `besides`."""
        ...

    async def save_user(self, user: User) -> None:
        """Replace what is known of the user; announced."""
        ...

    async def roles(self) -> Sequence[Role]:
        """All roles, by name."""
        ...

    async def save_role(self, role: Role) -> None:
        """Add the role or replace it; announced."""
        ...

    async def remove_role(self, name: str) -> bool:
        """Remove it; announced. False if there is none, or a user has it."""
        ...

    async def add_sign_in(self, sign_in: SignIn) -> None: ...

    async def sign_in(self, id: str) -> tuple[SignIn, User] | None:
        """The sign-in and its user."""
        ...

    async def rotate(self, id: str, old_digest: bytes, new_digest: bytes) -> bool:
        """Let the next refresh token be the good one. False if the old one is not, any more."""
        ...

    async def revoke_sign_in(self, id: str) -> None:
        """End the sign-in; announced."""
        ...

    async def revoke_sign_ins(self, user_id: str, besides: str = "") -> None:
        """End all sign-ins of the user but one; announced."""
        ...

    async def add_api_key(self, key: ApiKey) -> None: ...

    async def api_keys(self, user_id: str) -> Sequence[ApiKey]:
        """The keys of a user, those that are revoked too."""
        ...

    async def api_key(self, digest: bytes) -> tuple[ApiKey, User] | None:
        """The key with this digest, and its user."""
        ...

    async def revoke_api_key(self, id: str, user_id: str | None) -> bool:
        """End the key of this user, or of whoever has it; announced. False if there is none."""
        ...

    async def signing_keys(self) -> Sequence[SigningKey]:
        """All of them, the one that becomes active last at the end."""
        ...

    async def add_signing_key(self, key: SigningKey, retire_others: datetime | None) -> None:
        """Add the key; the others are good until `retire_others` at the latest. None: only if there are no others.

        Announced.
        """
        ...

    async def attempt(self, subject: str, now: datetime, backoff: Backoff) -> datetime | None:
        """Count an attempt to guess something. None if it may be made, else the time until which it may not."""
        ...

    async def forgive(self, account: str, address: str) -> None:
        """The attempt was right: none is held against the account, and it is not held against the address."""
        ...

    async def revoke_token(self, id: str, expires: datetime) -> None:
        """A token that belongs to no sign-in is no longer good; announced."""
        ...

    async def is_revoked(self, id: str) -> bool:
        """Whether this token was revoked."""
        ...

    async def announced(self) -> Sequence[tuple[str, str]]:
        """(id, subject) of what was announced within the last minute."""
        ...
