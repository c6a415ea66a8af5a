"""Checks with data: patients written, spread over the shards, found again, counted and joined."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from time import perf_counter

from drill.drill import Drill
from drill.language import text
from drill.load import percentile
from drill.patients import SYSTEM, Person, family, observation, patient, people, transaction
from drill.result import Chart, CheckFailed, Result
from fhirserver.search.keys import ParameterKeys

EACH = 5  # observations of each fifth patient
_WRITERS = 16
_REPEATED = 10


async def writing(drill: Drill, result: Result) -> None:
    """The patients, each a request, by 16 connections; then transactions with observations.

    The first ones are not timed: they open the connections of the server's pool.
    """
    drill.persons = people(drill.run, drill.size)
    ids: dict[int, str] = {}
    latencies: list[float] = []
    waiting: Iterator[Person] = iter(drill.persons)

    async def write() -> None:
        for person in waiting:
            start = perf_counter()
            answer = await drill.api.send("POST", "/fhir/Patient", patient(drill.run, person))
            latencies.append((perf_counter() - start) * 1000)
            if answer.status != 201:
                raise CheckFailed(f"{answer.status}: {answer.body[:300]!r}")
            ids[person.number] = json.loads(answer.body)["id"]

    everybody, waiting = waiting, islice(waiting, drill.size // 10)
    await asyncio.gather(*(write() for _ in range(_WRITERS)))
    timed, waiting = drill.size - len(latencies), everybody
    latencies.clear()
    start = perf_counter()
    await asyncio.gather(*(write() for _ in range(_WRITERS)))
    rate = timed / (perf_counter() - start)
    drill.patients = [ids[number] for number in range(drill.size)]
    result.note(text(f"{drill.size} patients: {rate:.0f}/s", f"{drill.size} pacientes: {rate:.0f}/s"))
    result.note(f"p50 {percentile(latencies, 50):.1f} ms, p95 {percentile(latencies, 95):.1f} ms")
    drill.figures[text("Inserts a second (one request each)", "Inserciones por segundo (una petición cada una)")] = (
        f"{rate:.0f}"
    )
    observed = drill.patients[: drill.size // 5]
    bundles = iter(observed)

    async def transact() -> None:
        for who in bundles:
            body = transaction([observation(drill.run, who, number) for number in range(EACH)])
            answer = await drill.api.send("POST", "/fhir", body)
            if answer.status != 200:
                raise CheckFailed(f"{answer.status}: {answer.body[:300]!r}")
            entries = json.loads(answer.body)["entry"]
            drill.observations += [entry["response"]["location"].split("/")[-3] for entry in entries]

    start = perf_counter()
    await asyncio.gather(*(transact() for _ in range(_WRITERS)))
    seconds = perf_counter() - start
    done = len(observed) * EACH
    result.note(
        text(
            f"{len(observed)} transactions with {done} observations: {done / seconds:.0f} resources/s",
            f"{len(observed)} transacciones con {done} observaciones: {done / seconds:.0f} recursos/s",
        )
    )


def those(ids: list[str]) -> str:
    """A condition for the resources with these ids."""
    return f"id = ANY('{{{','.join(ids)}}}') AND content IS NOT NULL"


def tagged(run: str, resource_type: str, alias: str = "resource") -> str:
    """A condition for what a run has written, by the index of the server's own searches."""
    key = ParameterKeys(resource_type, "_tag").token(SYSTEM, run)
    return f"{alias}.keys @> ARRAY[{key}::bigint] AND {alias}.content IS NOT NULL"


async def spread(drill: Drill, result: Result) -> None:
    """Where the patients are: how many on each node and shard."""
    drill.need_patients()
    await drill.need_citus()
    buckets, _ = await drill.target.sql(
        "SELECT bucket, count(*) AS n FROM resource"
        f" WHERE resource_type = 'Patient' AND {those(drill.patients)} GROUP BY 1"
    )
    placed, _ = await drill.target.sql(
        "SELECT b AS bucket, s.nodename AS node, s.shardid AS shard FROM generate_series(0, 4095) b"
        " JOIN citus_shards s ON s.shardid = get_shard_id_for_distribution_column('resource'::regclass, b)"
    )
    place = {row["bucket"]: (row["node"], row["shard"]) for row in placed}
    nodes: Counter[str] = Counter()
    shards: Counter[int] = Counter()
    for row in buckets:
        node, shard = place[row["bucket"]]
        nodes[node] += row["n"]
        shards[shard] += row["n"]
    result.charts.append(Chart(text("Patients on each node", "Pacientes en cada nodo"), dict(sorted(nodes.items()))))
    result.note(
        text("shards with patients", "fragmentos con pacientes") + f": {len(shards)}, "
        f"{min(shards.values())} – {max(shards.values())} " + text("on each", "en cada uno")
    )
    drill.figures[text("Patients on each worker", "Pacientes en cada worker")] = " / ".join(
        str(number) for _, number in sorted(nodes.items())
    )
    result.expect(text("patients", "pacientes"), sum(nodes.values()), len(drill.patients))
    rows, _ = await drill.target.sql(
        "SELECT nodename AS node, count(*) AS n FROM citus_shards WHERE table_name = 'resource'::regclass GROUP BY 1"
    )
    held = {row["node"]: row["n"] for row in rows}
    result.charts.append(Chart(text("Shards of the table resource", "Fragmentos de la tabla resource"), held))
    if set(nodes) != set(held):
        raise CheckFailed(text("a worker has no patient", "un worker no tiene pacientes"))


