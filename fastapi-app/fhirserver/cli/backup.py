"""`fhirserver backup`: copies of all nodes that fit together, and the way back to any moment since."""

import asyncio
import signal
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from fhirserver.cli.database import DataDir, data_dir
from fhirserver.cli.sizes import size
from fhirserver.settings import Settings, load_settings
from fhirserver.storage.backup import archive as archiving
from fhirserver.storage.backup import restore as restoring
from fhirserver.storage.backup.catalog import Backup, BackupError, Catalog, described
from fhirserver.storage.backup.create import create as create_backup
from fhirserver.storage.backup.drill import drill as drill_backup
from fhirserver.storage.backup.nodes import Source, make_point, nodes_of
from fhirserver.storage.backup.verify import verify as verify_backup
from fhirserver.storage.embedded import EmbeddedPostgres

app = typer.Typer(no_args_is_help=True, help="Backups of all nodes, and the way back to any moment.")

Folder = Annotated[
    Path | None,
    typer.Option("--folder", metavar="DIR", help="Where backups are.", envvar="FHIR_BACKUP__FOLDER"),
]
Name = Annotated[str | None, typer.Argument(metavar="BACKUP", help="The newest, if none is named.")]


@app.command("create")
def create(
    folder: Folder = None,
    keep: Annotated[int, typer.Option(help="How many stay; 0: all.", min=0)] = 0,
    data: DataDir = None,
) -> None:
    """Copy all nodes, up to a point that they have in common, while all goes on."""
    settings = load_settings()
    catalog = _catalog(settings, folder, data)
    with _source(settings, data) as source:
        backup = asyncio.run(create_backup(source, catalog, _programs(settings, data)))
    _tell(backup)
    if keep:
        _prune(catalog, keep)


@app.command("list")
def list_backups(folder: Folder = None, data: DataDir = None) -> None:
    """The backups, oldest first, and how far the archive of the write-ahead log reaches."""
    catalog = _catalog(load_settings(), folder, data)
    for name in catalog.names():
        _tell(catalog.read(name))
    until = catalog.archived_until
    print(f"any moment since can be gone back to, until {until.isoformat()}" if until else "no archive")


@app.command("verify")
def verify(name: Name = None, folder: Folder = None, data: DataDir = None) -> None:
    """Read all of a backup: is each file what it was, has PostgreSQL's manifest the same, is no log missing?"""
    catalog = _catalog(load_settings(), folder, data)
    backup = catalog.read(name) if name else catalog.newest()
    verify_backup(catalog, backup)
    print(f"{backup.name} is sound: {len(backup.files)} files, {size(backup.size)}")


@app.command("restore")
def restore(
    name: Name = None,
    to: Annotated[
        str | None, typer.Option(metavar="TIME|POINT", help="A moment (2026-11-25T09:30:00Z), or a point with a name.")
    ] = None,
    into: Annotated[
        Path | None, typer.Option(metavar="DIR", help="An empty folder; of a cluster each node gets one in it.")
    ] = None,
    node: Annotated[
        str | None,
        typer.Option(metavar="HOST[:PORT]", help="Only this node, into DIR; it recovers when it starts."),
    ] = None,
    address: Annotated[
        list[str] | None,
        typer.Option(metavar="OLD=NEW", help="HOST:PORT of a node, before and after; repeatable."),
    ] = None,
    folder: Folder = None,
    data: DataDir = None,
) -> None:
    """Bring nodes back into empty folders. Without --into: as the embedded PostgreSQL of --data."""
    settings = load_settings()
    catalog = _catalog(settings, folder, data)
    backup, target = restoring.aim(catalog, name, to)
    if node is not None:
        if into is None or address:
            raise BackupError("--node goes with --into, and without --address")
        restoring.put(catalog, backup, backup.node(node), target, into.absolute())
        print(f"{into} is ready to be started; it recovers then")
        return
    where = _folders(backup, into, data)
    moves = dict(_move(each) for each in address or ())
    programs = _programs(settings, data) if into is None else settings.backup.programs
    asyncio.run(restoring.recover(catalog, backup, target, where, moves, programs))
    for path in where.values():
        print(f"{path} is ready to be started")


@app.command("drill")
def drill(
    name: Name = None,
    compare: Annotated[bool, typer.Option(help="Compare it with the database as it is now.")] = True,
    scratch: Annotated[Path | None, typer.Option(metavar="DIR", help="Where there is space for all nodes.")] = None,
    folder: Folder = None,
    data: DataDir = None,
) -> None:
    """Restore a backup beside the living database, count and hash all that is in it, and remove it again."""
    settings = load_settings()
    catalog = _catalog(settings, folder, data)
    programs = _programs(settings, data)
    if compare:
        with _source(settings, data) as source:
            found = asyncio.run(drill_backup(catalog, name, programs, source.dsn, scratch))
    else:
        found = asyncio.run(drill_backup(catalog, name, programs, None, scratch))
    for kind, counted in sorted(found.restored.items()):
        print(f"{counted.versions:>9}  {kind:<32} {counted.digest:x}")
    print(f"{sum(each.versions for each in found.restored.values()):>9}  versions restored")
    if found.compared_until is not None:
        print(f"all until {found.compared_until.isoformat()} is the same in the living database")


