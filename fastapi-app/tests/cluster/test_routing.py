"""On Citus, what belongs to one patient touches one shard. On plain PostgreSQL these are skipped, loudly.

Run with `--database` on a cluster. The statements that a request ran are explained again with the same arguments.
"""

import random
from typing import Any

import orjson
import pytest

from fhirserver.bundles.process import process_bundle
from fhirserver.interactions.create import create
from fhirserver.interactions.delete import delete
from fhirserver.interactions.history import history
from fhirserver.interactions.read import read
from fhirserver.interactions.search import search
from fhirserver.interactions.update import update
from fhirserver.interactions.vread import vread
from fhirserver.storage.statements import Statement, Statements


@pytest.fixture(autouse=True)
def _citus_only(on_citus: bool) -> None:
    if not on_citus:
        pytest.skip("SKIPPED: NO CITUS. Run with --database on a cluster to prove where statements go")


class Recorder:
    """The statements that were run, with their arguments, and the tables that rows were copied to."""

    def __init__(self) -> None:
        self.run: list[tuple[Statement, tuple[Any, ...]]] = []
        self.copied: list[tuple[str, set[int]]] = []


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    recorder = Recorder()
    for method in ("rows", "row", "run"):
        original = getattr(Statements, method)

        async def recorded(self: Statements, statement: Statement, *arguments: Any, original: Any = original) -> Any:
            recorder.run.append((statement, arguments))
            return await original(self, statement, *arguments)

        monkeypatch.setattr(Statements, method, recorded)
    copy = Statements.copy

    async def copied(self: Statements, name: str, table: str, columns: Any, records: Any) -> None:
        recorder.copied.append((table, {record[0] for record in records}))
        await copy(self, name, table, columns, records)

    monkeypatch.setattr(Statements, "copy", copied)
    return recorder


async def tasks(pool, recorder: Recorder) -> dict[str, int]:
    """How many shards each recorded statement touched, by its name: the most, if it was run several times."""
    found: dict[str, int] = {}
    async with pool.connection() as driver:
        for statement, arguments in recorder.run:
            plan = await driver.fetch(f"EXPLAIN {statement.sql}", *arguments)
            counts = [int(row[0].split("Task Count:")[1]) for row in plan if "Task Count:" in row[0]]
            found[statement.name] = max(*counts, found.get(statement.name, 0), 0)
    return found


async def patient(server, call) -> str:
    return (await create(server, call, "Patient", {"resourceType": "Patient"})).stored.id


def observation(who: str, **elements: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "8480-6"}]},
        "subject": {"reference": f"Patient/{who}"},
        "effectiveDateTime": "2024-05-10",
        **elements,
    }


async def test_an_instance_is_on_one_shard(server, call, pool, recorder):
    who = await patient(server, call)
    recorder.run.clear()
    stored = (await create(server, call, "Observation", observation(who))).stored
    await read(server, call, "Observation", stored.id)
    await vread(server, call, "Observation", stored.id, "1")
    await update(server, call, "Observation", stored.id, observation(who, id=stored.id))
    await delete(server, call, "Observation", stored.id)
    assert await tasks(pool, recorder) == {"insert": 1, "read": 1, "read_version": 1, "replace": 1}


@pytest.mark.parametrize(
    "query",
    [
        [("patient", "{who}")],
        [("subject", "Patient/{who}"), ("code", "http://loinc.org|8480-6"), ("date", "ge2020")],
        [("subject:Patient", "{who}"), ("_sort", "-date,code")],
        [("patient", "{who}"), ("_total", "accurate"), ("_count", "1")],
    ],
)
async def test_a_patients_search_is_on_one_shard(server, call, pool, recorder, query):
    who = await patient(server, call)
    for _ in range(3):
        await create(server, call, "Observation", observation(who))
    recorder.run.clear()
    params = [(name, value.format(who=who)) for name, value in query]
    await search(server, call, "Observation", params, lenient=False)
    assert set((await tasks(pool, recorder)).values()) == {1}


async def test_a_patients_history_is_on_one_shard(server, call, pool, recorder):
    who = await patient(server, call)
    recorder.run.clear()
    await history(server, call, "Patient", who, [])
    assert await tasks(pool, recorder) == {"history_resource": 1}


