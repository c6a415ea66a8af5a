"""The command: refusing to start is one line and an exit code; serving and stopping leave nothing behind."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, build_opener

import asyncpg
import pytest

from fhirserver.storage.embedded import EmbeddedPostgres

COMMAND = [sys.executable, "-c", "from fhirserver.cli import main; main()"]
OPENER = build_opener(ProxyHandler({}))


def environment(**settings: str) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("FHIR_")} | settings


def run(*arguments: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, env=environment(**settings), timeout=120
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_ready(port: int, process: "subprocess.Popen[bytes]") -> None:
    for _ in range(300):
        assert process.poll() is None, "the server ended"
        try:
            OPENER.open(f"http://127.0.0.1:{port}/health/ready", timeout=5)
            return
        except (URLError, ConnectionError):
            time.sleep(0.1)
    pytest.fail("the server did not become ready")


def test_version():
    done = run("version")
    assert done.returncode == 0
    assert done.stdout.strip()[0].isdigit()


@pytest.mark.parametrize(
    ("arguments", "settings", "expected"),
    [
        (("serve",), {"FHIR_DATABASE__POOL_SIZE": "many"}, "FHIR_DATABASE__POOL_SIZE: "),
        (("serve",), {"FHIR_DATABASE_URL": "mysql://x/y"}, "FHIR_DATABASE_URL: begins with postgresql://"),
        (("serve",), {"FHIR_DATABASE_URL": "postgresql://127.0.0.1:1/x"}, "the database can't be used"),
        (("db", "current"), {"FHIR_DATABASE_URL": "postgresql://127.0.0.1:1/x"}, "the database can't be used"),
        (("db", "upgrade"), {"FHIR_DATABASE_URL": "postgresql://nowhere.invalid/x"}, "the database can't be used"),
        (("db", "current", "--data", "/proc/nowhere"), {}, "/proc/nowhere"),
    ],
)
def test_what_cannot_work_is_one_line_and_exit_code_1(arguments, settings, expected):
    done = run(*arguments, **settings)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert expected in done.stderr


def test_a_missing_file_to_load_is_one_line(dsn):
    done = run("load", "/nowhere.json", FHIR_DATABASE_URL=dsn)
    assert done.returncode == 1
    assert done.stderr == "/nowhere.json does not exist\n"


def test_the_schema_is_told(dsn):
    upgraded = run("db", "upgrade", FHIR_DATABASE_URL=dsn)
    current = run("db", "current", FHIR_DATABASE_URL=dsn)
    assert upgraded.returncode == current.returncode == 0
    assert upgraded.stdout == f"at {current.stdout}"


@pytest.fixture
async def unmigrated(dsn: str) -> AsyncIterator[str]:
    """The DSN of a database without a schema."""
    connection = await asyncpg.connect(dsn)
    try:
        name = f"unmigrated_{os.getpid()}"
        await connection.execute(f"CREATE DATABASE {name}")
        yield urlsplit(dsn)._replace(path=f"/{name}").geturl()
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await connection.close()


def test_without_the_right_to_migrate_an_old_schema_is_refused_and_waited_for(unmigrated):
    settings = {"FHIR_DATABASE_URL": unmigrated, "FHIR_DATABASE__MIGRATE": "false"}
    for command in [("serve",), ("load", "/nowhere.json"), ("db", "wait", "--seconds", "0")]:
        done = run(*command, **settings)
        assert done.returncode == 1
        assert re.fullmatch(r"the schema.* lacks revision \d{4}: run `fhirserver db upgrade`\n", done.stderr)
    waiting = subprocess.Popen([*COMMAND, "db", "wait"], env=environment(**settings))
    assert run("db", "upgrade", **settings).returncode == 0
    assert waiting.wait(60) == 0


async def test_the_schema_of_a_newer_version_is_accepted(unmigrated):
    settings = {"FHIR_DATABASE_URL": unmigrated, "FHIR_DATABASE__MIGRATE": "false"}
    assert run("db", "upgrade", **settings).returncode == 0
    connection = await asyncpg.connect(unmigrated)
    await connection.execute("UPDATE alembic_version SET version_num = 'of 2030'")
    await connection.close()
    assert run("db", "wait", "--seconds", "0", **settings).returncode == 0


def test_a_port_that_is_in_use_ends_it(dsn):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = run("serve", "--port", str(taken.getsockname()[1]), FHIR_DATABASE_URL=dsn)
    assert done.returncode != 0
    assert "address already in use" in done.stdout + done.stderr


@pytest.mark.parametrize("workers", ["1", "2"])
def test_serve_runs_until_sigterm_and_stops_its_database(data_dir: Path, workers: str):
    data, port = data_dir / "cli", free_port()
    process = subprocess.Popen(
        [*COMMAND, "serve", "--data", str(data), "--port", str(port), "--workers", workers],
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until_ready(port, process)
        used = run("db", "current", "--data", str(data))
        assert used.returncode == 0
        assert EmbeddedPostgres(data).running()
        with OPENER.open(f"http://127.0.0.1:{port}/fhir/metadata", timeout=30) as answer:
            assert answer.status == 200
            assert "server" not in answer.headers
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        assert not EmbeddedPostgres(data).running()
    finally:
        process.kill()
        process.wait()
        EmbeddedPostgres(data).stop()
