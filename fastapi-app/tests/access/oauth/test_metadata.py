"""Where apps learn how to get tokens."""

import httpx
import pytest

from fhirserver.conformance.smart import CAPABILITIES
from fhirserver.web.app import build_app

from ..conftest import Process

ENDPOINTS = {
    "authorization_endpoint": "/auth/authorize",
    "token_endpoint": "/auth/token",
    "introspection_endpoint": "/auth/introspect",
    "revocation_endpoint": "/auth/revoke",
    "jwks_uri": "/.well-known/jwks.json",
}


@pytest.mark.parametrize("path", ["/fhir/.well-known/smart-configuration", "/.well-known/smart-configuration"])
async def test_smart_configuration(process: Process, path: str):
    async with process.client(Origin="https://anywhere.example") as client:
        answer = await client.get(path)
        told = answer.json()
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.headers["content-type"].startswith("application/json")
        assert told["capabilities"] == list(CAPABILITIES)
        assert told["code_challenge_methods_supported"] == ["S256"]
        for name, address in {**ENDPOINTS, "management_endpoint": "/auth/apps"}.items():
            assert told[name] == f"http://test{address}"
            tried = await client.get(address)
            assert tried.status_code != 404, address


async def test_openid_configuration(process: Process):
    async with process.client() as client:
        told = (await client.get("/.well-known/openid-configuration")).json()
    assert told["issuer"] == "http://test"
    assert told["id_token_signing_alg_values_supported"] == ["ES256"]
    assert {name: told[name] for name in ENDPOINTS} == {name: f"http://test{at}" for name, at in ENDPOINTS.items()}


async def test_the_capability_statement_follows(process: Process, client: httpx.AsyncClient):
    security = (await client.get("/fhir/metadata")).json()["rest"][0]["security"]
    assert security["cors"] is False
    assert security["service"][0]["coding"][0]["code"] == "SMART-on-FHIR"
    [uris] = security["extension"]
    assert uris["url"] == "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"
    assert {one["url"]: one["valueUri"] for one in uris["extension"]} == {
        "authorize": "http://test/auth/authorize",
        "token": "http://test/auth/token",
        "register": "http://test/auth/clients",
        "manage": "http://test/auth/apps",
        "introspect": "http://test/auth/introspect",
        "revoke": "http://test/auth/revoke",
    }


async def test_without_access_control_there_is_nothing_of_it(process: Process):
    class Checks:
        async def problems(self) -> dict[str, str | None]:
            return {}

    app = build_app(process.server, health_checks=Checks(), software_version="test")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        assert "security" not in (await client.get("/fhir/metadata")).json()["rest"][0]
        assert (await client.get("/.well-known/smart-configuration")).status_code == 404
        assert (await client.get("/auth/authorize")).status_code == 404
