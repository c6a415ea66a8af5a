"""Tokens of other issuers: a small OpenID provider, run by the test, and what goes wrong with such."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from jose import jwk, jwt

from fhirserver.access.issuers import IssuerRules, OpenIdIssuer
from fhirserver.access.tokens import InvalidToken
from fhirserver.remote.fetch import MAX_BYTES, Fetch, FetchError, is_public
from fhirserver.settings import IssuerSettings

from .conftest import Process, start, unlimited


@dataclass
class Provider:
    """An HTTP server with a discovery document and keys. `documents` are what it answers with, by path."""

    documents: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    url: str = ""
    keys: dict[str, rsa.RSAPrivateKey] = field(default_factory=dict)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        path = head.split(b" ")[1].decode()
        self.asked.append(path)
        body = self.documents.get(path)
        if path == "/redirect":
            writer.write(b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n")
        elif path == "/slow":
            await asyncio.sleep(30)
        elif body is None:
            writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        else:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body)
        writer.close()

    def publish(self, *kids: str, **discovery: Any) -> None:
        for kid in kids:
            if kid not in self.keys:
                self.keys[kid] = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        listed = []
        for kid in kids:
            public = jwk.construct(_pem(self.keys[kid]), "RS256").public_key().to_dict()
            plain = {name: value.decode() if isinstance(value, bytes) else value for name, value in public.items()}
            listed.append({**plain, "kid": kid, "use": "sig"})
        about = {"issuer": self.url, "jwks_uri": f"{self.url}/keys", **discovery}
        self.documents["/.well-known/openid-configuration"] = json.dumps(about).encode()
        self.documents["/keys"] = json.dumps({"keys": listed}).encode()

    def token(self, kid: str = "one", **claims: Any) -> str:
        now = int(datetime.now(UTC).timestamp())
        content = {
            "iss": self.url, "aud": "fhir", "sub": "ana", "preferred_username": "Ana", "iat": now, "exp": now + 300,
            "realm_access": {"roles": ["doctors"]}, **claims,
        }  # fmt: skip
        return str(jwt.encode(content, _pem(self.keys[kid]), "RS256", {"kid": kid}))


def _pem(key: rsa.RSAPrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.fixture(scope="module")
async def provider() -> AsyncIterator[Provider]:
    made = Provider()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    made.publish("one")
    yield made
    server.close()


@pytest.fixture(scope="module")
async def open_to_it(dsn: str, provider: Provider) -> AsyncIterator[Process]:
    """A server that accepts the provider's tokens."""
    trusted = IssuerSettings(
        issuer=provider.url,
        audience="fhir",
        roles_claim="realm_access.roles",
        roles={"doctors": "practitioner", "admins": "admin"},
        fhir_user_claim="fhirUser",
        allow_private=True,
    )
    process, pool = await start(dsn, unlimited(issuers=(trusted,)))
    yield process
    await pool.close()


async def statuses(process: Process, token: str) -> tuple[int, int]:
    """Of a search for patients, and of the creation of one."""
    async with process.client(Authorization=f"Bearer {token}") as client:
        found = await client.get("/fhir/Patient?_count=0")
        created = await client.post("/fhir/Patient", json={"resourceType": "Patient"})
        return found.status_code, created.status_code


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({}, (200, 201)),  # a doctor is a practitioner here
        ({"realm_access": {"roles": ["visitors"]}}, (403, 403)),  # a role that means nothing here
        ({"realm_access": {"roles": ["practitioner"]}}, (403, 403)),  # nor does one that is called as ours
        ({"realm_access": {}}, (403, 403)),
        ({"realm_access": "doctors"}, (403, 403)),
        ({"realm_access": {"roles": "doctors admins"}}, (200, 201)),
        ({"scope": "openid user/Patient.rs"}, (200, 403)),  # its scopes narrow
        ({"scope": "openid"}, (200, 201)),
        ({"scope": "user/Patient.broken"}, (403, 403)),
        ({"iss": "https://elsewhere.example"}, (401, 401)),
        ({"aud": "elsewhere"}, (401, 401)),
        ({"exp": 1}, (401, 401)),
        ({"sub": ""}, (401, 401)),
    ],
    ids=str,
)
async def test_claims(open_to_it: Process, provider: Provider, claims: dict[str, Any], expected: tuple[int, int]):
    assert await statuses(open_to_it, provider.token(**claims)) == expected


async def test_who_comes_from_elsewhere(open_to_it: Process, provider: Provider):
    token = provider.token(fhirUser="https://idp.example/fhir/Practitioner/7")
    async with open_to_it.client(Authorization=f"Bearer {token}") as client:
        myself = (await client.get("/auth/me")).json()
        assert (myself["id"], myself["username"], myself["roles"]) == (f"{provider.url}#ana", "Ana", ["practitioner"])
        assert (
            await client.post(
                "/auth/password",
                json={"current_password": "x", "new_password": "y"},
                headers={"Content-Type": "application/json"},
            )
        ).status_code == 403
        assert (await client.post("/auth/logout")).status_code == 204
        await open_to_it.changes.ask()
        assert (await client.get("/fhir/Patient")).status_code == 401


