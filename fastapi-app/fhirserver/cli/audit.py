"""`fhirserver audit`: whether what was recorded is still as it was."""

import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from fhirserver.audit.chain import Head
from fhirserver.cli.database import DataDir, database, fail
from fhirserver.main import opened
from fhirserver.settings import Settings, load_settings

app = typer.Typer(no_args_is_help=True, help="The audit log: its heads, and whether anything in it was changed.")

Kept = Annotated[
    Path | None, typer.Option("--heads", help="What `audit heads` printed once: all of it has to be there still.")
]


@app.command()
def heads(data: DataDir = None) -> None:
    """Print the last event of each stream, a line of JSON each. Keep them where nobody can change them."""
    settings = load_settings()
    with database(settings, data) as dsn:
        for line in asyncio.run(_heads(settings, dsn)):
            print(line)


@app.command()
def verify(kept: Kept = None, data: DataDir = None) -> None:
    """Go along all streams. Prints what was changed, removed, added or put elsewhere; then the exit code is 1."""
    settings = load_settings()
    known = _read(kept) if kept is not None else []
    with database(settings, data) as dsn:
        events, streams, problems = asyncio.run(_verify(settings, dsn, known))
    print(f"{events} events in {streams} streams, {problems} problems")
    if problems:
        raise typer.Exit(1)


async def _heads(settings: Settings, dsn: str) -> list[str]:
    async with opened(settings, dsn) as process:
        return [
            json.dumps({"stream": stream.number, "sequence": stream.head.sequence, "hash": stream.head.hash.hex()})
            for stream in await process.audit_log().streams()
        ]


def _read(file: Path) -> list[tuple[int, Head]]:
    found = []
    try:
        lines = file.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        fail(f"{file} can't be read: {error}")
    for number, line in enumerate(lines, 1):
        try:
            head = json.loads(line)
            found.append((int(head["stream"]), Head(int(head["sequence"]), bytes.fromhex(head["hash"]))))
        except (ValueError, KeyError, TypeError) as error:
            fail(f"line {number} of {file} is none that `audit heads` prints: {error}")
    return found


async def _verify(settings: Settings, dsn: str, kept: Sequence[tuple[int, Head]]) -> tuple[int, int, int]:
    events = streams = problems = 0
    async with opened(settings, dsn) as process:
        async for seen, found in process.audit_log().problems(kept):
            events += seen
            streams += 1
            problems += len(found)
            for problem in found:
                print(problem, file=sys.stderr)
    return events, streams - 1, problems
