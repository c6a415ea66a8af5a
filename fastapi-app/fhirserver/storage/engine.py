"""Connections: SQLAlchemy's engine and pool, lent out as the asyncpg connections below them.

Statements run on the driver's connection, because executing through SQLAlchemy costs several times the statement
itself on the hot paths (decisions/0003).
"""

import socket
from typing import Any, Literal
from urllib.parse import urlencode

import asyncpg
from sqlalchemy import event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.util import greenlet_spawn

from fhirserver.storage.errors import DRIVER_ERRORS, NothingDone, translated
from fhirserver.storage.tsvector import encode_words

_CONNECT_SECONDS = 10.0
# Of a coordinator that is cut off one hears within seconds, not minutes.
_ON_SOCKETS = {"TCP_KEEPIDLE": 5, "TCP_KEEPINTVL": 2, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 10_000}
_TLS = ("sslmode", "sslrootcert", "sslcert", "sslkey", "sslpassword", "sslcrl")


Pooler = Literal["none", "transaction", "prepared"]
"""What is between the server and the database: nothing; a pooler that lends a connection of the database's for the
time of a transaction; one that also knows of prepared statements (PgBouncer from 1.21 with max_prepared_statements).
"""
_WANTED = {
    # Else Citus hides shards from whoever looks for tables: the driver's first look at the types that a statement has
    # takes a second of the processor then, on each connection. Elsewhere it means nothing.
    "citus.override_table_visibility": "off",
    "jit": "off",
    # A plan for any values would be made without the statistics of those at hand (decisions/0013).
    "plan_cache_mode": "force_custom_plan",
}
# Statements without a name are parsed and run in one go, so that no other transaction comes in between.
UNNAMED = {"statement_cache_size": 0, "prepared_statement_cache_size": 0, "prepared_statement_name_func": lambda: ""}


def sqlalchemy_url(dsn: str) -> str:
    """`postgresql://…` as SQLAlchemy wants it for asyncpg; a unix socket in `?host=` is kept, TLS is not."""
    url = make_url(dsn).difference_update_query(_TLS)
    return url.set(drivername="postgresql+asyncpg").render_as_string(hide_password=False)


def tls_arguments(dsn: str) -> dict[str, str]:
    """What asyncpg is to know of TLS (`sslmode=verify-full&sslrootcert=ca.pem` …), which SQLAlchemy doesn't know."""
    query = {name: value for name, value in make_url(dsn).query.items() if name in _TLS}
    return {"dsn": f"postgresql://?{urlencode(query)}"} if query else {}


class Pool:
    """A pool of connections to one database."""

    def __init__(
        self,
        dsn: str,
        *,
        size: int = 10,
        timeout: float = 15.0,
        statement_timeout_ms: int = 0,
        connect_timeout: float = _CONNECT_SECONDS,
        pooler: Pooler = "none",
    ):
        """`timeout` seconds to wait for a free connection; a statement over `statement_timeout_ms` is cancelled.

        A `pooler` refuses settings of a connection; it has to make them itself (`lacking`).
        """
        self._wanted = dict(_WANTED)
        if statement_timeout_ms:
            self._wanted["statement_timeout"] = str(statement_timeout_ms)
        server_settings = {"application_name": "fhirserver", "timezone": "UTC"}
        if pooler == "none":
            server_settings |= self._wanted
        statements = UNNAMED if pooler == "transaction" else {"statement_cache_size": 1000}
        self._engine: AsyncEngine = create_async_engine(
            sqlalchemy_url(dsn),
            pool_size=size,
            max_overflow=0,
            pool_timeout=timeout,
            pool_reset_on_return=None,
            connect_args={
                "server_settings": server_settings,
                "timeout": connect_timeout,
                **statements,
                **tls_arguments(dsn),
            },
        )
        event.listen(self._engine.sync_engine, "connect", _prepare)

    def connection(self) -> "Lent":
        """A connection for the time of an `async with` block, as the driver's own.

        Errors of the driver come out of the block as those of `storage/errors.py`.
        """
        return Lent(self._engine.pool)

    async def lacking(self) -> list[str]:
        """`SET` statements for what the connections are to have and don't, as a pooler would have to make them."""
        async with self.connection() as driver:
            rows = await driver.fetch(
                "SELECT name, setting FROM pg_settings WHERE name = ANY ($1) ORDER BY name", list(self._wanted)
            )
        return [
            f"SET {row['name']} = {self._wanted[row['name']]}"
            for row in rows
            if row["setting"] != self._wanted[row["name"]]
        ]

    def in_use(self) -> tuple[int, int]:
        """How many connections are lent out, and how many there may be."""
        pool: Any = self._engine.pool
        return pool.checkedout(), pool.size()

    async def close(self) -> None:
        """Close all connections."""
        await self._engine.dispose()


class Lent:
    """Takes a connection out of the pool and gives it back.

    It uses the pool below the engine: AsyncConnection would start a task for each block, and roll back what was
    never begun.
    """

    __slots__ = ("_lent", "_pool")

    def __init__(self, pool: Any):
        self._pool = pool

    async def __aenter__(self) -> "asyncpg.Connection[Any]":
        try:
            while True:
                self._lent = await greenlet_spawn(self._pool.connect)
                driver: asyncpg.Connection[Any] = self._lent.driver_connection
                if not driver.is_closed():
                    return driver
                self._lent.invalidate()  # the server went away while the connection was idle
                self._lent.close()
        except PoolTimeout as error:
            raise translated(error) from error
        except DRIVER_ERRORS as error:
            raise NothingDone(translated(error).issues) from error

    def is_lost(self) -> bool:
        """Whether the connection broke while it was lent out."""
        return bool(self._lent.driver_connection.is_closed())

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        driver = self._lent.driver_connection
        # The driver is at odds with itself when the end of the connection arrives while a statement begins.
        if isinstance(error, asyncpg.InternalClientError) or driver.is_closed() or driver.is_in_transaction():
            self._lent.invalidate()
        self._lent.close()
        if isinstance(error, DRIVER_ERRORS):
            raise translated(error) from error


def _prepare(dbapi_connection: Any, _record: Any) -> None:
    """What a new connection needs."""
    dbapi_connection.run_async(_set_codecs)
    connected = dbapi_connection.driver_connection._transport.get_extra_info("socket")
    if connected.family != socket.AF_UNIX:
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _ON_SOCKETS.items():
            if hasattr(socket, name):
                connected.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


async def _set_codecs(driver: "asyncpg.Connection[Any]") -> None:
    """JSON columns come and go as the bytes they are: SQLAlchemy would parse them into dicts. Words are only sent."""
    await driver.set_type_codec("json", schema="pg_catalog", format="binary", encoder=_same, decoder=_same)
    await driver.set_type_codec("tsvector", schema="pg_catalog", format="binary", encoder=encode_words, decoder=_same)


def _same(value: bytes) -> bytes:
    return value
