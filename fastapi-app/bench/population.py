"""A database of any size to search: Synthea's patients over and over, each time as other people.

Each copy of a patient's record has ids of its own, other names, all its dates so many days later, and measurements
that are a little off. What Synthea does not have is added, so that values are spread unevenly: one status in twenty
observations is `amended`, a code is in three resources, and one patient has a twentieth of all observations.
"""

import asyncio
import gzip
import multiprocessing
import re
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache, partial
from pathlib import Path
from random import Random
from typing import Any

import asyncpg
import orjson

from fhirserver.fhir.datatypes.ids import home_bucket, uuid8
from fhirserver.interactions.context import Call
from fhirserver.interactions.current import Current
from fhirserver.interactions.versions import next_version
from fhirserver.main import OpenServer
from fhirserver.settings import load_settings
from fhirserver.storage.migrate import upgrade

HEAVY = "patient-of-many-observations"
RARE = "http://example.org/codes|rare"
AMENDED = 0.05

_FIRST_MOMENT = 1_700_000_000_000
_INTERVAL = 1000  # milliseconds between two records
_HEAVY_INTERVAL = 44  # so that the observations of that patient lie among those of all others
_AT_ONCE = 500
_SHARED = ("hospital", "practitioner")
_REFERENCE = re.compile(r'"urn:uuid:([0-9a-f-]{36})"')
_CONDITIONAL = re.compile(r'"([A-Z][A-Za-z]+)\?identifier=([^"]*)"')
_DATE = re.compile(r'"(\d{4}-\d\d-\d\d)')


@dataclass(frozen=True, slots=True)
class Source:
    """The bundles that are copied, and where those of hospitals and practitioners have their resources."""

    bundles: tuple[Path, ...]
    families: tuple[str, ...]
    given: tuple[str, ...]
    shared: dict[str, str]
    """`urn:uuid` or `Type?identifier` → `Type/id`."""


