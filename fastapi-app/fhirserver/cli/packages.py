"""`fhirserver packages`: profiles, value sets and the like from FHIR packages."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

from fhirserver.cli.database import DataDir, database, fail
from fhirserver.jobs.packages.archive import Manifest, PackageError
from fhirserver.jobs.packages.install import Report, State, install, installed
from fhirserver.main import open_terminology
from fhirserver.settings import load_settings

app = typer.Typer(no_args_is_help=True, help="Profiles, value sets and the like from FHIR packages.")

_STATES: tuple[State, ...] = ("new", "changed", "unchanged", "older", "refused")


@app.command("install")
def install_command(
    paths: Annotated[
        list[Path],
        typer.Argument(help="npm packages (.tgz), tar archives of JSON files, folders.", metavar="FILE|DIR…"),
    ],
    data: DataDir = None,
) -> None:
    """Store the conformance resources of packages, without their examples. What is there already is left alone."""
    settings = load_settings()
    missing = [path for path in paths if not path.exists()]
    if missing:
        fail(f"{missing[0]} does not exist")

    async def run(dsn: str) -> list[Report]:
        async with open_terminology(settings, dsn) as (current, call, store):
            return [await install(current, call, store, path) for path in paths]

    with database(settings, data) as dsn:
        try:
            reports = asyncio.run(run(dsn))
        except (PackageError, OSError) as error:
            fail(str(error))
    for path, report in zip(paths, reports, strict=True):
        _print(path, report)
    parameters = [report.states["SearchParameter"] for report in reports if "SearchParameter" in report.states]
    if any(counted["new"] or counted["changed"] for counted in parameters):
        print("new search parameters can be searched by after `fhirserver reindex`")
    if any(report.refused for report in reports):
        raise SystemExit(1)


@app.command("list")
def list_command(data: DataDir = None) -> None:
    """Print the packages that are installed, as their implementation guides tell."""
    settings = load_settings()

    async def run(dsn: str) -> list[Manifest]:
        async with open_terminology(settings, dsn) as (current, call, _):
            return await installed(current.server, call)

    with database(settings, data) as dsn:
        for package in asyncio.run(run(dsn)):
            print(f"{package.name} {package.version or ''}  (FHIR {', '.join(package.fhir_versions)})")


def _print(path: Path, report: Report) -> None:
    package = report.package
    print(f"{package.name} {package.version or ''}" if package.name else str(path))
    for resource_type, counted in sorted(report.states.items()):
        told = ", ".join(f"{counted[state]} {state}" for state in _STATES if counted[state])
        print(f"{counted.total():>6}  {resource_type}: {told}")
    if report.missing:
        print(f"  it needs, and may not work fully without: {', '.join(report.missing)}")
    for title, listed in (("taken in although it breaks rules of R4", report.doubtful), ("refused", report.refused)):
        for name, reason in listed:
            print(f"  {title}: {name}: {reason}", file=sys.stderr)
