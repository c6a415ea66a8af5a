"""fhirclient, the SMART client of PyPI and of npm, launches against a served server, as its users have it."""

import asyncio
import re
import secrets
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from fhirclient.client import FHIRClient
from fhirclient.models.observation import Observation
from fhirclient.models.patient import Patient

from fhirserver.access.oauth.client_authentication import ASSERTION_TYPE

from ..conftest import PASSWORD, Process
from .conftest import key

BACK = "http://localhost:9/back"
SMART_APP = Path(__file__).parent / "smart_app.js"


@pytest.fixture(scope="module")
async def served(process: Process) -> AsyncIterator[str]:
    """The address of the server, which really listens."""
    running = uvicorn.Server(uvicorn.Config(process.app, port=0, lifespan="off", log_config=None))
    task = asyncio.create_task(running.serve())
    while not running.started:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    host, port = running.servers[0].sockets[0].getsockname()[:2]
    yield f"http://{host}:{port}"
    running.should_exit = True
    await task


@pytest.fixture(scope="module")
async def patient(process: Process) -> str:
    """A patient with an observation."""
    async with process.client(**await process.bearer(await process.user("practitioner"))) as client:
        body: dict[str, Any] = {"resourceType": "Patient", "name": [{"family": "Launch", "given": ["Ana"]}]}
        id = str((await client.post("/fhir/Patient", json=body)).json()["id"])
        body = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}
        made = await client.post("/fhir/Observation", json={**body, "subject": {"reference": f"Patient/{id}"}})
        assert made.status_code == 201
    return id


async def through_the_pages(address: str, username: str, back: str = BACK) -> str:
    """Where a browser without scripts ends up, whose user signs in and allows everything."""
    async with httpx.AsyncClient(follow_redirects=False) as client:
        page = await client.get(address)
        for typed in ({"username": username, "password": PASSWORD, "step": "sign-in"}, {"step": "give"}):
            fields = dict(re.findall(r'name="([^"]*)" value="([^"]*)"', page.text))
            assert "proof" in fields, page.text
            page = await client.post(address, data={**fields, **typed})
            assert page.status_code == 303, page.text
            if not page.headers["location"].startswith(back):
                page = await client.get(page.headers["location"])
        return str(page.headers["location"])


@pytest.mark.parametrize("method", ["none", "client_secret_basic"])
async def test_a_standalone_launch(process: Process, served: str, patient: str, method: str):
    scope = "launch/patient patient/*.rs openid fhirUser offline_access"
    registered, secret = await process.access.oauth.clients.add("App", method, scope, [BACK])
    username = await process.user("patient", fhir_user=f"Patient/{patient}")
    settings = {
        "app_id": registered.id, "app_secret": secret, "api_base": f"{served}/fhir", "redirect_uri": BACK, "scope": scope,
    }  # fmt: skip

    def begin() -> tuple[FHIRClient, str]:
        smart = FHIRClient(settings=settings)
        assert not smart.prepare()  # it has to ask somebody first
        return smart, smart.authorize_url

    def go_on(smart: FHIRClient, address: str) -> tuple[str, int]:
        smart.handle_callback(address)
        assert smart.ready
        assert smart.patient_id == patient
        smart.reauthorize()  # with the refresh token
        observations = Observation.where(struct={"patient": patient}).perform_resources(smart.server)
        return Patient.read(patient, smart.server).name[0].family, len(observations)

    smart, address = await asyncio.to_thread(begin)
    back = await through_the_pages(address, username)
    assert await asyncio.to_thread(go_on, smart, back) == ("Launch", 1)


async def test_a_standalone_launch_of_a_javascript_app(process: Process, served: str, patient: str):
    node = shutil.which("node")
    known = node and await asyncio.create_subprocess_exec(node, "-e", "require('fhirclient')", stderr=-3)
    if not known or await known.wait() != 0:
        pytest.skip("SKIPPED FOR LACK OF NODE: npm install fhirclient, then NODE_PATH=…/node_modules")
    scope = "launch/patient patient/*.rs openid fhirUser online_access"
    node_app = await asyncio.create_subprocess_exec(str(node), str(SMART_APP), f"{served}/fhir", scope, stdout=-1)
    try:
        assert node_app.stdout is not None
        at = f"http://localhost:{int(await node_app.stdout.readline())}"
        client, _ = await process.access.oauth.clients.add("JavaScript", "none", scope, [f"{at}/back"])
        username = await process.user("patient", fhir_user=f"Patient/{patient}")
        async with httpx.AsyncClient(base_url=at, timeout=20) as browser:
            await browser.get(f"/register?id={client.id}")
            sent = await browser.get("/launch")
            back = await through_the_pages(sent.headers["location"], username, f"{at}/back")
            seen = await browser.get(back, follow_redirects=True)
        user = f"Patient/{patient}"
        assert seen.text.startswith("{"), seen.text
        assert seen.json() == {"id": patient, "again": patient, "total": 1, "user": user}
    finally:
        node_app.kill()
        await node_app.wait()


async def test_a_backend_service(process: Process, served: str, patient: str):
    one = key()
    jwks = {"keys": [one.public]}
    system, _ = await process.access.oauth.clients.add("S", "private_key_jwt", "system/*.rs", jwks=jwks)
    async with httpx.AsyncClient(base_url=served) as client:
        token_url = (await client.get("/fhir/.well-known/smart-configuration")).json()["token_endpoint"]
        assertion = one.assertion(system.id, aud=token_url, jti=secrets.token_hex(8))
        form = {
            "grant_type": "client_credentials", "scope": "system/*.rs", "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": assertion,
        }  # fmt: skip
        token = (await client.post(token_url, data=form)).json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        assert (await client.get(f"/fhir/Patient/{patient}")).json()["id"] == patient
        assert (await client.get(f"/fhir/Observation?patient={patient}")).json()["total"] == 1
