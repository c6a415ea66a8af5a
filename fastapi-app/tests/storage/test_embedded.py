"""The embedded PostgreSQL: starts, is shared, stops, and comes back after kills with all that it acknowledged."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from fhirserver.storage.embedded import EmbeddedPostgres, EmbeddedPostgresError

START = "import sys; from pathlib import Path; from fhirserver.storage.embedded import EmbeddedPostgres; "


@pytest.fixture(scope="module")
def folder(data_dir: Path) -> Path:
    return data_dir / "embedded"


@pytest.fixture
def embedded(folder: Path) -> Iterator[EmbeddedPostgres]:
    """One cluster for all tests of this file, since making one takes a second."""
    embedded = EmbeddedPostgres(folder)
    yield embedded
    embedded.stop()


@pytest.fixture
def new_folder(data_dir: Path) -> Iterator[Path]:
    folder = data_dir / "new"
    folder.mkdir()
    yield folder
    EmbeddedPostgres(folder).stop()
    shutil.rmtree(folder)


def postmaster(folder: Path) -> int:
    return int((folder / "postgres" / "postmaster.pid").read_text().split()[0])


async def value(dsn: str, sql: str) -> object:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("fsync", "on"),
        ("synchronous_commit", "on"),
        ("full_page_writes", "on"),
        ("data_checksums", "on"),
        ("server_encoding", "UTF8"),
        ("lc_collate", None),
        ("listen_addresses", ""),
        ("unix_socket_permissions", "0700"),
        ("shared_buffers", "256MB"),
        ("jit", "off"),
    ],
)
async def test_its_settings_are_safe_and_tuned(embedded, setting, expected):
    dsn = embedded.start()
    if expected is None:
        assert await value(dsn, "SELECT datcollate FROM pg_database WHERE datname = current_database()") == "C"
    else:
        assert await value(dsn, f"SHOW {setting}") == expected


async def test_the_database_is_clinical_records_and_only_the_owner_reaches_it(embedded, folder):
    dsn = embedded.start()
    assert dsn.startswith("postgresql://")
    assert await value(dsn, "SELECT current_database()") == "clinical_records"
    assert (folder / "socket").stat().st_mode & 0o777 == 0o700
    assert (folder / "postgres").stat().st_mode & 0o777 == 0o700


async def test_a_second_start_finds_the_running_one(embedded, folder):
    dsn = embedded.start()
    first = postmaster(folder)
    assert EmbeddedPostgres(folder).start() == dsn
    assert postmaster(folder) == first


async def test_data_survives_stop_and_start(embedded):
    dsn = embedded.start()
    await value(dsn, "DROP TABLE IF EXISTS kept")
    await value(dsn, "CREATE TABLE kept AS SELECT 42 AS answer")
    embedded.stop()
    assert not embedded.running()
    with pytest.raises(OSError):  # noqa: PT011
        await value(dsn, "SELECT 1")
    assert await value(embedded.start(), "SELECT answer FROM kept") == 42


async def test_data_survives_sigkill(embedded, folder):
    dsn = embedded.start()
    await value(dsn, "DROP TABLE IF EXISTS acknowledged")
    await value(dsn, "CREATE TABLE acknowledged (number int)")
    for number in range(20):
        await value(dsn, f"INSERT INTO acknowledged VALUES ({number}) RETURNING 1")
    os.kill(postmaster(folder), signal.SIGKILL)
    assert await value(embedded.start(), "SELECT count(*) FROM acknowledged") == 20


async def test_a_pid_file_that_names_another_process_is_stale(embedded, folder):
    embedded.start()
    os.kill(postmaster(folder), signal.SIGKILL)
    file = folder / "postgres" / "postmaster.pid"
    _, *rest = file.read_text().splitlines()
    file.write_text("\n".join([str(os.getpid()), *rest]) + "\n")
    assert not embedded.running()
    assert await value(embedded.start(), "SELECT 1") == 1


def test_starters_at_once_share_one_server(new_folder):
    code = START + "print(EmbeddedPostgres(Path(sys.argv[1])).start())"
    starters = [
        subprocess.Popen([sys.executable, "-c", code, str(new_folder)], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    answers = {starter.communicate(timeout=120)[0].strip() for starter in starters}
    assert [starter.returncode for starter in starters] == [0, 0, 0]
    assert len(answers) == 1
    assert EmbeddedPostgres(new_folder).running()
    assert answers == {EmbeddedPostgres(new_folder).start()}


@pytest.mark.parametrize("name", ["deep" * 30, "it's, a folder ñ%"])
async def test_any_path_will_do(data_dir, name):
    """A path that is too long for a socket, or that lists of folders and hosts would misread."""
    folder = data_dir / name
    embedded = EmbeddedPostgres(folder)
    try:
        dsn = embedded.start()
        assert re.search(r"host=/[\w/.-]+$", dsn)
        assert await value(dsn, "SELECT 1") == 1
        assert EmbeddedPostgres(folder).start() == dsn
    finally:
        embedded.stop()
        shutil.rmtree((folder / "socket-folder").read_text())
        shutil.rmtree(folder)


async def test_a_deleted_log_is_made_anew(embedded, folder):
    embedded.start()
    embedded.stop()
    (folder / "postgres.log").unlink()
    assert await value(embedded.start(), "SELECT 1") == 1


def test_a_failure_says_why(embedded, folder):
    embedded.start()
    embedded.stop()
    configuration = folder / "postgres" / "postgresql.conf"
    text = configuration.read_text()
    configuration.write_text(text + "\nshared_buffers = nonsense\n")
    try:
        with pytest.raises(EmbeddedPostgresError) as raised:
            embedded.start()
    finally:
        configuration.write_text(text)
    assert "contains errors" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_folder_that_cannot_be_made_is_one_line():
    with pytest.raises(EmbeddedPostgresError) as raised:
        EmbeddedPostgres(Path("/proc/nowhere")).start()
    assert "\n" not in str(raised.value)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs it under another account")
def test_as_root_a_folder_that_others_cannot_enter_is_refused(data_dir):
    closed = data_dir / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(EmbeddedPostgresError, match="choose a data directory"):
        EmbeddedPostgres(closed / "data").start()
    shutil.rmtree(closed)


def test_the_last_user_stops_it(embedded, folder):
    with embedded.used():
        with EmbeddedPostgres(folder).used():
            assert embedded.running()
        assert embedded.running()
    assert not embedded.running()


def test_a_killed_user_does_not_keep_it_running(embedded, folder):
    code = (
        START
        + "import time\nwith EmbeddedPostgres(Path(sys.argv[1])).used():\n    print('up', flush=True); time.sleep(60)"
    )
    user = subprocess.Popen([sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE)
    assert user.stdout is not None
    assert user.stdout.readline() == b"up\n"
    with embedded.used():
        user.kill()
        user.wait()
        assert embedded.running()
    assert not embedded.running()


def test_stopping_what_does_not_run_does_nothing(new_folder):
    begin = time.monotonic()
    EmbeddedPostgres(new_folder).stop()
    assert not EmbeddedPostgres(new_folder).running()
    assert time.monotonic() - begin < 1
    assert list(new_folder.iterdir()) == []
