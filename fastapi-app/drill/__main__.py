"""`python -m drill basic|complete|all`: checks a running server, writes a report, ends with 1 if a check failed."""

import argparse
import asyncio
import os
import sys
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path

from drill import basic, complete, compose, failure, kubernetes, local, processes
from drill.api import Api, NoAnswer
from drill.drill import Check, Drill, carry_out
from drill.language import text
from drill.own_cluster import NoCitus
from drill.report import markdown
from drill.result import Status
from drill.targets import REPO, CommandFailed, Target

BASIC: list[tuple[str, Check]] = [
    (text("containers or pods", "contenedores o pods"), basic.nodes),
    (text("health of the API", "salud de la API"), basic.health),
    (text("database", "base de datos"), basic.database),
    (text("Citus extension", "extensión Citus"), basic.extension),
    (text("registered workers", "workers registrados"), basic.workers),
    (text("distributed tables", "tablas distribuidas"), basic.tables),
    (text("login", "inicio de sesión"), basic.login),
    (text("capabilities", "capacidades"), basic.capabilities),
    (text("write, read, change, delete", "escribir, leer, cambiar, borrar"), basic.round_trip),
]
COMPLETE: list[tuple[str, Check]] = [
    (text("patients and observations written", "pacientes y observaciones escritos"), complete.writing),
    (text("distribution over workers and shards", "distribución entre workers y fragmentos"), complete.spread),
    (text("distributed SELECT, JOIN, aggregation", "SELECT, JOIN y agregación distribuidas"), complete.queries),
    (text("FHIR searches", "búsquedas FHIR"), complete.searches),
    (text("integrity: counts and hashes", "integridad: recuentos y hashes"), complete.integrity),
]
FAILURE: list[tuple[str, Check]] = [
    (text("a worker killed under load", "un worker matado bajo carga"), failure.worker_killed),
    (
        text("a third worker and rebalancing under load", "un tercer worker y reequilibrio bajo carga"),
        failure.worker_added,
    ),
]
LEVELS = {"basic": BASIC, "complete": BASIC + COMPLETE, "all": BASIC + COMPLETE + FAILURE}


def _account() -> tuple[str, str] | None:
    """The administrator's name and password, of the environment or of the file .env that setup made."""
    values = dict(os.environ)
    if (REPO / ".env").exists():
        lines = (REPO / ".env").read_text().splitlines()
        values = dict(line.split("=", 1) for line in lines if "=" in line) | values
    password = values.get("FHIR_ADMIN_PASSWORD")
    return (values.get("FHIR_ADMIN_USERNAME", "admin"), password) if password else None


async def _target(arguments: argparse.Namespace, made: AsyncExitStack) -> Target:
    """Where the server runs; what is made for the tests ends with `made`. Exits with one line if it runs nowhere."""
    account = _account()
    if arguments.url:
        if not arguments.database:
            sys.exit(text("--url needs --database", "--url necesita --database"))
        return local.Local(arguments.url, arguments.database, account)
    wanted = arguments.target
    if wanted == "processes":
        try:
            return await made.enter_async_context(processes.processes())
        except NoCitus as error:
            sys.exit(str(error))
    if wanted in ("auto", "compose") and (stack := await compose.found(account)):
        return stack
    if wanted in ("auto", "kubernetes") and (cluster := await kubernetes.found(arguments.forward)):
        return cluster
    if wanted in ("auto", "local") and (server := local.found(arguments.data, account)):
        return server
    sys.exit(
        text(
            "No server runs. Start one: ./setup_all.sh", "No hay ningún servidor en marcha. Inicie uno: ./setup_all.sh"
        )
    )


async def _clean(drill: Drill) -> None:
    """Delete what the run wrote, by the API: its history stays, as that of all that is deleted."""
    urls = [f"Observation/{id}" for id in drill.observations] + [f"Patient/{id}" for id in drill.patients]
    for first in range(0, len(urls), 200):
        entries = [{"request": {"method": "DELETE", "url": url}} for url in urls[first : first + 200]]
        await drill.api.send("POST", "/fhir", {"resourceType": "Bundle", "type": "batch", "entry": entries})


async def _run(arguments: argparse.Namespace) -> int:
    async with AsyncExitStack() as made:
        return await _carry_out(arguments, await _target(arguments, made))


async def _carry_out(arguments: argparse.Namespace, target: Target) -> int:
    print(f"{target.name}: {target.url}", flush=True)
    begin = datetime.now().astimezone()
    drill = Drill(target, Api(target.url, target.account), arguments.patients)
    try:
        for name, check in LEVELS[arguments.level]:
            print(f"  … {name}", end="", flush=True)
            result = await carry_out(drill, name, check)
            print(f"\r  {result.status.value} {name} ({result.seconds:.1f} s)", flush=True)
            if result.status is not Status.PASSED:
                print(f"      {result.lines[-1]}")
        if not arguments.keep:
            await _clean(drill)
    except NoAnswer as error:
        print(text(f"What was written was not deleted: {error}", f"Lo escrito no se borró: {error}"), file=sys.stderr)
    finally:
        drill.api.close()
    try:
        statistics, logs = await target.statistics(), await target.logs()
    except CommandFailed as error:
        statistics, logs = str(error), {}
    file = arguments.report / f"RESULTADOS_PRUEBAS_{begin:%Y%m%d_%H%M%S}.md"
    file.write_text(markdown(drill, arguments.level, begin, statistics, logs))
    for name, value in drill.figures.items():
        print(f"  {name}: {value}")
    print(text(f"Report: {file}", f"Informe: {file}"))
    return 1 if any(result.status is Status.FAILED for result in drill.results) else 0


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(prog="python -m drill", description=__doc__)
    parser.add_argument("level", choices=LEVELS)
    parser.add_argument("--target", choices=("auto", "local", "compose", "kubernetes", "processes"), default="auto")
    parser.add_argument("--url", help="http://host:port of any other server")
    parser.add_argument("--database", help="postgresql://… of that server")
    parser.add_argument("--data", type=Path, default=REPO / ".data", help="data folder of the local server")
    parser.add_argument("--patients", type=int, default=1000, help="how many patients to write")
    parser.add_argument("--forward", default="http://127.0.0.1:8080", help="where the API in Kubernetes is reached")
    parser.add_argument("--report", type=Path, default=REPO, help="folder for the report")
    parser.add_argument("--keep", action="store_true", help="leave what was written")
    sys.exit(asyncio.run(_run(parser.parse_args())))


if __name__ == "__main__":
    main()
