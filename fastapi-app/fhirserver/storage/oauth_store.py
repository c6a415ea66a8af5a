"""The store that the authorization server sees: that of access control, clients, and what is good once."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from fhirserver.access.oauth.store import Client, Once
from fhirserver.access.store import SignIn
from fhirserver.storage.identity_store import PostgresIdentityStore
from fhirserver.storage.repositories import clients
from fhirserver.storage.statements import Statements


class PostgresOAuthStore(PostgresIdentityStore):
    """On the same connections, in the same way."""

    async def add_client(self, client: Client) -> None:
        async with self._statements() as statements:
            await clients.add_client(statements, client)

    async def client(self, id: str) -> Client | None:
        async with self._statements() as statements:
            return await clients.client(statements, id)

    async def clients(self, after: str, count: int) -> Sequence[Client]:
        async with self._statements() as statements:
            return await clients.clients(statements, after, count)

    async def save_client(self, client: Client) -> None:
        async with self._announcing() as statements:
            await clients.save_client(statements, client)

    async def add_once(self, id: str, content: Mapping[str, Any], now: datetime, expires: datetime) -> bool:
        async with self._statements() as statements:
            return await clients.add_once(statements, id, content, now, expires)

    async def once(self, id: str) -> Once | None:
        async with self._statements() as statements:
            return await clients.once(statements, id)

    async def use_once(self, id: str, used_for: str) -> bool:
        async with self._statements() as statements:
            return await clients.use_once(statements, id, used_for)

    async def redeem(self, id: str, sign_in: SignIn) -> bool:
        async with self._pool.connection() as driver, driver.transaction():
            return await clients.redeem(Statements(driver, self._observe), id, sign_in)

    async def apps(self, user_id: str, now: datetime) -> Sequence[tuple[str, SignIn]]:
        async with self._statements() as statements:
            return await clients.apps(statements, user_id, now)

    async def revoke_app(self, user_id: str, client_id: str) -> bool:
        async with self._announcing() as statements:
            return await clients.revoke_app(statements, user_id, client_id)
