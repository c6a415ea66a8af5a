"""Secrets that all servers of one database share, made by the first migration."""

from fhirserver.storage.engine import Pool
from fhirserver.storage.statements import Statement

SECRET = Statement("secret", "SELECT value FROM server_secret WHERE name = $1")


async def secret(pool: Pool, name: str) -> bytes:
    """The secret of this name."""
    async with pool.connection() as driver:
        value: bytes = await driver.fetchval(SECRET.sql, name)
        return value
