"""Starting the server for a measurement, and how long requests go on."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from bench.client import Connection, Request

COMMAND = (sys.executable, "-c", "from fhirserver.cli import main; main()")


@contextmanager
def process(*command: str, environment: dict[str, str]) -> Iterator["subprocess.Popen[bytes]"]:
    """The command while the block runs; what it prints goes to a file."""
    with Path(tempfile.gettempdir(), "fhirserver-bench.log").open("wb") as log:
        started = subprocess.Popen(
            command, env=os.environ | environment, stdout=log, stderr=log, start_new_session=True
        )
        try:
            yield started
        finally:
            os.killpg(started.pid, signal.SIGTERM)
            started.wait()


@contextmanager
def serving(dsn: str, port: int, workers: int, **settings: str) -> Iterator["subprocess.Popen[bytes]"]:
    """The server on a database, open to everyone, with these settings, while the block runs."""
    environment = {"FHIR_DATABASE_URL": dsn, "FHIR_OBSERVABILITY__LOG_LEVEL": "INFO", "FHIR_AUTH__ENABLED": "False"}
    environment |= {"FHIR_LIMITS__REQUESTS_PER_MINUTE": "0"} | settings
    command = (*COMMAND, "serve", "--port", str(port), "--workers", str(workers))
    with process(*command, environment=environment) as started:
        yield started


async def ready(port: int, path: str) -> float:
    """Seconds until the server answers."""
    start = time.perf_counter()
    while True:
        try:
            connection = Connection("127.0.0.1", port)
            await connection.open()
            await connection.send(Request("GET", path))
            connection.close()
            return time.perf_counter() - start
        except (OSError, RuntimeError, asyncio.IncompleteReadError):
            await asyncio.sleep(0.02)
            if time.perf_counter() - start > 60:
                raise


def for_seconds(seconds: float, make: Callable[[int], Request]) -> Iterator[Request]:
    """Requests, numbered from 0, until the time is over."""
    end = time.perf_counter() + seconds
    for number in count():
        if time.perf_counter() > end:
            return
        yield make(number)