async def test_a_patients_transaction_is_on_one_shard(server, call, pool, recorder):
    urn = "urn:uuid:00000000-0000-4000-8000-000000000001"
    post = [
        {
            "resource": observation("x") | {"subject": {"reference": urn}},
            "request": {"method": "POST", "url": "Observation"},
        }
        for _ in range(20)
    ]
    who = {"fullUrl": urn, "resource": {"resourceType": "Patient"}, "request": {"method": "POST", "url": "Patient"}}
    await process_bundle(server, call, {"resourceType": "Bundle", "type": "transaction", "entry": [*post, who]})
    assert recorder.run == []
    [(table, buckets)] = recorder.copied
    assert table == "resource"
    assert len(buckets) == 1


async def test_a_patients_transaction_of_all_kinds_is_on_one_shard(server, call, pool, recorder):
    who = await patient(server, call)
    changed, gone, read_ = [(await create(server, call, "Observation", observation(who))).stored.id for _ in range(3)]
    recorder.run.clear()
    asked = [
        ("POST", "Observation", observation(who)),
        ("PUT", f"Observation/{changed}", observation(who, id=changed, status="amended")),
        ("DELETE", f"Observation/{gone}", None),
        ("GET", f"Observation/{read_}", None),
        ("GET", f"Observation?patient={who}", None),
    ]
    entries = [
        {"request": {"method": method, "url": url}} | ({"resource": resource} if resource else {})
        for method, url, resource in asked
    ]
    answer = orjson.loads(
        await process_bundle(server, call, {"resourceType": "Bundle", "type": "transaction", "entry": entries})
    )
    assert len(answer["entry"][4]["resource"]["entry"]) == 3
    assert await tasks(pool, recorder) == {"read_many": 1, "archive_many": 1, "remove_many": 1, "read": 1, "search": 1}
    assert len({bucket for _, buckets in recorder.copied for bucket in buckets}) == 1


async def test_an_update_of_a_patients_resources_is_on_one_shard(server, call, pool, recorder):
    who = await patient(server, call)
    ids = [(await create(server, call, "Observation", observation(who))).stored.id for _ in range(5)]
    recorder.run.clear()
    put = [
        {
            "resource": observation(who, id=id, status="amended"),
            "request": {"method": "PUT", "url": f"Observation/{id}"},
        }
        for id in ids
    ]
    await process_bundle(server, call, {"resourceType": "Bundle", "type": "transaction", "entry": put})
    assert await tasks(pool, recorder) == {"read_many": 1, "archive_many": 1, "remove_many": 1}


async def test_what_is_asked_of_all_patients_goes_to_all_shards(server, call, pool, recorder):
    code = f"c{random.getrandbits(60)}"
    for _ in range(12):
        body = observation(await patient(server, call), code={"coding": [{"code": code}]})
        await create(server, call, "Observation", body)
    recorder.run.clear()
    found = orjson.loads(await search(server, call, "Observation", [("code", code), ("_count", "5")], lenient=False))
    assert len(found["entry"]) == 5
    total = [("code", code), ("_summary", "count")]
    assert orjson.loads(await search(server, call, "Observation", total, lenient=False))["total"] == 12
    assert min((await tasks(pool, recorder)).values()) > 1


@pytest.mark.parametrize("resource_type", ["Observation", "Condition", "Encounter", ""])
async def test_a_search_in_a_patients_compartment_is_on_one_shard(server, call, pool, recorder, resource_type):
    who = await patient(server, call)
    own = (await create(server, call, "Observation", observation(who))).stored.id
    recorder.run.clear()
    found = orjson.loads(await search(server, call, resource_type, [], True, ("Patient", who)))
    expected = {"Observation": [own], "": [who, own]}.get(resource_type, [])
    assert sorted(entry["resource"]["id"] for entry in found.get("entry", [])) == sorted(expected)
    assert set((await tasks(pool, recorder)).values()) == {1}


async def test_what_is_elsewhere_is_found_in_the_compartment_too(server, call, pool, recorder):
    who, other = await patient(server, call), await patient(server, call)
    made = observation(other, performer=[{"reference": f"Patient/{who}"}])
    id = (await create(server, call, "Observation", made)).stored.id
    recorder.run.clear()
    found = orjson.loads(await search(server, call, "Observation", [], True, ("Patient", who)))
    assert [entry["resource"]["id"] for entry in found["entry"]] == [id]
    touched = await tasks(pool, recorder)
    assert touched["is_outside"] == 1
    assert touched["search"] > 1


async def test_explained_with_the_shards_it_touches(server, call):
    who = await patient(server, call)
    for query, told in (
        ([("patient", who)], "shards: 1 of the cluster, routed to one bucket"),
        ([("status", "final")], "fan-out"),
    ):
        found = orjson.loads(await search(server, call, "Observation", [*query, ("_explain", "true")], True))
        assert told in str(found["entry"][-1]["resource"])