async def test_a_key_that_the_provider_begins_to_use_is_asked_for_but_not_often(provider: Provider):
    class Clock:
        now = datetime.now(UTC)

    rules = IssuerRules(provider.url, "fhir", roles={})
    issuer = OpenIdIssuer(rules, Fetch(allow_private=True), timedelta(seconds=5), lambda: Clock.now)
    provider.publish("one")
    await issuer.identify(provider.token("one"), Clock.now)
    provider.publish("one", "two")
    asked = len(provider.asked)
    with pytest.raises(InvalidToken):
        await issuer.identify(provider.token("two"), Clock.now)
    assert len(provider.asked) == asked  # asked a moment ago
    Clock.now += timedelta(seconds=31)
    await issuer.identify(provider.token("two"), Clock.now)
    for _ in range(20):
        with pytest.raises(InvalidToken):
            await issuer.identify(
                provider.token("two").replace(provider.token("two").split(".")[0], _head("three")), Clock.now
            )
    assert len(provider.asked) == asked + 2
    # A key that the provider takes back is refused after the time for which keys are kept; while the provider can't be
    # reached, known keys stay good.
    Clock.now += timedelta(hours=1)
    provider.publish("two")
    with pytest.raises(InvalidToken):
        await issuer.identify(_later(provider, "one", Clock.now), Clock.now)
    provider.documents.clear()
    Clock.now += timedelta(hours=1)
    await issuer.identify(_later(provider, "two", Clock.now), Clock.now)
    provider.publish("one")


def _later(provider: Provider, kid: str, now: datetime) -> str:
    moment = int(now.timestamp())
    return provider.token(kid, iat=moment, exp=moment + 60)


def _head(kid: str) -> str:
    import base64

    return base64.urlsafe_b64encode(json.dumps({"alg": "RS256", "kid": kid}).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "discovery",
    [
        {"issuer": "https://elsewhere.example"},  # it speaks of another
        {"jwks_uri": "file:///etc/passwd"},
        {"jwks_uri": "gopher://127.0.0.1/"},
        {"jwks_uri": None},
        {"jwks_uri": 7},
        {"jwks_uri": "/keys"},
    ],
    ids=str,
)
async def test_discovery_that_leads_astray(provider: Provider, discovery: dict[str, Any]):
    provider.publish("one", **discovery)
    issuer = OpenIdIssuer(
        IssuerRules(provider.url, "fhir"), Fetch(allow_private=True), timedelta(0), lambda: datetime.now(UTC)
    )
    with pytest.raises(InvalidToken):
        await issuer.identify(provider.token(), datetime.now(UTC))
    provider.publish("one")


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1:248:1893:25c8:1946", True),
        ("127.0.0.1", False),
        ("127.8.8.8", False),
        ("0.0.0.0", False),
        ("10.0.0.1", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),  # metadata of clouds
        ("100.64.0.1", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("::", False),
        ("fe80::1%eth0", False),
        ("fc00::1", False),
        ("ff02::1", False),
        ("::ffff:127.0.0.1", False),  # an address of version 4 inside
        ("::ffff:8.8.8.8", True),
        ("64:ff9b::7f00:1", False),
        ("2002:7f00:1::", False),
        ("2001:0:7f00:1::", False),
    ],
)
def test_which_addresses_are_public(address: str, public: bool):
    assert is_public(address) is public


@pytest.mark.parametrize("path", ["", "/.well-known/openid-configuration"])
async def test_private_addresses_are_refused_whatever_they_are_called(provider: Provider, path: str):
    port = provider.url.rpartition(":")[2]
    before = len(provider.asked)
    for host in ("127.0.0.1", "localhost", "[::1]", "0.0.0.0", "2130706433", "127.1"):
        for scheme in ("http", "https"):
            with pytest.raises(FetchError):
                await Fetch()(f"{scheme}://{host}:{port}{path}")
    assert len(provider.asked) == before


@pytest.mark.parametrize("path", ["/nothing", "/redirect", "/large", "/text", "/deep"])
async def test_answers_that_are_refused(provider: Provider, path: str):
    provider.documents |= {"/large": b" " * (MAX_BYTES + 1), "/text": b"<html>", "/deep": b"[" * 100_000}
    with pytest.raises(FetchError):
        await Fetch(allow_private=True)(provider.url + path)
    assert "/" not in provider.asked[-1][1:]  # no redirect was followed


@pytest.mark.parametrize(
    "url", ["", "x", "file:///etc/passwd", "ftp://h/x", "http://", "https://user:pass@example.org/"]
)
async def test_addresses_that_are_none(url: str):
    with pytest.raises(FetchError):
        await Fetch(allow_private=True)(url)
