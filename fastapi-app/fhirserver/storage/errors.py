"""What a driver error means to the one who asked: one table from SQLSTATE to the error tree of `fhir/outcomes.py`."""

import asyncpg
from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_dbapi
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from fhirserver.fhir.outcomes import Conflict, FhirError, InternalError, RolledBack, TooCostly, Unavailable

DRIVER_ERRORS = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    AsyncAdapt_asyncpg_dbapi.Error,
    DBAPIError,
    OSError,
    PoolTimeout,
    TimeoutError,
)
"""What a driver, the pool and the network below them raise."""


class NothingDone(Unavailable):
    """There was no connection to begin with, or none to the node that was to be asked."""


_BY_STATE: dict[str, tuple[type[FhirError], str]] = {
    "40001": (RolledBack, "the write collided with another one"),
    "40P01": (RolledBack, "the write collided with another one"),
    "23505": (Conflict, "another request wrote the same at the same time"),
    "57014": (TooCostly, "the request took longer than this server allows"),
    "57P01": (Unavailable, "the database is restarting"),
    "57P02": (Unavailable, "the database is restarting"),
    "57P03": (Unavailable, "the database is starting"),
    "25006": (Unavailable, "the database takes no writes at present"),
    "3B001": (Unavailable, "the connection to a part of the database was lost"),  # with it the savepoint there
}

_BY_CLASS: dict[str, tuple[type[FhirError], str]] = {
    "08": (Unavailable, "the connection to the database was lost"),
    "53": (Unavailable, "the database has no resources left"),
    "58": (Unavailable, "the database has a problem of its system"),
}


# What Citus says of its connections to other nodes without a state that tells.
_LOST_NODE = ("connection", "timed out", "could not receive data", "failed to COPY to shard")


def translated(error: BaseException) -> FhirError:
    """The error to raise for one of the driver or of the pool. What the database said stays its cause."""
    if isinstance(error, DBAPIError) and error.orig is not None:
        error = getattr(error.orig, "driver_exception", None) or error.orig.__cause__ or error.orig
    elif isinstance(error, AsyncAdapt_asyncpg_dbapi.Error):  # the pool is used below the engine, which would wrap it
        error = error.__cause__ or error
    if isinstance(error, asyncpg.ProtocolViolationError) and "startup parameter" in str(error):
        return Unavailable("a pooler is before the database, which FHIR_DATABASE__POOLER has to tell")
    if isinstance(error, asyncpg.PostgresError):
        state = error.sqlstate or ""
        kind = _BY_STATE.get(state) or _BY_CLASS.get(state[:2])
        if kind is None and any(words in str(error) for words in _LOST_NODE):
            return Unavailable("the connection to a part of the database was lost")
        if kind is None:
            return InternalError("the database refused a statement")
        return kind[0](kind[1])
    if isinstance(error, asyncpg.InterfaceError | asyncpg.InternalClientError | OSError | TimeoutError):
        return Unavailable("the database can't be reached")
    return Unavailable("the database is too busy")
