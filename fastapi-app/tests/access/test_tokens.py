"""Attacks on tokens: each is the token of a login with one thing changed, and each is refused."""

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from jose import jwk, jwt

from fhirserver.access.tokens import LONGEST, InvalidToken, issuer_of

from .conftest import Process


def b64(data: Any) -> str:
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.fixture(scope="module")
async def token(process: Process) -> str:
    """An access token that is good."""
    return str((await process.login(await process.user("practitioner")))["access_token"])


@pytest.fixture
def claims(token: str) -> dict[str, Any]:
    return dict(jwt.get_unverified_claims(token))


async def status(process: Process, token: str) -> int:
    async with process.client(Authorization=f"Bearer {token}") as client:
        answer = await client.get("/fhir/Patient?_count=0")
        if answer.status_code == 401:
            assert answer.json()["resourceType"] == "OperationOutcome"
            assert 'error="invalid_token"' in answer.headers["www-authenticate"]
        return answer.status_code


def signed(process: Process, claims: dict[str, Any], **headers: Any) -> str:
    """A token that this server's own key has signed."""
    kid, private = process.access.keys.signing()
    return str(jwt.encode(claims, private, "ES256", {"kid": kid, "typ": "at+jwt", **headers}))


async def test_the_token_of_a_login_is_good(process: Process, token: str, claims: dict[str, Any]):
    assert await status(process, token) == 200
    assert await status(process, signed(process, claims)) == 200  # so what follows fails for what it changes


MINUTE = 60
DAY = 24 * 60 * MINUTE  # longer than any run of the tests, at whose start these are counted


@pytest.mark.parametrize(
    "change",
    [
        {"iss": "https://elsewhere.example"},
        {"iss": None},
        {"iss": ["urn:fhirserver"]},
        {"aud": "https://elsewhere.example"},
        {"aud": None},
        {"aud": ["a", "b"]},
        {"sub": "someone-else"},  # the sign-in is another's
        {"sub": ""},
        {"sub": None},
        {"sub": 1},
        {"sid": None},
        {"sid": "0" * 32},
        {"sid": "' OR 1=1 --"},
        {"sid": {"$ne": ""}},
        {"exp": int(time.time()) - 2 * MINUTE},
        {"exp": None},
        {"exp": "tomorrow"},
        {"exp": True},
        {"exp": 1e300},
        {"exp": float("nan")},
        {"nbf": int(time.time()) + DAY},
        {"nbf": "now"},
        {"iat": int(time.time()) + DAY},
    ],
    ids=str,
)
async def test_claims_that_are_wrong(process: Process, claims: dict[str, Any], change: dict[str, Any]):
    changed = {name: value for name, value in (claims | change).items() if value is not None}
    assert await status(process, signed(process, changed)) == 401


async def test_within_the_skew_clocks_may_differ(process: Process, claims: dict[str, Any]):
    now = int(time.time())
    assert await status(process, signed(process, claims | {"exp": now - 10, "nbf": now + 10, "iat": now + 10})) == 200


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none"},
        {"alg": "None"},
        {"alg": "nOnE"},
        {"alg": ""},
        {"alg": None},
        {"alg": ["ES256"]},
        {"alg": "ES384"},
        {"alg": "RS256"},
        {"alg": "HS256"},
        {"kid": "unknown"},
        {"kid": None},
        {"kid": "../../etc/passwd"},
        {"kid": "' UNION SELECT private_pem --"},
        {"kid": ["x"]},
        {"jku": "http://169.254.169.254/keys"},
        {"x5u": "http://localhost/x"},
        {"crit": ["exp"]},
        {"zip": "DEF"},
        {"typ": "logout+jwt"},
    ],
    ids=str,
)
async def test_headers_that_are_wrong(process: Process, token: str, header: dict[str, Any]):
    head, payload, signature = token.split(".")
    original = json.loads(base64.urlsafe_b64decode(head + "=="))
    changed = {name: value for name, value in (original | header).items() if value is not None}
    assert await status(process, f"{b64(changed)}.{payload}.{signature}") == 401
    assert await status(process, f"{b64(changed)}.{payload}.") == 401


