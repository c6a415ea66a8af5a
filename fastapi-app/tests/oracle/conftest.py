"""The server and the oracle on the same resources."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import asyncpg
import httpx
import pytest

from fhirserver.fhir.definitions import Definitions
from fhirserver.fhir.resource_json import parse, serialize
from fhirserver.interactions.context import Server
from fhirserver.storage.compile import ways
from fhirserver.web.app import build_app

from .both import Both
from .queries import TYPES, Queries
from .references import BASE
from .resources import Maker
from .search import Oracle
from .world import World

_START = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
_SYSTEM = "urn:test:oracle"
_OF_A_ROUND = 8


class Clock:
    """A clock that goes on by a second and a half each time it is read, until it is stopped."""

    def __init__(self) -> None:
        self.now = _START
        self.stopped = False

    def __call__(self) -> datetime:
        if not self.stopped:
            self.now += timedelta(milliseconds=1500)
        return self.now


class _Checks:
    async def problems(self) -> dict[str, str | None]:
        return {"database": None}


@pytest.fixture(scope="module")
def loaded() -> dict[str, Any]:
    """What was loaded for this module, once it was."""
    return {}


@pytest.fixture
async def both(
    request: pytest.FixtureRequest,
    server: Server,
    definitions: Definitions,
    loaded: dict[str, Any],
    dsn: str,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Both]:
    """Server and oracle on a data set that is loaded once per module."""
    seed = request.config.getoption("--oracle-seed")
    clock: Clock = loaded.setdefault("clock", Clock())
    app = build_app(replace(server, clock=clock), health_checks=_Checks(), software_version="test")
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    headers = {"Content-Type": "application/fhir+json"}
    async with httpx.AsyncClient(transport=transport, base_url=BASE, headers=headers) as client:
        tag = f"{_SYSTEM}|{seed}"
        if "world" not in loaded:
            resources = await _load(client, Maker(definitions, Random(seed)), str(seed))
            loaded["world"] = World(definitions, iter(resources))
            loaded["supported"] = await _supported(client)
            connection = await asyncpg.connect(dsn)
            await connection.execute("ANALYZE resource")
            await connection.close()
            clock.stopped = True
        # Of so few resources one would never go the ways that are for many.
        for name, value in {"FEW": 3, "_DENSE": 1.0, "_ENTRY": 0.0, "_MANY_OF_A_BUCKET": 3}.items():
            monkeypatch.setattr(ways, name, value)
        oracle = Oracle(loaded["world"], clock.now)
        queries = Queries(oracle, loaded["supported"])
        yield Both(client, oracle, queries, tag, request.config.getoption("--oracle-cases"))


async def _load(client: httpx.AsyncClient, maker: Maker, seed: str) -> list[dict[str, Any]]:
    """Two rounds over all types, so that references lead in all directions; a third has ids of the client's choice.

    What the server refuses (an invariant may be broken) is left out; these must be few.
    """
    resources: list[dict[str, Any]] = []
    made = 0
    for number in range(2):
        for resource_type in TYPES:
            entries = []
            for position in range(_OF_A_ROUND * (3 if resource_type == "Observation" else 1)):
                resource = maker.resource(resource_type, [{"system": _SYSTEM, "code": seed}])
                made += 1
                if position % 3 == 0:
                    resource["id"] = f"o{seed}-{number}-{position}"
                    request = {"method": "PUT", "url": f"{resource_type}/{resource['id']}"}
                else:
                    request = {"method": "POST", "url": resource_type}
                entries.append({"request": request, "resource": resource})
            bundle = {"resourceType": "Bundle", "type": "batch", "entry": entries}
            answer = await client.post("", content=serialize(bundle))
            assert answer.status_code == 200, answer.text
            for entry in parse(answer.content)["entry"]:
                if "location" in entry["response"]:
                    address = entry["response"]["location"].removeprefix(f"{BASE}/").split("/")[:2]
                    resources.append(parse((await client.get("/".join(address))).content))
                    maker.addresses.append((address[0], address[1]))
    assert len(resources) > 0.8 * made, f"{made - len(resources)} of {made} resources were refused"
    return resources


async def _supported(client: httpx.AsyncClient) -> dict[str, dict[str, str]]:
    """The search parameters that the CapabilityStatement names, with their types, by type of resource."""
    statement = (await client.get("metadata")).json()
    return {
        item["type"]: {parameter["name"]: parameter["type"] for parameter in item["searchParam"]}
        for item in statement["rest"][0]["resource"]
    }
