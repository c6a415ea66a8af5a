"""Each role of a deployment gets exactly its rights, where it exists."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from fhirserver.storage.migrate import upgrade


@pytest.fixture
async def owner(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection of the tables' owner; the roles exist while the test runs."""
    connection = await asyncpg.connect(dsn)
    roles = [role for role in ("fhir_app", "fhir_readonly") if not await exists(connection, role)]
    for role in roles:
        await connection.execute(f"CREATE ROLE {role}")
    yield connection
    for role in roles:
        await connection.execute(f"DROP OWNED BY {role}")
        await connection.execute(f"DROP ROLE {role}")
    await connection.close()


async def exists(connection: asyncpg.Connection, role: str) -> bool:
    return bool(await connection.fetchval("SELECT count(*) FROM pg_roles WHERE rolname = $1", role))


@pytest.mark.parametrize(
    ("role", "table", "may", "may_not"),
    [
        ("fhir_app", "resource", "SELECT INSERT UPDATE DELETE", "TRUNCATE TRIGGER"),
        ("fhir_app", "server_secret", "SELECT INSERT", "TRUNCATE"),
        ("fhir_app", "alembic_version", "SELECT", "INSERT UPDATE DELETE"),  # only the owner migrates
        ("fhir_readonly", "resource", "SELECT", "INSERT UPDATE DELETE"),
        ("fhir_readonly", "resource_history", "SELECT", "INSERT UPDATE DELETE"),
        ("fhir_readonly", "server_secret", "", "SELECT INSERT"),  # it signs cursors
        ("fhir_readonly", "load_receipt", "", "SELECT INSERT"),
    ],
)
async def test_rights(owner, dsn, role, table, may, may_not):
    await asyncio.to_thread(upgrade, dsn)
    for right in [*may.split(), *may_not.split()]:
        has = await owner.fetchval("SELECT has_table_privilege($1, $2, $3)", role, table, right)
        assert has == (right in may.split()), right
