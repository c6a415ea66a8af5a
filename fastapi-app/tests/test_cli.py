"""The command: refusing to start is one line and an exit code; serving and stopping leave nothing behind."""

import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode, urlsplit
from urllib.request import HTTPSHandler, OpenerDirector, ProxyHandler, Request, build_opener

import asyncpg
import pytest
from certificates import certificate

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


def wait_until_ready(
    port: int, process: "subprocess.Popen[bytes]", opener: OpenerDirector = OPENER, scheme: str = "http"
) -> None:
    for _ in range(300):
        assert process.poll() is None, "the server ended"
        try:
            opener.open(f"{scheme}://127.0.0.1:{port}/health/ready", timeout=5)
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


def test_users_are_administered_by_the_operator(dsn):
    name = f"cli{time.time_ns()}"
    created = run(
        "users", "create", name, "nurse", "--email", "n@example.org", "--full-name", "N", FHIR_DATABASE_URL=dsn
    )
    assert created.returncode == 0
    username, password = created.stdout.split()
    assert (username, len(password)) == (name, 24)
    changed = run("users", "roles", name, "practitioner", "--fhir-user", "Practitioner/1", FHIR_DATABASE_URL=dsn)
    assert changed.stdout == f"{name}\tpractitioner\tPractitioner/1\n"
    assert run("users", "disable", name, FHIR_DATABASE_URL=dsn).returncode == 0
    assert f"{name}\tpractitioner\tPractitioner/1\tdisabled\n" in run("users", "list", FHIR_DATABASE_URL=dsn).stdout
    assert run("users", "password", name, FHIR_DATABASE_URL=dsn).stdout.split()[1] != password
    taken = run("users", "create-admin", name, FHIR_DATABASE_URL=dsn)
    assert (taken.returncode, taken.stdout, taken.stderr) == (1, "", "this username is taken\n")
    kid = run("keys", "rotate", FHIR_DATABASE_URL=dsn).stdout.strip()
    assert kid in run("keys", "list", FHIR_DATABASE_URL=dsn).stdout.split()


def test_clients_are_administered_by_the_operator(dsn, tmp_path: Path):
    back = ("--redirect-uri", "https://app.example/back")
    created = run("clients", "create", "App", "launch/patient patient/*.rs", *back, FHIR_DATABASE_URL=dsn)
    assert created.returncode == 0, created.stderr
    id = created.stdout.strip()
    listed = f"{id}\tApp\tnone\tlaunch/patient patient/*.rs\t"
    assert f"{listed}enabled\n" in run("clients", "list", FHIR_DATABASE_URL=dsn).stdout
    assert run("clients", "disable", id, FHIR_DATABASE_URL=dsn).returncode == 0
    assert f"{listed}disabled\n" in run("clients", "list", FHIR_DATABASE_URL=dsn).stdout
    basic = ("--method", "client_secret_basic")
    id, secret = run("clients", "create", "B", "user/*.rs", *back, *basic, FHIR_DATABASE_URL=dsn).stdout.split()
    other = run("clients", "secret", id, FHIR_DATABASE_URL=dsn).stdout.strip()
    assert other != secret
    (tmp_path / "keys.json").write_text('{"keys": []}')
    keys = ("--method", "private_key_jwt", "--jwks-file", str(tmp_path / "keys.json"))
    wrong = run("clients", "create", "S", "system/*.rs", *keys, FHIR_DATABASE_URL=dsn)
    assert (wrong.returncode, wrong.stdout, wrong.stderr.count("\n")) == (1, "", 1)


def test_the_first_administrator_is_made_once(data_dir: Path):
    data = data_dir / "admin"
    try:
        made = run("users", "create-admin", "--data", str(data))
        assert made.returncode == 0
        assert made.stdout.startswith("admin ")
        again = run("users", "create-admin", "--unless-any", "--data", str(data))
        assert (again.returncode, again.stdout) == (0, "")
        weak = run("users", "create-admin", "other", "--password-stdin", "--data", str(data))
        assert (weak.returncode, weak.stderr.count("\n")) == (1, 1)
    finally:
        EmbeddedPostgres(data).stop()


@pytest.mark.parametrize(
    ("arguments", "settings", "expected"),
    [
        (("--ssl-certfile", "/nowhere.pem"), {}, "TLS takes both"),
        (("--ssl-certfile", "/nowhere.pem", "--ssl-keyfile", "/nowhere.key"), {}, "/nowhere.pem does not exist"),
        ((), {"FHIR_ADMIN_PASSWORD": "short"}, "a password has 12 to 256 characters"),
        (
            (),
            {"FHIR_AUTH__SELF_REGISTRATION": "patient,admin"},
            "FHIR_AUTH__SELF_REGISTRATION: nobody registers as admin",
        ),
    ],
)
def test_serving_with_what_cannot_work(dsn, arguments, settings, expected):
    if "FHIR_ADMIN_PASSWORD" in settings and run("users", "list", FHIR_DATABASE_URL=dsn).stdout.count("admin"):
        pytest.skip("there is an administrator already")
    done = run("serve", *arguments, FHIR_DATABASE_URL=dsn, **settings)
    assert done.returncode == 1
    assert done.stderr.startswith(expected)
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("workers", ["1", "2"])
def test_serving_over_tls_with_a_first_administrator(data_dir: Path, workers: str, tmp_path: Path):
    data, port = data_dir / f"tls{workers}", free_port()
    file, key = certificate(tmp_path, "127.0.0.1")
    tls = ("--ssl-certfile", str(file), "--ssl-keyfile", str(key))
    process = subprocess.Popen(
        [*COMMAND, "serve", "--data", str(data), "--port", str(port), "--workers", workers, *tls],
        env=environment(FHIR_ADMIN_USERNAME="root", FHIR_ADMIN_PASSWORD="Correct-Horse-17"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    opener = build_opener(ProxyHandler({}), HTTPSHandler(context=ssl.create_default_context(cafile=file)))
    try:
        wait_until_ready(port, process, opener, "https")
        base = f"https://127.0.0.1:{port}"
        with pytest.raises(HTTPError) as refused:
            opener.open(f"{base}/fhir/Patient", timeout=30)
        assert refused.value.code == 401
        form = urlencode({"username": "root", "password": "Correct-Horse-17"}).encode()
        with opener.open(f"{base}/auth/login", form, timeout=30) as answer:
            token = json.load(answer)["access_token"]
            assert answer.headers["strict-transport-security"]
        for _ in range(4):  # whichever process answers
            request = Request(f"{base}/fhir/Patient", headers={"Authorization": f"Bearer {token}"})
            assert opener.open(request, timeout=30).status == 200
        logout = Request(f"{base}/auth/logout", method="POST", headers={"Authorization": f"Bearer {token}"})
        assert opener.open(logout, timeout=30).status == 204
        time.sleep(5)
        for _ in range(4):
            with pytest.raises(HTTPError) as refused:
                opener.open(Request(f"{base}/fhir/Patient", headers={"Authorization": f"Bearer {token}"}), timeout=30)
            assert refused.value.code == 401
    finally:
        process.terminate()
        process.wait()
        EmbeddedPostgres(data).stop()