@app.command("archive")
def archive(
    every: Annotated[float, typer.Option(help="Seconds between two notes of how far it is.", min=1)] = 10,
    forget: Annotated[bool, typer.Option("--forget", help="Archive no more: nodes need not keep their log.")] = False,
    folder: Folder = None,
    data: DataDir = None,
) -> None:
    """Archive the write-ahead log of all nodes until stopped, so that any moment can be gone back to."""
    settings = load_settings()
    catalog = _catalog(settings, folder, data)
    with _source(settings, data) as source:
        if forget:
            asyncio.run(archiving.forget(source))
            return
        asyncio.run(_until_stopped(archiving.archive(source, catalog, _programs(settings, data), seconds=every)))


@app.command("point")
def point(
    name: Annotated[str, typer.Argument(help="What it is called: before-upgrade.")],
    folder: Folder = None,
    data: DataDir = None,
) -> None:
    """Name a point in the log of all nodes that `restore --to` can go back to."""
    if not name.replace("-", "").replace("_", "").isalnum() or len(name) > 63:
        raise BackupError("a point is called by up to 63 letters, digits, - and _")
    settings = load_settings()
    catalog = _catalog(settings, folder, data)
    if catalog.point(name):
        raise BackupError(f"there is a point {name} already")

    async def make(source: Source) -> None:
        async with nodes_of(source) as nodes:
            catalog.add_point(name, await make_point(nodes, name))

    with _source(settings, data) as source:
        asyncio.run(make(source))


@app.command("prune")
def prune(
    keep: Annotated[int, typer.Option(help="How many of the newest stay.", min=1)],
    folder: Folder = None,
    data: DataDir = None,
) -> None:
    """Delete old backups, and what of the archive only they need."""
    catalog = _catalog(load_settings(), folder, data)
    _prune(catalog, keep)


def _prune(catalog: Catalog, keep: int) -> None:
    with catalog.alone():
        for name in catalog.prune(keep):
            print(f"{name} deleted")


def _catalog(settings: Settings, folder: Path | None, data: Path | None) -> Catalog:
    folder = folder or settings.backup.folder
    if folder is None:
        if settings.dsn is not None or settings.backup.url is not None:
            raise BackupError("say where backups are: --folder, or FHIR_BACKUP__FOLDER")
        folder = data_dir(data) / "backups"
    return Catalog(folder)


@contextmanager
def _source(settings: Settings, data: Path | None) -> Iterator[Source]:
    dsn = settings.backup.url or settings.dsn
    if dsn is None:
        with EmbeddedPostgres(data_dir(data)).used() as own:
            yield Source(own)
        return
    password = settings.backup.replication_password
    yield Source(dsn, settings.backup.replication_user, password.get_secret_value() if password else None)


def _programs(settings: Settings, data: Path | None) -> Path | None:
    if settings.backup.programs is not None or settings.backup.url is not None or settings.dsn is not None:
        return settings.backup.programs
    return EmbeddedPostgres(data_dir(data)).programs()


def _folders(backup: Backup, into: Path | None, data: Path | None) -> dict[str, Path]:
    """Where each node goes."""
    if into is None:
        if len(backup.nodes) > 1:
            raise BackupError("say where the nodes go: --into DIR")
        embedded = EmbeddedPostgres(data_dir(data))
        if embedded.running():
            raise BackupError("the embedded PostgreSQL runs: stop the server")
        return {backup.nodes[0].folder: embedded.cluster}
    if len(backup.nodes) == 1:
        return {backup.nodes[0].folder: into.absolute()}
    return {node.folder: into.absolute() / node.folder for node in backup.nodes}


def _move(text: str) -> tuple[str, str]:
    old, mark, new = text.partition("=")
    if not (old and mark and new):
        raise BackupError(f"{text!r} is not OLD=NEW")
    return old, new


def _tell(backup: Backup) -> None:
    print(
        f"{backup.name}  {size(backup.size):>9}  schema {backup.schema_revision or 'empty'}  {described(backup.nodes)}"
    )


async def _until_stopped(work: Coroutine[Any, Any, None]) -> None:
    """Carry it out until SIGTERM or Ctrl-C."""
    task = asyncio.ensure_future(work)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        return
