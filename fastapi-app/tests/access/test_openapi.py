"""What our OpenAPI description says can be sent, sent: with nobody's, a patient's and an administrator's credentials.

schemathesis makes the requests of the description, always the same ones; `--openapi-cases` tells how many of each.
"""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import schemathesis
from api.building import bundle, entry, unique
from hypothesis import HealthCheck, Phase, given, seed, settings

from fhirserver.access.policy import Unrestricted
from fhirserver.conformance.openapi import openapi
from fhirserver.fhir.definitions import Definitions
from fhirserver.interactions.context import Call
from fhirserver.interactions.delete import delete

from .conftest import Process, start

OPEN = ("/fhir/metadata", "/fhir/.well-known/smart-configuration")
MARKER = "Unseen-7f3c"


@dataclass
class World:
    """A process with what is not to be seen in it, and the credentials of who asks."""

    process: Process
    headers: dict[str, dict[str, str]]
    written: list[str]


@pytest.fixture(scope="module")
async def world(dsn: str) -> AsyncIterator[World]:
    process, opened = await start(dsn)
    tag = unique()
    headers = {
        "nobody": {},
        "the patient": await process.bearer(await process.user("patient", fhir_user=f"Patient/own-{tag}")),
        "the administrator": await process.bearer(await process.user("admin")),
    }
    # Of the types that the description has examples of, under the ids that the examples have.
    subject = {"reference": f"Patient/other-{tag}"}
    hidden = [
        {"resourceType": "Patient", "id": f"other-{tag}", "name": [{"family": MARKER}]},
        {"resourceType": "Patient", "id": "example", "name": [{"family": MARKER}]},
        {"resourceType": "Observation", "id": "example", "status": "final", "code": {"text": MARKER}, "subject": subject},
        {"resourceType": "Condition", "id": "example", "code": {"text": MARKER}, "subject": subject},
        {"resourceType": "Encounter", "id": "example", "status": "finished", "class": {"display": MARKER, "code": "AMB"}, "subject": subject},
        {"resourceType": "Practitioner", "id": "example", "name": [{"family": MARKER}]},
        {"resourceType": "Organization", "id": "example", "name": MARKER},
    ]  # fmt: skip
    own = {"resourceType": "Patient", "id": f"own-{tag}", "active": True}
    written = [f"{body['resourceType']}/{body['id']}" for body in (*hidden, own)]
    made = World(process, headers, written)
    async with process.client(**headers["the administrator"]) as client:
        puts = [entry("PUT", address, body) for address, body in zip(written, (*hidden, own), strict=True)]
        stored = await client.post("/fhir", json=bundle(*puts))
        assert stored.status_code == 200, stored.text
    yield made
    call = Call("http://test/fhir", "test", Unrestricted())
    for address in dict.fromkeys(written):
        await delete(opened.current.server, call, *address.split("/"))
    await opened.close()


@pytest.fixture(scope="module")
def requests(definitions: Definitions, pytestconfig: pytest.Config) -> list[dict[str, Any]]:
    """The requests: method, URL, and what httpx calls the rest."""
    description = json.loads(json.dumps(openapi(definitions, "test", with_access=True)))
    made: list[dict[str, Any]] = []
    for result in schemathesis.openapi.from_dict(description).get_all_operations():

        @seed(1)
        @settings(
            max_examples=pytestconfig.getoption("--openapi-cases"),
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=result.ok().as_strategy())
        def collect(case: schemathesis.Case) -> None:
            made.append(case.as_transport_kwargs(base_url="http://test"))

        collect()
    return made


def _sendable(request: dict[str, Any], credentials: dict[str, str]) -> httpx.Request | None:
    """The request with these credentials; without any, those stay that were made up. None if no client could send it."""
    headers = {name: value for name, value in dict(request["headers"]).items() if "schemathesis" not in value.lower()}
    if credentials:
        for name in ("X-API-Key", "Authorization"):
            headers.pop(name, None)
    cookies = "; ".join(f"{name}={value}" for name, value in (request.get("cookies") or {}).items())
    if cookies:
        headers["Cookie"] = cookies
    body = {name: request[name] for name in ("json", "data") if request.get(name) is not None}
    if isinstance(body.get("data"), bytes | str):
        body = {"content": body["data"]}
    try:
        return httpx.Request(
            request["method"], request["url"], params=request.get("params"), headers={**headers, **credentials}, **body
        )
    except (UnicodeError, httpx.InvalidURL, TypeError, ValueError):
        return None


@pytest.mark.parametrize("who", ["nobody", "the patient", "the administrator"])
async def test_what_the_description_says(world: World, requests: list[dict[str, Any]], who: str) -> None:
    """No answer is a 5xx, nobody is answered with a resource, and the patient with nothing of others."""
    problems: list[str] = []
    sent = 0
    async with world.process.client() as client:
        client.headers.clear()
        for made in requests:
            path = urlsplit(made["url"]).path
            if path == "/auth/logout" and who != "nobody":
                continue  # it ends the token used: test_signing_out
            request = _sendable(made, world.headers[who])
            if request is None:
                continue
            answer = await client.send(request)
            sent += 1
            if answer.status_code == 201 and path.startswith("/fhir") and "location" in answer.headers:
                world.written.append("/".join(urlsplit(answer.headers["location"]).path.split("/")[2:4]))
            problem = _problem(who, path, answer)
            if problem is not None:
                problems.append(f"{problem}: {request.method} {request.url} → {answer.status_code} {answer.text[:300]}")
    assert not problems, f"{len(problems)} of {sent}:\n" + "\n".join(problems[:20])
    assert sent > len(requests) * 0.8, "most can't be sent"


def _problem(who: str, path: str, answer: httpx.Response) -> str | None:
    if answer.status_code >= 500:
        return "a 5xx"
    if not path.startswith("/fhir"):
        return None
    if who == "the patient" and MARKER in answer.text:
        return "a leak"
    if who == "nobody" and path not in OPEN:
        if answer.status_code != 401:
            return "not refused"
        if answer.content and answer.json()["resourceType"] != "OperationOutcome":
            return "a resource"
    return None


async def test_signing_out(world: World) -> None:
    headers = await world.process.bearer(await world.process.user("nurse"))
    async with world.process.client(**headers) as client:
        assert (await client.post("/auth/logout")).status_code == 204
        await world.process.changes.ask()
        assert (await client.get("/fhir/Patient/example")).status_code == 401
