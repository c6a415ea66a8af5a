"""What is about one bucket asks the node that has it, which carries it out alone. Plain PostgreSQL skips these, loudly.

Run with `--database` on a cluster.
"""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from fhirserver.interactions.create import create
from fhirserver.interactions.delete import delete
from fhirserver.interactions.history import history
from fhirserver.interactions.read import read
from fhirserver.interactions.search import search
from fhirserver.interactions.update import update
from fhirserver.interactions.vread import vread
from fhirserver.storage.cluster import cluster as citus_at
from fhirserver.storage.engine import Pool
from fhirserver.storage.nodes import Nodes
from fhirserver.storage.spread import Spread, workers_of
from fhirserver.storage.statements import Statement, Statements
from fhirserver.storage.unit_of_work import PostgresStore


@pytest.fixture(autouse=True)
def _citus_only(on_citus: bool) -> None:
    if not on_citus:
        pytest.skip("SKIPPED: NO CITUS. Run with --database on a cluster to prove where statements go")


@pytest.fixture
async def spread(dsn: str, pool: Pool) -> AsyncIterator[Spread]:
    spread = Spread(pool, workers_of(pool, dsn), lambda node: Pool(node, size=4))
    await spread.look()
    yield spread
    await spread.close()


@pytest.fixture
async def nodes(pool: Pool) -> Nodes:
    nodes = Nodes(pool, 4, 15.0)
    assert await nodes.look()
    return nodes


class Told:
    """Each statement that was run: its name, the node's group, and how many shards it touched there by EXPLAIN."""

    def __init__(self) -> None:
        self.run: list[tuple[str, int, int]] = []


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    told = Told()
    for method in ("rows", "row", "run"):
        original = getattr(Statements, method)

        async def recorded(self: Statements, statement: Statement, *arguments: Any, original: Any = original) -> Any:
            group = await self.driver.fetchval("SELECT groupid FROM pg_dist_local_group")
            plan = [row[0] for row in await self.driver.fetch(f"EXPLAIN {statement.sql}", *arguments)]
            tasks = max(int(line.split("Task Count:")[1]) for line in plan if "Task Count:" in line)
            told.run.append((statement.name, group, tasks))
            return await original(self, statement, *arguments)

        monkeypatch.setattr(Statements, method, recorded)
    return told


def observation(who: str, **elements: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "x"},
        "subject": {"reference": f"Patient/{who}"},
        **elements,
    }


async def test_each_call_asks_the_node_that_has_the_bucket(dsn, server, call, told):
    groups = set()
    for _ in range(6):
        who = (await create(server, call, "Patient", {"resourceType": "Patient"})).stored.id
        async with citus_at(dsn) as known:
            place = await known.locate("Patient", who)
            group = await known._connection.fetchval(
                "SELECT groupid FROM pg_dist_node WHERE nodename = $1 AND nodeport = $2", place.host, place.port
            )
        _, _, id = [(await create(server, call, "Observation", observation(who))).stored.id for _ in range(3)]
        await read(server, call, "Observation", id)
        await vread(server, call, "Observation", id, "1")
        await update(server, call, "Observation", id, observation(who, id=id))
        await delete(server, call, "Observation", id)
        await history(server, call, "Observation", id, [])
        await search(server, call, "Observation", [("patient", who), ("_total", "accurate"), ("_count", "1")], False)
        await search(server, call, "Observation", [], True, ("Patient", who))
        assert {name for name, *_ in told.run} == {
            "insert", "read", "read_version", "replace", "history_resource", "search", "count", "is_outside",
        }  # fmt: skip
        assert [one for one in told.run if one[1:] != (group, 1)] == []
        told.run.clear()
        groups.add(group)
    assert len(groups) > 1


async def test_a_bucket_elsewhere_than_believed_is_asked_for_all_the_same(pool, server, call, spread, nodes):
    who = (await create(server, call, "Patient", {"resourceType": "Patient"})).stored.id

    class Mistaken(Nodes):
        def group(self, bucket: int | None) -> int | None:
            there = nodes.group(bucket)
            return there if there is None else 3 - there

    store = PostgresStore(pool, lambda *_: None, nodes=Mistaken(pool, 4, 15.0), spread=spread)
    await store.open()
    mistaken = replace(server, store=store)
    assert (await read(mistaken, call, "Patient", who)).version_id == 1
    id = (await create(mistaken, call, "Observation", observation(who))).stored.id
    assert (await read(server, call, "Observation", id)).version_id == 1
