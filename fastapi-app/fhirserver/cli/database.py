"""Which database a command works on, and how it fails."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from fhirserver.settings import Settings
from fhirserver.storage import migrate
from fhirserver.storage.embedded import EmbeddedPostgres

DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="DIR",
        help="Folder of the embedded PostgreSQL; used if FHIR_DATABASE_URL is not set.",
        envvar="FHIR_DATA_DIR",
    ),
]


def fail(problem: str) -> NoReturn:
    """End with one line and exit code 1."""
    print(problem, file=sys.stderr)
    raise SystemExit(1)


def data_dir(given: Path | None) -> Path:
    """The folder of the embedded PostgreSQL."""
    if given is not None:
        return given
    if os.geteuid() == 0:
        return Path("/var/lib/fhirserver")
    return Path(os.environ.get("XDG_DATA_HOME", Path.home() / ".local" / "share")) / "fhirserver"


@contextmanager
def database(settings: Settings, data: Path | None) -> Iterator[str]:
    """The DSN of the database to use, with the newest schema; an embedded one is stopped by the last that uses it."""
    if settings.dsn is not None:
        if settings.database.migrate:
            migrate.upgrade(settings.dsn)
        elif revision := migrate.missing(settings.dsn):
            fail(f"the schema of the database lacks revision {revision}: run `fhirserver db upgrade`")
        yield settings.dsn
        return
    with EmbeddedPostgres(data_dir(data)).used() as dsn:
        migrate.upgrade(dsn)
        yield dsn
