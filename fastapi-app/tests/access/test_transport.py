"""What surrounds the requests: slow and large headers and bodies, origins, TLS, and no secrets in logs."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator

import httpx
import pytest
import uvicorn
from jose import jwt

from fhirserver.interactions.context import Server
from fhirserver.web.app import build_app
from fhirserver.web.protocol import BoundedProtocol

from .conftest import FORM, JSON, Process


class _Checks:
    async def problems(self) -> dict[str, str | None]:
        return {"database": None}


@pytest.fixture
async def address(server: Server, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[str, int]]:
    """A real HTTP server with small bounds."""
    monkeypatch.setattr(BoundedProtocol, "header_seconds", 0.3)
    monkeypatch.setattr(BoundedProtocol, "header_bytes", 4096)
    app = build_app(server, health_checks=_Checks(), software_version="test", body_seconds=0.3)
    running = uvicorn.Server(uvicorn.Config(app, port=0, http=BoundedProtocol, lifespan="off", log_config=None))
    task = asyncio.create_task(running.serve())
    while not running.started:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    yield running.servers[0].sockets[0].getsockname()[:2]
    running.should_exit = True
    await task


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n", b"HTTP/1.1 200"),
        (b"", b""),  # nothing at all
        (b"GET /health/live HTTP/1.1\r\nHost: x\r\n", b""),  # headers without an end
        (b"GET /health/live HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 5000 + b"\r\n\r\n", b""),  # too many of them
        (b"GET /" + b"x" * 5000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", b""),
        (
            b"POST /fhir/Patient HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{",
            b"HTTP/1.1 408",
        ),  # a body that does not come
    ],
    ids=lambda value: value[:30],
)
async def test_slow_and_large_requests(address: tuple[str, int], sent: bytes, expected: bytes):
    reader, writer = await asyncio.open_connection(*address)
    writer.write(sent)
    async with asyncio.timeout(10):
        try:
            answer = await reader.read(12)
        except ConnectionError:
            answer = b""
        assert answer == expected
    writer.close()


async def test_a_connection_goes_on_after_a_request(address: tuple[str, int]):
    reader, writer = await asyncio.open_connection(*address)
    for _ in range(3):
        writer.write(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        await reader.readexactly(len(b'{"status":"alive"}'))
    writer.close()


@pytest.mark.parametrize(
    ("origins", "origin", "allowed"),
    [
        ((), "https://app.example", None),
        (("https://app.example",), "https://app.example", "https://app.example"),
        (("https://app.example",), "https://evil.example", None),
        (("https://app.example",), "null", None),
        (("*",), "https://any.example", "*"),
    ],
)
async def test_origins(server: Server, origins: tuple[str, ...], origin: str, allowed: str | None):
    app = build_app(server, health_checks=_Checks(), software_version="test", cors_origins=origins)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        answer = await client.get("/fhir/Patient?_count=0", headers={"Origin": origin})
        assert answer.headers.get("access-control-allow-origin") == allowed
        assert "access-control-allow-credentials" not in answer.headers
        asked = {
            "Origin": origin,
            "Access-Control-Request-Method": "PUT",
            "Access-Control-Request-Headers": "authorization",
        }
        preflight = await client.options("/fhir/Patient/1", headers=asked)
        assert preflight.headers.get("access-control-allow-origin") == allowed


async def test_a_preflight_needs_no_credentials(process: Process, server: Server):
    app = build_app(
        server,
        access=process.access,
        health_checks=_Checks(),
        software_version="test",
        cors_origins=["https://a.example"],
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        asked = {"Origin": "https://a.example", "Access-Control-Request-Method": "GET"}
        assert (await client.options("/fhir/Patient", headers=asked)).status_code == 200
        refused = await client.get("/fhir/Patient", headers={"Origin": "https://a.example"})
        assert refused.status_code == 401
        assert refused.headers["access-control-allow-origin"] == "https://a.example"  # so that the page can read why


@pytest.mark.parametrize(("scheme", "expected"), [("http", None), ("https", "max-age=31536000")])
async def test_security_headers(process: Process, scheme: str, expected: str | None):
    async with httpx.AsyncClient(transport=httpx.ASGITransport(process.app), base_url=f"{scheme}://test") as client:
        for answer in (
            await client.get("/fhir/Patient"),
            await client.post("/auth/login"),
            await client.get("/health"),
        ):
            assert answer.headers.get("strict-transport-security") == expected
            assert answer.headers["x-content-type-options"] == "nosniff"
        assert (await client.post("/auth/login")).headers["cache-control"] == "no-store"


async def test_no_secret_gets_into_logs_or_answers(
    process: Process, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
):
    """Markers in every place where a secret or a patient can stand."""
    caplog.set_level(logging.DEBUG)
    name, marker = await process.user("practitioner"), "MARKER-7f3a"
    seen = []
    async with process.client() as client:
        wrong = {"username": f"{name}{marker}", "password": marker}
        seen.append(await client.post("/auth/login", data=wrong, headers=FORM))
        seen.append(await client.post("/auth/refresh", json={"refresh_token": f"{marker}.{marker}"}, headers=JSON))
        seen.append(await client.post("/auth/register", json={"username": marker, "password": marker}, headers=JSON))
        seen.append(await client.get("/fhir/Patient", headers={"Authorization": f"Bearer {marker}.{marker}.{marker}"}))
        seen.append(await client.get("/fhir/Patient", headers={"X-API-Key": marker}))
        client.headers.update(await process.bearer(name))
        seen.append(await client.get(f"/fhir/Patient?name={marker}&identifier={marker}"))
        created = await client.post("/fhir/Patient", json={"resourceType": "Patient", "name": [{"family": marker}]})
        assert created.status_code == 201
        metrics = await client.get("/metrics")
        health = await client.get("/health")
    captured = capsys.readouterr()
    token = client.headers["authorization"].split()[1]
    logged = " ".join(record.getMessage() for record in caplog.records if record.name != "httpx")  # the client's own
    for text in (captured.out, captured.err, logged, metrics.text, health.text):
        assert marker not in text
        assert token not in text
        assert name not in text
    for answer in seen[:5]:
        assert marker not in answer.text + json.dumps(dict(answer.headers))
    assert set(jwt.get_unverified_claims(token)) == {"iss", "aud", "sub", "sid", "roles", "iat", "nbf", "exp", "jti"}
