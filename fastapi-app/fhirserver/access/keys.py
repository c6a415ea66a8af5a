"""The keys that sign this server's tokens: ES256, kept in the database, the same for all processes.

A new key is known to all before it signs: it becomes active some seconds after it is made. The one before it stays
good for verifying until the last token that it signed has expired. https://www.rfc-editor.org/rfc/rfc7517
"""

import base64
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from fhirserver.access.store import IdentityStore, SigningKey

ALGORITHM = "ES256"
KNOWN_TO_ALL = timedelta(seconds=10)
_ASK_AGAIN = timedelta(seconds=2)


class KeyUnreadable(Exception):
    """A stored key can't be read: the passphrase is missing or another one."""


@dataclass(frozen=True, slots=True)
class _Pair:
    kid: str
    private_pem: bytes
    public_jwk: Mapping[str, Any]
    active: datetime
    retires: datetime | None


class KeyRing:
    """The keys as this process knows them. `passphrase` encrypts the private ones where they are stored."""

    def __init__(self, store: IdentityStore, clock: Callable[[], datetime], passphrase: str | None = None):
        self._store = store
        self._clock = clock
        self._passphrase = passphrase.encode() if passphrase else None
        self._pairs: dict[str, _Pair] = {}
        self._asked: datetime | None = None

    async def load(self) -> None:
        """Read the keys from the store; make the first one. KeyUnreadable."""
        stored = await self._store.signing_keys()
        if not stored:
            await self._store.add_signing_key(self._made(self._clock()), None)
            stored = await self._store.signing_keys()
        self._pairs = {key.kid: self._pair(key) for key in stored}
        self._asked = self._clock()

    async def rotate(self, token_lifetime: timedelta, *, revoke: bool = False) -> str:
        """Make a new key; its kid. With `revoke`, the others are no longer good at once."""
        now = self._clock()
        key = self._made(now if revoke else now + KNOWN_TO_ALL)
        await self._store.add_signing_key(key, now if revoke else key.active + token_lifetime)
        await self.load()
        return key.kid

    def signing(self) -> tuple[str, str]:
        """(kid, private key as PEM) of the key that signs now."""
        now = self._clock()
        usable = [pair for pair in self._pairs.values() if pair.active <= now and not _is_retired(pair, now)]
        newest = max(usable or self._pairs.values(), key=lambda pair: pair.active)
        return newest.kid, newest.private_pem.decode()

    async def public(self, kid: str) -> Mapping[str, Any] | None:
        """The public key with this kid, as a JWK; None if there is none that is still good."""
        now = self._clock()
        if kid not in self._pairs and (self._asked is None or now - self._asked >= _ASK_AGAIN):
            await self.load()
        pair = self._pairs.get(kid)
        return pair.public_jwk if pair is not None and not _is_retired(pair, now) else None

    def jwks(self) -> dict[str, Any]:
        """The public keys that are good, or will be: https://www.rfc-editor.org/rfc/rfc7517#section-5"""
        now = self._clock()
        return {"keys": [dict(pair.public_jwk) for pair in self._pairs.values() if not _is_retired(pair, now)]}

    def _made(self, active: datetime) -> SigningKey:
        key = ec.generate_private_key(ec.SECP256R1())
        protection = BestAvailableEncryption(self._passphrase) if self._passphrase else NoEncryption()
        kid = secrets.token_urlsafe(12)
        numbers = key.public_key().public_numbers()
        jwk = {
            "kty": "EC",
            "crv": "P-256",
            "x": _base64url(numbers.x),
            "y": _base64url(numbers.y),
            "kid": kid,
            "alg": ALGORITHM,
            "use": "sig",
        }
        return SigningKey(kid, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection), jwk, active)

    def _pair(self, key: SigningKey) -> _Pair:
        is_encrypted = b"ENCRYPTED" in key.private_pem.splitlines()[0]
        try:
            private = load_pem_private_key(key.private_pem, self._passphrase if is_encrypted else None)
        except (TypeError, ValueError) as error:
            raise KeyUnreadable(
                "the keys that sign tokens are encrypted: FHIR_AUTH__KEY_PASSPHRASE is missing or not theirs"
            ) from error
        pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return _Pair(key.kid, pem, key.public_jwk, key.active, key.retires)


def _is_retired(pair: _Pair, now: datetime) -> bool:
    return pair.retires is not None and pair.retires <= now


def _base64url(number: int) -> str:
    return base64.urlsafe_b64encode(number.to_bytes(32, "big")).decode().rstrip("=")