def build(dsn: str, folders: list[Path], size: int, workers: int) -> None:
    """Fill the database with so many resources, unless it has them. Its indexes are built when all is in."""
    upgrade(dsn)
    if asyncio.run(_count(dsn)) >= size:
        return
    indexes = asyncio.run(_emptied(dsn))
    files = sorted(file for folder in folders for file in folder.rglob("*.json.gz"))
    open_server = OpenServer(load_settings(), dsn)
    shared = asyncio.run(_write_shared(open_server, [file for file in files if file.name.startswith(_SHARED)]))
    bundles = [file for file in files if not file.name.startswith(_SHARED)]
    names = [re.findall(r"[^\W\d_]+", file.name.partition(".")[0])[:2] for file in bundles]
    source = Source(tuple(bundles), tuple(name[1] for name in names), tuple(name[0] for name in names), shared)
    done = 0
    with ProcessPoolExecutor(
        workers, multiprocessing.get_context("spawn"), initializer=_start, initargs=(open_server, source)
    ) as pool:
        running = {pool.submit(_heavy, size // 20)}
        for number in range(1_000_000_000):
            while len(running) > 2 * workers:
                finished, running = wait(running, return_when=FIRST_COMPLETED)
                done += sum(future.result() for future in finished)
            if done + len(running) * 400 >= size:
                break
            running.add(pool.submit(_copy, number))
        done += sum(future.result() for future in running)
        number += 1
        while done < size:
            done += pool.submit(_copy, number).result()
            number += 1
    asyncio.run(_finish(dsn, indexes))


async def _count(dsn: str) -> int:
    connection = await asyncpg.connect(dsn)
    try:
        return int(await connection.fetchval("SELECT count(*) FROM resource"))
    finally:
        await connection.close()


async def _emptied(dsn: str) -> list[str]:
    """Remove all resources, and the indexes of their table; the definitions of these."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("TRUNCATE resource, resource_history, compartment_outside, load_receipt")
        rows = await connection.fetch(
            "SELECT indexrelid::regclass::text AS name, pg_get_indexdef(indexrelid) AS definition FROM pg_index"
            " WHERE indrelid = 'resource'::regclass AND NOT indisunique"
        )
        for row in rows:
            await connection.execute(f"DROP INDEX {row['name']}")
        return [row["definition"] for row in rows]
    finally:
        await connection.close()


async def _finish(dsn: str, indexes: list[str]) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("SET maintenance_work_mem = '512MB'")
        for definition in indexes:
            await connection.execute(definition)
        await connection.execute("VACUUM (ANALYZE) resource")
    finally:
        await connection.close()


async def _write_shared(open_server: OpenServer, files: list[Path]) -> dict[str, str]:
    """Hospitals and practitioners, once: what they are called in the bundles, and on the server."""
    addresses: dict[str, str] = {}
    resources = []
    random = Random(0)
    for file in files:
        for entry in orjson.loads(gzip.decompress(file.read_bytes()))["entry"]:
            resource = entry["resource"]
            resource["id"] = uuid8(random.randrange(4096), _FIRST_MOMENT, random.getrandbits(62))
            address = f"{resource['resourceType']}/{resource['id']}"
            addresses[entry["fullUrl"].removeprefix("urn:uuid:")] = address
            for identifier in resource.get("identifier", ()):
                criteria = f"{identifier.get('system')}|{identifier.get('value')}"
                addresses.setdefault(f"{resource['resourceType']}?{criteria}", address)
            resources.append(resource)
    text = orjson.dumps(resources).decode()
    async with open_server() as (current, call):
        await _write(current, call, orjson.loads(_linked(text, addresses)))
    return addresses


def _linked(text: str, addresses: dict[str, str]) -> str:
    """JSON whose references are those of the server."""
    text = _REFERENCE.sub(lambda match: f'"{addresses.get(match[1], "urn:uuid:" + match[1])}"', text)
    return _CONDITIONAL.sub(lambda match: f'"{addresses.get(f"{match[1]}?{match[2]}", match[0][1:-1])}"', text)


async def _write(current: Current, call: Call, resources: list[dict[str, Any]]) -> int:
    for first in range(0, len(resources), _AT_ONCE):
        server = await current.refresh()
        await server.store.write(
            [
                next_version(server, call, "create", resource["resourceType"], resource["id"], resource, None)
                for resource in resources[first : first + _AT_ONCE]
            ]
        )
    return len(resources)


class _Worker:
    """The server of one process, open for as long as the process lives."""

    loop: asyncio.AbstractEventLoop
    current: Current
    call: Call
    source: Source


def _start(open_server: OpenServer, source: Source) -> None:
    _Worker.loop = asyncio.new_event_loop()
    _Worker.current, _Worker.call = _Worker.loop.run_until_complete(open_server().__aenter__())
    _Worker.source = source


def _copy(number: int) -> int:
    """Write one more copy of a record; the number of its resources."""
    source = _Worker.source
    turn, place = divmod(number, len(source.bundles))
    order = Random(turn).sample(source.bundles, len(source.bundles))
    resources = list(_another(order[place], number))
    return _Worker.loop.run_until_complete(_write(_Worker.current, _Worker.call, resources))


def _another(file: Path, number: int) -> Iterator[dict[str, Any]]:
    """The resources of a bundle as those of somebody else."""
    source, definitions = _Worker.source, _Worker.current.server.definitions
    random = Random(number)
    entries = orjson.loads(gzip.decompress(file.read_bytes()))["entry"]
    addresses = dict(source.shared)
    bucket, moment = random.randrange(4096), _FIRST_MOMENT + number * _INTERVAL
    for place, entry in enumerate(entries):
        resource = entry["resource"]
        name = entry["fullUrl"].removeprefix("urn:uuid:")
        placed = definitions.placing_element(resource["resourceType"]) or resource["resourceType"] == "Patient"
        id = uuid8(bucket if placed else random.randrange(4096), moment + place, random.getrandbits(62))
        resource["id"] = id
        addresses[name] = f"{resource['resourceType']}/{id}"
    later = partial(_later, days=random.randrange(1500))
    text = orjson.dumps([entry["resource"] for entry in entries]).decode()
    text = _DATE.sub(lambda match: f'"{later(match[1])}', _linked(text, addresses))
    for resource in orjson.loads(text):
        _vary(resource, random, source)
        yield resource


@lru_cache(maxsize=100_000)
def _later(day: str, *, days: int) -> str:
    try:
        return (date.fromisoformat(day) + timedelta(days)).isoformat()
    except (ValueError, OverflowError):
        return day


def _vary(resource: dict[str, Any], random: Random, source: Source) -> None:
    if resource["resourceType"] == "Patient":
        for name in resource.get("name", ()):
            name["family"] = f"{random.choice(source.families)}{random.randrange(1000)}"
            name["given"] = [f"{random.choice(source.given)}{random.randrange(1000)}"]
    elif resource["resourceType"] == "Observation":
        if random.random() < AMENDED:
            resource["status"] = "amended"
        for holder in (resource, *resource.get("component", ())):
            quantity = holder.get("valueQuantity")
            if quantity and isinstance(quantity.get("value"), int | float):
                quantity["value"] = round(quantity["value"] * random.gauss(1.0, 0.03), 2)


def _heavy(observations: int) -> int:
    """Write the patient of many observations; three of these have the rare code."""
    source = _Worker.source
    written, patient, number = 0, "", 0
    pattern: list[dict[str, Any]] = []
    while written < observations:
        record = list(_another(source.bundles[number % len(source.bundles)], 1_000_000_000 + number))
        number += 1
        if not patient:
            patient = HEAVY
            [person] = [item for item in record if item["resourceType"] == "Patient"]
            person["id"] = HEAVY
            _Worker.loop.run_until_complete(_write(_Worker.current, _Worker.call, [person]))
        pattern = [item for item in record if item["resourceType"] == "Observation"][: observations - written]
        for place, item in enumerate(pattern):
            moment = _FIRST_MOMENT + (written + place) * _HEAVY_INTERVAL
            item["id"] = uuid8(home_bucket(HEAVY), moment, hash((number, place)))
            item["subject"] = {"reference": f"Patient/{HEAVY}"}
            item.pop("encounter", None)
            if written == 0 and place < 3:
                system, _, code = RARE.partition("|")
                item["code"] = {"coding": [{"system": system, "code": code}]}
        written += _Worker.loop.run_until_complete(_write(_Worker.current, _Worker.call, pattern))
    return written
