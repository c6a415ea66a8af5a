"""Public keys that others publish (RFC 7517): what of a key set can be used, and keeping what was fetched of one."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from fhirserver.access.tokens import InvalidToken, key_type

MOST_KEYS = 50
_ASK_AGAIN = timedelta(seconds=30)
_CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}
_FEWEST_CHARACTERS = 340
"""Of a modulus of 2048 bits as base64url."""

KeySet = Mapping[str, Mapping[str, Any]]
"""Keys by `kid`."""

Fetch = Callable[[str], Awaitable[Any]]
"""The JSON at an address. Whatever it raises means that it can't be had."""


def usable(key_set: Any, algorithms: Sequence[str]) -> KeySet:
    """The keys of a JWK Set that can verify what one of these algorithms signs; nothing of what is none."""
    listed = key_set.get("keys") if isinstance(key_set, Mapping) else None
    return {
        key["kid"]: key
        for key in (listed if isinstance(listed, list) else ())[:MOST_KEYS]
        if isinstance(key, dict)
        and isinstance(key.get("kid"), str)
        and key.get("use", "sig") == "sig"
        and any(_is_for(key, algorithm) for algorithm in algorithms)
    }


def _is_for(key: Mapping[str, Any], algorithm: str) -> bool:
    if key.get("kty") != key_type(algorithm) or key.get("alg", algorithm) != algorithm:
        return False
    if algorithm in _CURVES:
        return key.get("crv") == _CURVES[algorithm]
    return isinstance(key.get("n"), str) and len(key["n"]) >= _FEWEST_CHARACTERS


class KeptKeys:
    """Keys that `ask` gives, kept for a while. A key that is not known is asked for, but not often."""

    def __init__(self, ask: Callable[[], Awaitable[KeySet]], kept: timedelta, clock: Callable[[], datetime]):
        self._ask = ask
        self._kept = kept
        self._clock = clock
        self._keys: KeySet = {}
        self._fetched: datetime | None = None
        self._asked: datetime | None = None

    async def key(self, kid: str) -> Mapping[str, Any] | None:
        """The key with this `kid`; None if there is none. InvalidToken if it can't be had."""
        now = self._clock()
        is_old = self._fetched is None or now - self._fetched >= self._kept
        may_ask = self._asked is None or now - self._asked >= _ASK_AGAIN
        if (is_old or kid not in self._keys) and may_ask:
            self._asked = now
            try:
                self._keys = await self._ask()
                self._fetched = now
            except Exception as error:
                # Keys that are known stay good while they can't be asked for.
                if kid not in self._keys:
                    raise InvalidToken("the keys that the token is signed with can't be had") from error
        return self._keys.get(kid)