async def test_the_public_key_is_no_secret_for_hmac(process: Process, token: str):
    """Key confusion: the public key, which everybody has, as the key of HS256."""
    _, payload, _ = token.split(".")
    [public] = process.access.keys.jwks()["keys"]
    as_pem = jwk.construct(public, "ES256").to_pem()
    for secret in (as_pem, json.dumps(public).encode(), b""):
        head = b64({"alg": "HS256", "typ": "JWT", "kid": public["kid"]})
        mac = hmac.new(secret, f"{head}.{payload}".encode(), hashlib.sha256).digest()
        assert await status(process, f"{head}.{payload}.{b64(mac)}") == 401


async def test_a_key_of_somebody_else_is_none_of_ours(process: Process, claims: dict[str, Any]):
    key = ec.generate_private_key(ec.SECP256R1())
    kid, _ = process.access.keys.signing()
    public = jwk.construct(
        key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(), "ES256"
    ).to_dict()
    own = {name: value.decode() if isinstance(value, bytes) else value for name, value in public.items()}
    for headers in ({"kid": kid}, {"kid": "mine"}, {"kid": kid, "jwk": own}):
        assert await status(process, jwt.encode(claims, pem(key), "ES256", headers)) == 401


@pytest.mark.parametrize(
    "text",
    [
        "", "x", ".", "..", "a.b", "a.b.c", "a.b.c.d", "null.null.null", "e30.e30.e30",
        f"{b64(b'[' * 3000)}.{b64(b'[' * 3000)}.x", "." * 2000, "x" * (LONGEST + 1), f"{b64({})}.{b64([1])}.x",
        f"{b64({'alg': 'ES256', 'kid': 'k'})}.{b64({'iss': 'urn:fhirserver'})}.x",
        f"{b64({'alg': 'ES256', 'kid': 'k'})}.{b64(b'9' * 5000)}.x",
    ],
    ids=lambda text: text[:20],
)  # fmt: skip
async def test_what_is_no_token(process: Process, text: str):
    assert await status(process, text) == 401 if text else True
    if text and text.count(".") != 2:
        with pytest.raises(InvalidToken):
            issuer_of(text)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"Authorization": "Basic dXNlcjpwYXNz"},
        {"Authorization": "token"},
        {"X-API-Key": ""},
        {"X-API-Key": "fhir_" + "x" * 43},
        {"X-API-Key": "' OR '1'='1"},
        {"X-API-Key": "x" * 10_000},
    ],
    ids=str,
)
@pytest.mark.parametrize(
    "address",
    ["/fhir/Patient/1", "/fhir/Patient", "/fhir", "/fhir/_history", "/fhir/Nothing/$x", "/fhir/metadata/", "/auth/me"],
)
async def test_without_credentials_nobody_gets_in(process: Process, address: str, headers: dict[str, str]):
    async with process.client(**headers) as client:
        for answer in (await client.get(address), await client.post(address), await client.request("BREW", address)):
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"].startswith('Bearer realm="fhir"')


async def test_both_kinds_of_credentials_at_once_are_none(process: Process, token: str):
    async with process.client(**{"Authorization": f"Bearer {token}", "X-API-Key": "x"}) as client:
        assert (await client.get("/fhir/Patient")).status_code == 401


@pytest.mark.parametrize(
    "address", ["/fhir/metadata", "/.well-known/jwks.json", "/health/live", "/docs", "/openapi.json"]
)
async def test_what_everybody_may_see(client: httpx.AsyncClient, address: str):
    assert (await client.get(address)).status_code == 200


async def test_the_published_keys_are_public_and_verify(client: httpx.AsyncClient, token: str):
    [key] = (await client.get("/.well-known/jwks.json")).json()["keys"]
    assert set(key) == {"kty", "crv", "x", "y", "kid", "alg", "use"}
    assert jwt.decode(token, key, ["ES256"], audience="urn:fhirserver:fhir", issuer="urn:fhirserver")
