"""The command `fhirserver`."""

import asyncio
import os
import signal
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer
import uvicorn

import fhirserver
from fhirserver.access.errors import AccessError
from fhirserver.access.keys import KeyUnreadable
from fhirserver.cli import audit, backup, clients, cluster, packages, reindex, terminology, users
from fhirserver.cli.database import DataDir, data_dir, database, fail
from fhirserver.fhir.outcomes import FhirError
from fhirserver.interactions.context import Mode
from fhirserver.interactions.jobs import Job
from fhirserver.jobs.load.run import Report, load
from fhirserver.jobs.load.take_in import Taken
from fhirserver.main import SOFTWARE_VERSION, OpenAccess, OpenServer, opened
from fhirserver.observability.metrics import shared_by_workers
from fhirserver.settings import Settings, SettingsError, load_settings
from fhirserver.storage import migrate
from fhirserver.storage.backup.catalog import BackupError
from fhirserver.storage.cluster import ClusterError
from fhirserver.storage.embedded import EmbeddedPostgres, EmbeddedPostgresError
from fhirserver.storage.errors import DRIVER_ERRORS

app = typer.Typer(no_args_is_help=True, add_completion=False, help="A FHIR R4 server on PostgreSQL and Citus.")
db = typer.Typer(no_args_is_help=True, help="The database: its schema, and the embedded PostgreSQL.")
app.add_typer(db, name="db")
app.add_typer(audit.app, name="audit")
app.add_typer(backup.app, name="backup")
app.add_typer(cluster.app, name="cluster")
app.add_typer(packages.app, name="packages")
app.add_typer(terminology.app, name="terminology")
app.add_typer(users.app, name="users")
app.add_typer(users.keys, name="keys")
app.add_typer(clients.app, name="clients")

_OWN_MACHINE = ("127.0.0.1", "::1", "localhost")


def main() -> None:
    """The entry point. Errors that a user can mend are one line and exit code 1."""
    try:
        app()
    except (
        SettingsError,
        BackupError,
        EmbeddedPostgresError,
        FhirError,
        ClusterError,
        AccessError,
        KeyUnreadable,
    ) as error:
        fail(str(error))
    except DRIVER_ERRORS as error:
        fail(f"the database can't be used: {error}")


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=0, max=65535)] = 8000,
    workers: Annotated[int, typer.Option(help="Number of processes.", min=1, max=64)] = 1,
    reload: Annotated[bool, typer.Option("--reload", help="Start anew when the code changes; one process.")] = False,
    data: DataDir = None,
    ssl_certfile: Annotated[Path | None, typer.Option(help="Certificate (chain) for TLS, as PEM.")] = None,
    ssl_keyfile: Annotated[Path | None, typer.Option(help="Its private key, as PEM.")] = None,
) -> None:
    """Run the server until it is stopped by SIGTERM or Ctrl-C."""
    settings = load_settings()
    if (ssl_certfile is None) != (ssl_keyfile is None):
        fail("TLS takes both --ssl-certfile and --ssl-keyfile")
    for file in (ssl_certfile, ssl_keyfile):
        if file is not None and not file.is_file():
            fail(f"{file} does not exist")
    with database(settings, data) as dsn, shared_by_workers() if workers > 1 else nullcontext():
        if settings.auth.enabled:
            asyncio.run(_first_admin(settings, dsn))
        elif host not in _OWN_MACHINE:
            print("access control is off: whoever reaches this server may do everything", file=sys.stderr)
        os.environ["FHIR_DATABASE_URL"] = dsn
        # uvicorn raises the signal again when it is done, which would end this process before the database is.
        signal.signal(signal.SIGTERM, lambda *_: None)
        signal.signal(signal.SIGINT, lambda *_: None)
        uvicorn.run(
            "fhirserver.main:create_app",
            factory=True,
            host=host,
            port=port,
            workers=workers,
            reload=reload,
            reload_dirs=[str(Path(fhirserver.__file__).parent)] if reload else None,
            loop="uvloop",
            http="fhirserver.web.protocol:BoundedProtocol",
            ws="none",
            ssl_certfile=str(ssl_certfile) if ssl_certfile else None,
            ssl_keyfile=str(ssl_keyfile) if ssl_keyfile else None,
            proxy_headers=bool(settings.server.trusted_proxies),
            forwarded_allow_ips=settings.server.trusted_proxies or None,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=30,
            # On a busy machine it takes a worker more than the usual 5 seconds to load the definitions.
            timeout_worker_healthcheck=60,
        )


async def _first_admin(settings: Settings, dsn: str) -> None:
    """The administrator that the settings name, if there is none yet. A password that was made is told once."""
    async with OpenAccess(settings, dsn)() as access:
        username, given = settings.admin_username, settings.admin_password
        if (username is None and given is None) or await access.administration.has_admin():
            return
        username = username or "admin"
        password = given.get_secret_value() if given is not None else None
        _, generated = await access.administration.add_admin(username, password)
    told = f"; the password, which is not told again: {generated}" if generated is not None else ""
    print(f"administrator {username} created{told}", file=sys.stderr)


