"""`fhirserver terminology`: code systems from release files, in tables of their own."""

import asyncio
import sys
import zipfile
from pathlib import Path
from typing import Annotated

import typer

from fhirserver.cli.database import DataDir, database, fail
from fhirserver.jobs.terminology.load import READERS, load, open_release, remove
from fhirserver.jobs.terminology.release import CodeSystemRelease, Options, ReleaseError
from fhirserver.main import open_terminology
from fhirserver.settings import Settings, load_settings
from fhirserver.terminology.store import LoadedSystem

app = typer.Typer(no_args_is_help=True, help="Code systems from release files, in tables of their own.")


@app.command("load")
def load_command(
    path: Annotated[Path, typer.Argument(help="A release: a folder, a .zip, or a file.", metavar="FILE|DIR")],
    kind: Annotated[str | None, typer.Option(help=f"{', '.join(READERS)}; else it is found out.")] = None,
    system: Annotated[str | None, typer.Option(help="URL of the code system, where the files don't say it.")] = None,
    version: Annotated[str | None, typer.Option(help="Its version, where the files don't say it.")] = None,
    language: Annotated[
        list[str] | None, typer.Option(help="Language of displays and translations; the first one is preferred.")
    ] = None,
    data: DataDir = None,
) -> None:
    """Load LOINC, SNOMED CT (RF2 snapshot), ICD-10 (CMS order file, ClaML), CSV, or a CodeSystem resource."""
    settings = load_settings()
    if kind not in (None, *READERS):
        fail(f"--kind is one of {', '.join(READERS)}")
    options = Options(system, version, tuple(language or ("en",)))
    with database(settings, data) as dsn:
        try:
            done = asyncio.run(_load(settings, dsn, open_release(path, kind, options)))
        except (ReleaseError, OSError, zipfile.BadZipFile) as error:
            fail(str(error))
    print(f"{done.url}{f'|{done.version}' if done.version else ''}: {done.size} concepts")


async def _load(settings: Settings, dsn: str, release: CodeSystemRelease) -> LoadedSystem:
    stored = 0

    def progress(number: int) -> None:
        nonlocal stored
        stored += number
        if sys.stderr.isatty():
            print(f"\r{stored} concepts", end="", file=sys.stderr, flush=True)

    async with open_terminology(settings, dsn) as (current, call, tables):
        return await load(current.server, call, tables, release, progress)


@app.command("list")
def list_command(data: DataDir = None) -> None:
    """Print the loaded code systems."""

    async def loaded(dsn: str) -> list[LoadedSystem]:
        async with open_terminology(settings, dsn) as (_, _, tables):
            return await tables.loaded()

    settings = load_settings()
    with database(settings, data) as dsn:
        for found in asyncio.run(loaded(dsn)):
            print(f"{found.size:>9}  {found.url}{f'|{found.version}' if found.version else ''}")


@app.command("remove")
def remove_command(
    system: Annotated[str, typer.Argument(help="URL of the code system, with |version or for all its versions.")],
    data: DataDir = None,
) -> None:
    """Take a loaded code system away."""

    async def removed(dsn: str) -> int:
        async with open_terminology(settings, dsn) as (current, call, tables):
            return await remove(current.server, call, tables, system)

    settings = load_settings()
    with database(settings, data) as dsn:
        number = asyncio.run(removed(dsn))
    if not number:
        fail(f"'{system}' is not loaded")
    print(f"{number} removed")