async def queries(drill: Drill, result: Result) -> None:
    """SQL over all shards: a SELECT, a JOIN, an aggregation; each with the known answer."""
    drill.need_patients()
    women = sum(person.gender == "female" for person in drill.persons)
    patients = f"resource_type = 'Patient' AND {tagged(drill.run, 'Patient')}"
    joined = (
        "SELECT count(*) AS n FROM resource p JOIN resource o ON o.bucket = p.bucket"
        " AND o.resource_type = 'Observation' AND o.content->'subject'->>'reference' = 'Patient/' || p.id"
        f" WHERE p.resource_type = 'Patient' AND {tagged(drill.run, 'Patient', 'p')}"
        f" AND {tagged(drill.run, 'Observation', 'o')}"
    )
    asked = {
        "SELECT": (f"SELECT count(*) AS n FROM resource WHERE {patients}", len(drill.patients)),
        "JOIN": (joined, len(drill.observations)),
        text("aggregation", "agregación"): (
            "SELECT n FROM (SELECT content->>'gender' AS gender, count(*) AS n, min(content->>'birthDate')"
            f" FROM resource WHERE {patients} GROUP BY 1) g WHERE gender = 'female'",
            women,
        ),
    }
    times = {}
    for name, (statement, expected) in asked.items():
        rows, times[name] = await drill.target.sql(statement, _REPEATED)
        result.expect(f"{name}, {times[name]:.1f} ms", rows[0]["n"], expected)
    result.charts.append(Chart(text("Distributed queries, ms", "Consultas distribuidas, ms"), times))
    drill.figures[text("Distributed queries, slowest", "Consultas distribuidas, la más lenta")] = (
        f"{max(times.values()):.0f} ms"
    )


async def searches(drill: Drill, result: Result) -> None:
    """FHIR searches, each with the known answer."""
    drill.need_patients()
    name, who = family(drill.run), drill.patients[0]
    women = sum(person.gender == "female" for person in drill.persons)
    young = sum(person.born.year >= 1980 for person in drill.persons)
    count = f"family={name}&_summary=count"
    expected = {
        f"Patient?identifier=urn:fhirserver:drill%7C{drill.run}-7": 1,
        f"Patient?{count}": drill.size,
        f"Patient?{count}&gender=female": women,
        f"Patient?{count}&birthdate=ge1980": young,
        f"Observation?patient={who}&_total=accurate": EACH,
        f"Observation?patient={who}&code=http://loinc.org%7C8867-4&_sort=-date&_total=accurate": EACH,
        f"Observation?subject:Patient.family={name}&_summary=count": drill.size // 5 * EACH,
        f"Patient?{count}&_has:Observation:patient:code=8867-4": drill.size // 5,
    }
    times = {}
    for query, total in expected.items():
        found = [await drill.api.timed(f"/fhir/{query}") for _ in range(_REPEATED)]
        times[query.replace(name, "…").replace(drill.run, "…").replace(who, "…")] = percentile(
            [ms for _, ms in found], 50
        )
        entries = found[-1][0]
        result.expect(f"GET {query}", entries.get("total", len(entries.get("entry", []))), total)
    included = await drill.api.get(f"/fhir/Observation?patient={who}&_include=Observation:patient")
    kinds = Counter(entry["resource"]["resourceType"] for entry in included["entry"])
    result.expect("_include", dict(kinds), {"Observation": EACH, "Patient": 1})
    sorted_ = await drill.api.get(f"/fhir/Patient?family={name}&_sort=birthdate&_count=3")
    oldest = sorted(person.born.isoformat() for person in drill.persons)[:3]
    result.expect("_sort", [entry["resource"]["birthDate"] for entry in sorted_["entry"]], oldest)
    result.charts.append(Chart(text("FHIR searches, p50 in ms", "Búsquedas FHIR, p50 en ms"), times))
    drill.figures[text("FHIR searches, slowest p50", "Búsquedas FHIR, el p50 más lento")] = (
        f"{max(times.values()):.0f} ms"
    )


async def integrity(drill: Drill, result: Result) -> None:
    """All that was acknowledged is there, counted and hashed."""
    drill.need_patients()
    number, digest = await fingerprint(drill, drill.patients + drill.observations)
    result.note(f"md5 {digest}")
    result.expect(text("resources", "recursos"), number, len(drill.patients) + len(drill.observations))


async def fingerprint(drill: Drill, ids: list[str]) -> tuple[int, str]:
    """How many of these resources are stored, and a hash of all their content."""
    rows, _ = await drill.target.sql(
        "SELECT count(*) AS n, md5(string_agg(digest, '' ORDER BY id)) AS digest FROM"
        f" (SELECT id, md5(content::text) AS digest FROM resource WHERE {those(ids)}) r"
    )
    return rows[0]["n"], rows[0]["digest"]
