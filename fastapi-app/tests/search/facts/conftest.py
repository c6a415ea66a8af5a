"""Resources that a module of facts names, stored once, and what searches find of them."""

import json
import random
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from fhirserver.interactions.context import Server, Validation
from fhirserver.web.app import build_app

NOW = datetime(2014, 1, 14, tzinfo=UTC)
"""The present of these tests: `ap` on dates depends on it."""

_SYSTEM = "urn:test:facts"
_NAME = re.compile(r"@([a-z0-9.-]+)")


class _Checks:
    async def problems(self) -> dict[str, str | None]:
        return {"database": None}


class Known:
    """Resources by name: `@name` in a resource or a query is the id of the one of that name."""

    def __init__(self, client: httpx.AsyncClient, tag: str):
        self.client = client
        self._tag = tag

    def ids(self, text: str) -> str:
        """The text with ids for names."""
        return _NAME.sub(rf"\1-{self._tag}", text)

    async def store(self, resources: Mapping[str, Mapping[str, Any]]) -> None:
        """Store them under ids made of their names."""
        entries = []
        for name, resource in resources.items():
            meta = {**resource.get("meta", {}), "tag": [*resource.get("meta", {}).get("tag", []), self._code()]}
            stored = {**resource, "id": f"@{name}", "meta": meta}
            url = f"{resource['resourceType']}/@{name}"
            entries.append({"request": {"method": "PUT", "url": url}, "resource": stored})
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        answer = await self.client.post("", content=self.ids(json.dumps(bundle)).encode())
        assert answer.status_code == 200, answer.text

    def _code(self) -> dict[str, str]:
        return {"system": _SYSTEM, "code": self._tag}

    async def answer(self, query: str) -> dict[str, Any]:
        """The Bundle that answers `Type?name=value&…`, written without percent-encoding."""
        address, _, asked = self.ids(query).partition("?")
        params = [tuple(part.split("=", 1)) for part in asked.split("&") if part]
        # What is contained has no tag: there, nothing else that is stored may match.
        params += [("_tag", f"{_SYSTEM}|{self._tag}")] if "_contained" not in query else []
        params.append(("_count", "500"))
        answer = await self.client.get(f"{address}?{urlencode(params)}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def find(self, query: str) -> list[str]:
        """The names of the matches, in their order."""
        return self.names(await self.answer(query), "match")

    def names(self, bundle: Mapping[str, Any], mode: str) -> list[str]:
        """The names of the resources of a Bundle that are there as matches, or are included."""
        return [
            entry["resource"]["id"].removesuffix(f"-{self._tag}")
            for entry in bundle.get("entry", [])
            if entry["search"]["mode"] == mode and entry["resource"]["id"].endswith(f"-{self._tag}")
        ]


@pytest.fixture(scope="module")
def remembered() -> dict[str, Any]:
    """What the tests of a module have in common: the tag of their resources, and what was found already."""
    return {}


@pytest.fixture
async def known(request: pytest.FixtureRequest, server: Server, remembered: dict[str, Any]) -> AsyncIterator[Known]:
    """The `RESOURCES` of the module, stored. They have what their rows are about; R4's invariants are no matter here."""
    loose = replace(server, clock=lambda: NOW, validation=Validation("structure"))
    app = build_app(loose, health_checks=_Checks(), software_version="test")
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    headers = {"Content-Type": "application/fhir+json"}
    async with httpx.AsyncClient(transport=transport, base_url="http://test/fhir", headers=headers) as client:
        if "tag" not in remembered:
            remembered["tag"] = f"{random.getrandbits(40):x}"
            await Known(client, remembered["tag"]).store(request.module.RESOURCES)
        yield Known(client, remembered["tag"])


@pytest.fixture
def find(known: Known, remembered: dict[str, Any]) -> Callable[[str], Awaitable[list[str]]]:
    """The names of what a query finds; the same query is asked once."""

    async def find(query: str) -> list[str]:
        if query not in remembered:
            remembered[query] = await known.find(query)
        return remembered[query]

    return find
