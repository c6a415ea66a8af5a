"""`python -m bench.cluster [--seconds N] [--patients N] [--clients N …]`: Citus beside plain PostgreSQL, in one run.

Makes a coordinator and two workers on this machine (drill/own_cluster.py), and on the coordinator a second database
without Citus: the same PostgreSQL, the same settings, everything on the disk. A server runs on each of the two, and a
second one on the cluster that asks all nodes (`FHIR_DATABASE__QUERY_NODES=all`). They get the same patients and the
same requests, by turns, so that what else the machine does meets all. Prints Markdown.
"""

import argparse
import asyncio
import json
import os
from collections.abc import Callable, Iterator
from random import Random

from bench.bodies import body
from bench.client import Answer, Connection, Figures, Request, hammer
from bench.serving import for_seconds, ready, serving
from drill.own_cluster import own_cluster
from drill.patients import observation, patient, people, transaction
from fhirserver.storage.migrate import upgrade

_PLAIN, _CITUS, _ALL_NODES = 8381, 8382, 8383  # ports
_TURNS = 3
_EACH = 20  # observations of a patient
_RUN = "bench"

Make = Callable[[int], Request]


async def _fill(port: int, number: int) -> list[str]:
    """Write so many patients with their observations; the ids of the patients."""
    ids: list[str] = []
    persons = [patient(_RUN, person) for person in people(_RUN, number)]
    connection = Connection("127.0.0.1", port)
    await connection.open()
    try:
        for first in range(0, number, 50):
            bundle = json.dumps(transaction(persons[first : first + 50])).encode()
            answer = await connection.send(Request("POST", "/fhir", bundle))
            ids += [entry["response"]["location"].split("/")[-3] for entry in json.loads(answer.body)["entry"]]
    finally:
        connection.close()

    def observations() -> Iterator[Request]:
        for who in ids:
            resources = [observation(_RUN, who, n) for n in range(_EACH)]
            yield Request("POST", "/fhir", json.dumps(transaction(resources)).encode())

    await hammer(port, observations(), 4)
    return ids


def _shapes(ids: list[str], seed: int) -> dict[str, Make]:
    """What is asked, by what it is called."""
    random = Random(seed)

    def some() -> str:
        return random.choice(ids)

    def create(number: int) -> Request:
        content = body("Observation", number, {"Patient": some(), "Encounter": "e"})
        return Request("POST", "/fhir/Observation", content, 201)

    def get(make: Callable[[], str]) -> Make:
        return lambda _: Request("GET", f"/fhir/{make()}")

    return {
        "create (`POST Observation`)": create,
        "routed read (`Patient/[id]`)": get(lambda: f"Patient/{some()}"),
        "patient search (`Observation?patient`)": get(lambda: f"Observation?patient={some()}&_count=20"),
        "patient search, code and date": get(
            lambda: f"Observation?patient={some()}&code=http://loinc.org%7C8867-4&_sort=-date&_count=5"
        ),
        "fan-out search (`Observation?code`)": get(lambda: "Observation?code=http://loinc.org%7C8867-4&_count=10"),
        "fan-out search, a value that one has": get(
            lambda: f"Patient?identifier=urn:fhirserver:drill%7C{_RUN}-{random.randrange(len(ids))}"
        ),
    }


async def _measure(port: int, make: Make, seconds: float, clients: int, figures: Figures) -> None:
    found = await hammer(port, for_seconds(seconds, make), clients, _ignored)
    figures.latencies += found.latencies
    figures.elapsed += found.elapsed


def _ignored(_: Answer) -> None:
    pass


async def _compare(arguments: argparse.Namespace) -> None:
    for port in (_PLAIN, _CITUS, _ALL_NODES):
        await ready(port, "/health/ready")
    ids = {port: await _fill(port, arguments.patients) for port in (_PLAIN, _CITUS)}
    ids[_ALL_NODES] = ids[_CITUS]
    shapes = {port: _shapes(ids[port], 1) for port in ids}
    print(
        "| what | clients | plain req/s | p50 ms | p95 ms | Citus req/s | p50 ms | p95 ms | to plain, p50"
        " | all nodes req/s | p50 ms | p95 ms | to plain, p50 |"
    )
    print(f"|---|{'--:|' * 12}", flush=True)
    for name in shapes[_PLAIN]:
        for clients in arguments.clients:
            figures = {port: Figures() for port in ids}
            for port in ids:  # opens the connections of the server's pool
                await _measure(port, shapes[port][name], 0.3, max(arguments.clients), Figures())
            for _ in range(_TURNS):
                for port in ids:
                    await _measure(port, shapes[port][name], arguments.seconds / _TURNS, clients, figures[port])
            cells = [
                f"{found.rate:,.0f} | {found.percentile(50):.2f} | {found.percentile(95):.2f}"
                + (f" | {found.percentile(50) / figures[_PLAIN].percentile(50):.2f}" if port != _PLAIN else "")
                for port, found in figures.items()
            ]
            print(f"| {name} | {clients} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(prog="python -m bench.cluster", description=__doc__)
    parser.add_argument("--seconds", type=float, default=6.0, help="for each measurement")
    parser.add_argument("--patients", type=int, default=500, help=f"each with {_EACH} observations")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--workers", type=int, default=2, help="processes of each server")
    arguments = parser.parse_args()
    print(f"Load of the machine before: {os.getloadavg()[0]:.2f}\n")
    with own_cluster(2) as cluster:
        plain = cluster.database_without_citus("plain_records")
        upgrade(plain)
        upgrade(cluster.dsn)
        with (
            serving(plain, _PLAIN, arguments.workers),
            serving(cluster.dsn, _CITUS, arguments.workers),
            serving(cluster.dsn, _ALL_NODES, arguments.workers, FHIR_DATABASE__QUERY_NODES="all"),
        ):
            asyncio.run(_compare(arguments))
    print(f"\nLoad of the machine after: {os.getloadavg()[0]:.2f}; all on {os.cpu_count()} CPUs")


if __name__ == "__main__":
    main()