@app.command("load")
def load_command(
    paths: Annotated[
        list[Path],
        typer.Argument(help="Files and folders: .json, .ndjson (also .gz), .zip, .tgz", metavar="PATH…"),
    ],
    data: DataDir = None,
    workers: Annotated[int, typer.Option(help="Number of processes; 0: one for each core.", min=0, max=64)] = 0,
    validation: Annotated[
        Mode | None, typer.Option(help="How thoroughly it is checked; as FHIR_VALIDATION__MODE says if not given.")
    ] = None,
) -> None:
    """Load bundles, resources and NDJSON. What was loaded before is passed over, so it can be repeated."""
    settings = load_settings()
    with database(settings, data) as dsn, _Progress() as progress:
        try:
            report = load(paths, OpenServer(settings, dsn, validation), workers or os.cpu_count() or 1, progress)
        except (FileNotFoundError, ValueError) as error:
            fail(str(error))
        if report.written:
            migrate.analyze(dsn)
    _print(report, progress.seconds)
    if report.failures:
        raise SystemExit(1)


class _Progress:
    """A bar in a terminal, and nothing elsewhere."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            disable=not sys.stderr.isatty(),
        )
        self._task = self._bar.add_task("starting")
        self._resources = 0

    def __enter__(self) -> "_Progress":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    @property
    def seconds(self) -> float:
        """How long it took so far."""
        return self._bar.tasks[0].elapsed or 0.0

    def total(self, files: int) -> None:
        self._bar.update(self._task, total=files)

    def done(self, taken: Taken) -> None:
        self._resources += taken.written.total()
        self._bar.update(self._task, advance=taken.state != "later", description=f"{self._resources} resources")


def _print(report: Report, seconds: float) -> None:
    for resource_type, number in sorted(report.written.items()):
        print(f"{number:>9}  {resource_type}")
    total = report.written.total()
    rate = f", {total / seconds:.0f}/s" if seconds and total else ""
    print(f"{total:>9}  resources in {seconds:.1f} s{rate}")
    print("documents: " + (", ".join(f"{n} {state}" for state, n in sorted(report.documents.items())) or "none"))
    if report.failures:
        print(f"{len(report.failures)} failures:", file=sys.stderr)
        for failure in report.failures:
            print(f"  {failure}", file=sys.stderr)


@app.command("reindex")
def reindex_command(
    types: Annotated[
        list[str] | None, typer.Option("--type", metavar="TYPE", help="Only resources of this type; can be repeated.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Also what is indexed by the present rules.")] = False,
    data: DataDir = None,
) -> None:
    """Index again what was stored before the search parameters changed. Searches and writes go on meanwhile."""
    settings = load_settings()

    async def run(dsn: str) -> Job:
        async with opened(settings, dsn) as process:
            return await reindex.reindex(process, types or (), everything=everything)

    with database(settings, data) as dsn:
        job = asyncio.run(run(dsn))
    if not reindex.report(job):
        raise SystemExit(1)


@db.command("upgrade")
def db_upgrade(data: DataDir = None) -> None:
    """Bring the schema to that of this version."""
    dsn = load_settings().dsn
    with nullcontext(dsn) if dsn else EmbeddedPostgres(data_dir(data)).used() as used:
        migrate.upgrade(used)
        print(f"at {migrate.current(used)}")


@db.command("wait")
def db_wait(
    seconds: Annotated[int, typer.Option(help="How long to wait.", min=0)] = 300,
) -> None:
    """Wait until the database of FHIR_DATABASE_URL answers and has the schema of this version or of a newer one."""
    dsn = load_settings().dsn
    if dsn is None:
        fail("FHIR_DATABASE_URL is not set; an embedded database is migrated by the server that starts it")
    end = time.monotonic() + seconds
    while True:
        try:
            revision = migrate.missing(dsn)
            problem = f"the schema lacks revision {revision}: run `fhirserver db upgrade`"
        except DRIVER_ERRORS as error:
            revision, problem = "", f"the database can't be used: {error}"
        if revision is None:
            return
        if time.monotonic() >= end:
            fail(problem)
        time.sleep(1)


@db.command("current")
def db_current(data: DataDir = None) -> None:
    """Print the version of the schema."""
    settings = load_settings()
    with nullcontext(settings.dsn) if settings.dsn else EmbeddedPostgres(data_dir(data)).used() as dsn:
        print(migrate.current(dsn) or "empty")


@db.command("stop")
def db_stop(data: DataDir = None) -> None:
    """Stop the embedded PostgreSQL, if it runs."""
    EmbeddedPostgres(data_dir(data)).stop()


@app.command()
def version() -> None:
    """Print the version."""
    print(SOFTWARE_VERSION)
