"""The tests of a running server: that they pass on one, notice what is wrong, and say what does not apply."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_cli import COMMAND, environment, free_port, wait_until_ready

from drill.drill import Drill, carry_out
from drill.load import Load, Sent, percentile
from drill.report import bars
from drill.result import Chart, CheckFailed, NotApplicable, Result, Status

APP = Path(__file__).parents[2]
ADMIN = {"FHIR_ADMIN_USERNAME": f"drill{os.getpid()}", "FHIR_ADMIN_PASSWORD": "Correct-Horse-17"}


@pytest.fixture
def served(dsn) -> Iterator[str]:
    """The address of a server on the tests' database, which has the administrator of `ADMIN`."""
    port = free_port()
    subprocess.run(
        [*COMMAND, "users", "create-admin", ADMIN["FHIR_ADMIN_USERNAME"], "--password-stdin"],
        env=environment(FHIR_DATABASE_URL=dsn),
        input=ADMIN["FHIR_ADMIN_PASSWORD"],
        text=True,
        check=True,
    )
    process = subprocess.Popen(
        [*COMMAND, "serve", "--port", str(port)],
        env=environment(FHIR_DATABASE_URL=dsn),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until_ready(port, process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def drill(*arguments: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "drill", *arguments]
    return subprocess.run(command, cwd=APP, capture_output=True, text=True, env=environment(**settings), timeout=300)


def test_a_whole_run(served, dsn, on_citus, tmp_path):
    done = drill(
        "all",
        "--url",
        served,
        "--database",
        dsn,
        "--patients",
        "40",
        "--report",
        str(tmp_path),
        LC_ALL="es_ES.UTF-8",
        **ADMIN,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "un servidor local no tiene contenedores" in done.stdout
    [file] = tmp_path.glob("RESULTADOS_PRUEBAS_*_*.md")
    report = file.read_text()
    assert "## Resumen ejecutivo" in report
    assert "0 fallidas" in report
    for line in (
        "| ✓ | inicio de sesión |",
        "| ✓ | salud de la API |",
        "| ✓ | búsquedas FHIR |",
        "| ✓ | integridad: recuentos y hashes |",
    ):
        assert line in report
    assert ("| – | extensión Citus |" in report) is not on_citus
    assert re.search(r"Inserciones por segundo [^|]*\| \d+ \| 333 \|", report)


def test_a_server_that_does_not_answer_is_told_and_fails(dsn, tmp_path):
    done = drill("basic", "--url", f"http://127.0.0.1:{free_port()}", "--database", dsn, "--report", str(tmp_path))
    assert done.returncode == 1
    assert "✗ health of the API" in done.stdout
    assert "✓ database" in done.stdout
    assert "Traceback" not in done.stderr


def test_where_no_server_runs_the_next_step_is_told(tmp_path):
    done = drill("basic", "--target", "local", "--data", str(tmp_path))
    assert done.returncode == 1
    assert done.stderr == "No server runs. Start one: ./setup_all.sh\n"


@pytest.mark.parametrize(
    ("raised", "status", "note"),
    [
        (None, Status.PASSED, None),
        (CheckFailed("two, not three"), Status.FAILED, "two, not three"),
        (NotApplicable("no workers"), Status.NOT_APPLICABLE, "no workers"),
        (KeyError("entry"), Status.FAILED, "KeyError: 'entry'"),  # what nobody thought of is a failure, not the end
    ],
)
async def test_how_a_check_ends(raised, status, note):
    async def check(drill: Drill, result: Result) -> None:
        if raised:
            raise raised

    run = Drill(None, None)  # type: ignore[arg-type]
    result = await carry_out(run, "x", check)
    assert (result.status, result.lines[-1:]) == (status, [note] if note else [])
    assert run.results == [result]


@pytest.mark.parametrize(
    ("sent", "until"),
    [
        ([(9, 0.1, 200), (11, 0.1, 200)], 10),  # nothing happened
        ([(11, 0.1, 503), (12, 0.1, 200)], 11.1),  # the last failure
        ([(10.5, 0.1, 503), (9.5, 3.0, 200)], 12.5),  # one that was under way and took long
        ([(11, 2.0, 0), (12, 0.2, 201)], 13.0),  # no answer
        ([(8, 0.1, 503)], 10),  # before
    ],
)
def test_how_long_the_disturbance_lasted(sent, until):
    load = Load([Sent(*each) for each in sent])
    assert load.disturbed_until(10) == pytest.approx(until)


def test_percentile():
    assert percentile([], 99) == 0
    assert percentile([5.0], 50) == 5
    assert percentile([float(n) for n in range(100)], 95) == 95


def test_a_chart_is_bars():
    drawn = bars(Chart("shards", {"w1": 16, "worker-2": 8, "w3": 0}))
    lengths = [line.count("█") for line in drawn.splitlines() if line.startswith("w")]
    assert lengths == [40, 20, 0]


def test_run_tests_passes_on_what_it_was_told(tmp_path):
    script = APP.parent / "run_tests.sh"
    for arguments in (["basic", "--", "-k", "x"], ["code", "--target", "local"], ["basic", "--target"], ["some"]):
        done = subprocess.run([script, *arguments], capture_output=True, text=True, stdin=subprocess.DEVNULL)
        assert done.returncode == 2, arguments
    helped = subprocess.run([script, "--help"], capture_output=True, text=True, env=os.environ | {"LC_ALL": "es_ES"})
    assert "Pruebas del servidor en marcha" in helped.stdout
