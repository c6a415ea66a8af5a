"""What the authorization server needs of storage: its clients, and what is good once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from fhirserver.access.store import IdentityStore, SignIn

Method = Literal["none", "client_secret_basic", "private_key_jwt"]
"""How a client proves who it is (RFC 7591 2): not at all, by a secret, by a JWT that its key signs."""


@dataclass(frozen=True, slots=True)
class Client:
    """An app or a system that an administrator registered. `scope` is the most that it can be given.

    Of a secret the digest is kept; of keys the public ones (`jwks`), or where they are (`jwks_uri`).
    """

    id: str
    name: str
    method: Method
    redirect_uris: tuple[str, ...]
    scope: str
    created: datetime
    jwks: Mapping[str, Any] | None = None
    jwks_uri: str | None = None
    secret_digest: bytes | None = None
    disabled: bool = False


@dataclass(frozen=True, slots=True)
class Once:
    """Something that is good once. `used_for` is what came of it, None as long as it is good."""

    content: Mapping[str, Any]
    used_for: str | None


class OAuthStore(IdentityStore, Protocol):
    """A change of a client is announced as `client:<id>`."""

    async def add_client(self, client: Client) -> None: ...

    async def client(self, id: str) -> Client | None:
        """The client with this id, also if it is disabled."""
        ...

    async def clients(self, after: str, count: int) -> Sequence[Client]:
        """Clients in the order of their ids, after one."""
        ...

    async def save_client(self, client: Client) -> None:
        """Replace what is known of the client; announced."""
        ...

    async def add_once(self, id: str, content: Mapping[str, Any], now: datetime, expires: datetime) -> bool:
        """Keep it until then. False if it is there already."""
        ...

    async def once(self, id: str) -> Once | None:
        """What is kept under this id, used or not."""
        ...

    async def use_once(self, id: str, used_for: str) -> bool:
        """Use it. False if it was used before, or is not there."""
        ...

    async def redeem(self, id: str, sign_in: SignIn) -> bool:
        """Use it for this sign-in, which begins with the same commit. False if it was used before."""
        ...

    async def apps(self, user_id: str, now: datetime) -> Sequence[tuple[str, SignIn]]:
        """The sign-ins that apps have for the user and that are good now, with the apps' names; the oldest first."""
        ...

    async def revoke_app(self, user_id: str, client_id: str) -> bool:
        """End the sign-ins that the app has for the user; announced. False if there were none."""
        ...
