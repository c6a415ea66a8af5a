"""Passwords: hashed with argon2id, and what a good one is."""

import asyncio
import secrets
from collections.abc import Iterable

from passlib.hash import argon2

from fhirserver.access.errors import invalid_request

LONGEST = 256
_AT_ONCE = 2  # each hash takes its memory
_FEWEST_DIFFERENT = 5
_ALPHABET = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # no two look alike
_WORN = frozenset(
    (
        "password", "passw0rd", "contraseña", "contrasena", "qwerty", "qwertz", "azerty", "letmein", "welcome",
        "bienvenido", "administrator", "administrador", "iloveyou", "hospital", "changeme", "secret", "1234567890",
        "0987654321", "abcdefghij", "abc123", "p@ssword", "p@ssw0rd",
    )
)  # fmt: skip


class Passwords:
    """Hashes and verifies beside the event loop, with the costs that OWASP advises; memory in KiB."""

    def __init__(self, min_length: int = 12, memory: int = 19456, rounds: int = 2):
        self._min_length = min_length
        self._scheme = argon2.using(type="ID", memory_cost=memory, rounds=rounds, parallelism=1)
        self._at_once = asyncio.Semaphore(_AT_ONCE)
        # Who does not exist has a password too, which nobody knows: verifying takes as long, whoever is named.
        self._nobodys = self._scheme.hash(secrets.token_hex(16))

    async def hash(self, password: str) -> str:
        """The hash to keep."""
        async with self._at_once:
            return str(await asyncio.to_thread(self._scheme.hash, password))

    async def verify(self, password: str, known: str | None) -> bool:
        """Whether the password is the one with this hash; False for None, after the same work."""
        if not _is_usable(password):
            password, known = "", None
        async with self._at_once:
            is_right = await asyncio.to_thread(self._scheme.verify, password, known or self._nobodys)
        return bool(is_right) and known is not None

    def is_outdated(self, known: str) -> bool:
        """Whether the hash was made with other costs than those of today."""
        return bool(self._scheme.needs_update(known))

    def require_good(self, password: str, names: Iterable[str]) -> None:
        """`invalid_request` for what is too short or too easily guessed. `names` are those of the user."""
        if not _is_usable(password) or len(password) < self._min_length:
            raise invalid_request(f"a password has {self._min_length} to {LONGEST} characters of Unicode, not U+0000")
        plain = password.casefold()
        if len(set(plain)) < _FEWEST_DIFFERENT or any(plain.strip("0123456789!.,-_ ") == word for word in _WORN):
            raise invalid_request("this password is too easily guessed")
        for name in names:
            if len(name) > 3 and name.casefold() in plain:
                raise invalid_request("a password does not contain the name of its user")


def _is_usable(password: str) -> bool:
    try:
        password.encode()
    except UnicodeEncodeError:
        return False
    return len(password) <= LONGEST and "\x00" not in password


def generated_password() -> str:
    """A password that nobody guesses, and that can be typed: five groups of four."""
    return "-".join("".join(secrets.choice(_ALPHABET) for _ in range(4)) for _ in range(5))
