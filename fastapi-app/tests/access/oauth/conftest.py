"""Clients of the authorization server, and the keys that they sign with."""

import base64
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from jose import jwk, jwt

from fhirserver.access.oauth.client_authentication import ASSERTION_TYPE

from ..conftest import FORM, Process, another, client, process

__all__ = ["another", "client", "process"]

TOKEN_URL = "http://test/auth/token"
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)


@dataclass
class Key:
    """A private key of a client. `algorithm` is what it signs by."""

    kid: str
    algorithm: str
    pem: str

    @property
    def public(self) -> dict[str, Any]:
        found = jwk.construct(self.pem, self.algorithm).public_key().to_dict()
        plain = {name: value.decode() if isinstance(value, bytes) else value for name, value in found.items()}
        return {**plain, "kid": self.kid, "use": "sig"}

    def assertion(self, client_id: str, **claims: Any) -> str:
        """What the client proves itself with; a claim that is None is left out. `head` adds to the header."""
        now = int(datetime.now(UTC).timestamp())
        head = {"kid": self.kid, "typ": "JWT", **claims.pop("head", {})}
        content = {
            "iss": client_id, "sub": client_id, "aud": TOKEN_URL, "exp": now + 240, "jti": secrets.token_hex(8), **claims,
        }  # fmt: skip
        kept = {name: value for name, value in content.items() if value is not None}
        return str(jwt.encode(kept, self.pem, self.algorithm, head))


def key(algorithm: str = "ES384", kid: str | None = None) -> Key:
    made: Any = RSA if algorithm.startswith("RS") else ec.generate_private_key(ec.SECP384R1())
    pem = made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return Key(kid or secrets.token_hex(4), algorithm, pem)


def encoded(text: bytes) -> str:
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


async def ask(process: Process, form: dict[str, str], **headers: str) -> httpx.Response:
    """The answer of the token endpoint."""
    async with process.client() as client:
        return await client.post("/auth/token", data=form, headers={**FORM, **headers})


async def ask_as_system(
    process: Process, assertion: str, scope: str = "system/Patient.rs", **more: str
) -> httpx.Response:
    form = {
        "grant_type": "client_credentials", "scope": scope, "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": assertion, **more,
    }  # fmt: skip
    return await ask(process, form)


@pytest.fixture(scope="module")
async def admin(process: Process) -> dict[str, str]:
    return await process.bearer(await process.user("admin"))
