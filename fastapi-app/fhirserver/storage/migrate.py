"""Bringing the schema of a database to the present: Alembic, under a lock, on plain PostgreSQL and on Citus."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from fhirserver.storage.citus import align_statistics, distribute
from fhirserver.storage.engine import UNNAMED, sqlalchemy_url, tls_arguments
from fhirserver.storage.roles import grant

T = TypeVar("T")
_LOCK = 0x66686972  # of this project's migrations, so that two starting servers don't migrate at once


def upgrade(dsn: str) -> None:
    """Migrate the database at `dsn` (`postgresql://…`) to the newest schema and distribute it where Citus is."""
    if asyncio.run(_run(dsn, _upgrade)):
        asyncio.run(_run(dsn, align_statistics))


def current(dsn: str) -> str | None:
    """The revision the database is at; None for an empty one."""
    return asyncio.run(_run(dsn, _revision))


def missing(dsn: str) -> str | None:
    """The revision that the schema lacks for this version of the server; None if it has all.

    A schema that a newer version has migrated has all: no migration breaks the version before it.
    """
    script = ScriptDirectory.from_config(_config())
    head = script.get_current_head()
    at = current(dsn)
    known = {revision.revision for revision in script.walk_revisions()}
    return head if at is None or (at in known and at != head) else None


def analyze(dsn: str) -> None:
    """Bring the planner's statistics up to date, as is due after much was written at once."""
    asyncio.run(_run(dsn, lambda connection: connection.execute(text("ANALYZE resource, resource_history"))))


async def _run(dsn: str, work: Callable[[Connection], T]) -> T:
    engine: AsyncEngine = create_async_engine(
        sqlalchemy_url(dsn), poolclass=NullPool, connect_args={**UNNAMED, **tls_arguments(dsn)}
    )
    try:
        async with engine.begin() as connection:
            return await connection.run_sync(work)
    finally:
        await engine.dispose()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


def _upgrade(connection: Connection) -> bool:
    """Whether there was anything to do."""
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    config = _config()
    config.attributes["connection"] = connection
    before = _revision(connection)
    command.upgrade(config, "head")
    distribute(connection)
    grant(connection)
    return _revision(connection) != before


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()
