"""The store that access control sees. Each call is one transaction, announcements included."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

from fhirserver.access.store import ApiKey, Backoff, Role, SignIn, SigningKey, User
from fhirserver.storage.engine import Pool
from fhirserver.storage.repositories import identities, sign_ins
from fhirserver.storage.statements import Observe, Statements


class PostgresIdentityStore:
    """On a pool of connections. `announced` is called after each commit that announced something."""

    def __init__(self, pool: Pool, observe: Observe, announced: Callable[[], Awaitable[None]] | None = None):
        self._pool = pool
        self._observe = observe
        self._after_announcement = announced

    @asynccontextmanager
    async def _statements(self) -> AsyncIterator[Statements]:
        async with self._pool.connection() as driver:
            yield Statements(driver, self._observe)

    @asynccontextmanager
    async def _announcing(self) -> AsyncIterator[Statements]:
        async with self._pool.connection() as driver, driver.transaction():
            yield Statements(driver, self._observe)
        if self._after_announcement is not None:
            await self._after_announcement()

    async def add_user(self, user: User) -> bool:
        async with self._statements() as statements:
            return await identities.add_user(statements, user)

    async def user(self, id: str) -> User | None:
        async with self._statements() as statements:
            return await identities.user(statements, id)

    async def user_named(self, username: str) -> User | None:
        async with self._statements() as statements:
            return await identities.user_named(statements, username)

    async def users(self, after: str, count: int) -> Sequence[User]:
        async with self._statements() as statements:
            return await identities.users(statements, after, count)

    async def has_user_in(self, roles: Sequence[str], besides: str = "") -> bool:
        async with self._statements() as statements:
            return await identities.has_user_in(statements, roles, besides)

    async def save_user(self, user: User) -> None:
        async with self._announcing() as statements:
            await identities.save_user(statements, user)

    async def roles(self) -> Sequence[Role]:
        async with self._statements() as statements:
            return await identities.roles(statements)

    async def save_role(self, role: Role) -> None:
        async with self._announcing() as statements:
            await identities.save_role(statements, role)

    async def remove_role(self, name: str) -> bool:
        async with self._announcing() as statements:
            return await identities.remove_role(statements, name)

    async def add_sign_in(self, sign_in: SignIn) -> None:
        async with self._statements() as statements:
            await sign_ins.add_sign_in(statements, sign_in)

    async def sign_in(self, id: str) -> tuple[SignIn, User] | None:
        async with self._statements() as statements:
            return await sign_ins.sign_in(statements, id)

    async def rotate(self, id: str, old_digest: bytes, new_digest: bytes) -> bool:
        async with self._statements() as statements:
            return await sign_ins.rotate(statements, id, old_digest, new_digest)

    async def revoke_sign_in(self, id: str) -> None:
        async with self._announcing() as statements:
            await sign_ins.revoke_sign_in(statements, id)

    async def revoke_sign_ins(self, user_id: str, besides: str = "") -> None:
        async with self._announcing() as statements:
            await sign_ins.revoke_sign_ins(statements, user_id, besides)

    async def add_api_key(self, key: ApiKey) -> None:
        async with self._statements() as statements:
            await sign_ins.add_api_key(statements, key)

    async def api_keys(self, user_id: str) -> Sequence[ApiKey]:
        async with self._statements() as statements:
            return await sign_ins.api_keys(statements, user_id)

    async def api_key(self, digest: bytes) -> tuple[ApiKey, User] | None:
        async with self._statements() as statements:
            return await sign_ins.api_key(statements, digest)

    async def revoke_api_key(self, id: str, user_id: str | None) -> bool:
        async with self._announcing() as statements:
            return await sign_ins.revoke_api_key(statements, id, user_id)

    async def signing_keys(self) -> Sequence[SigningKey]:
        async with self._statements() as statements:
            return await identities.signing_keys(statements)

    async def add_signing_key(self, key: SigningKey, retire_others: datetime | None) -> None:
        async with self._announcing() as statements:
            await identities.add_signing_key(statements, key, retire_others)

    async def attempt(self, subject: str, now: datetime, backoff: Backoff) -> datetime | None:
        async with self._statements() as statements:
            return await sign_ins.attempt(statements, subject, now, backoff)

    async def forgive(self, account: str, address: str) -> None:
        async with self._statements() as statements:
            await sign_ins.forgive(statements, account, address)

    async def revoke_token(self, id: str, expires: datetime) -> None:
        async with self._announcing() as statements:
            await sign_ins.revoke_token(statements, id, expires)

    async def is_revoked(self, id: str) -> bool:
        async with self._statements() as statements:
            return await sign_ins.is_revoked(statements, id)

    async def announced(self) -> Sequence[tuple[str, str]]:
        async with self._statements() as statements:
            return await identities.announced(statements)
