"""What it costs to know who asks, once that was found out: `python -m bench.token_check`. Needs no database."""

import asyncio
import time
from datetime import timedelta
from typing import Any

from starlette.types import Message, Receive, Scope, Send

from fhirserver.access.authentication import Authentication
from fhirserver.access.policy import Unrestricted
from fhirserver.access.rate_limits import RateLimit
from fhirserver.access.service import Access, RateLimits
from fhirserver.access.store import ApiKey, Role, User
from fhirserver.main import clock
from fhirserver.web.middleware.authentication import AuthenticationGate

_ROUNDS = 100_000
_KEY = "x" * 600


class _Store:
    """Knows one key."""

    async def api_key(self, _: bytes) -> tuple[ApiKey, User]:
        now = clock()
        key = ApiKey("k", "u", "bench", b"", "system/*.rs", now, now + timedelta(days=1))
        return key, User("u", "bench", "", "bench", "", ("system",), now)

    async def roles(self) -> list[Role]:
        return [Role("system", "system/*.cruds", "")]


async def _nothing(scope: Scope, receive: Receive, send: Send) -> None:
    pass


async def _never() -> Message:
    raise RuntimeError


async def _seconds(app: Any) -> float:
    headers = [(b"host", b"localhost"), (b"accept", b"*/*"), (b"x-api-key", _KEY.encode())]
    start = time.perf_counter()
    for _ in range(_ROUNDS):
        scope = {"type": "http", "path": "/fhir/Patient/1", "headers": headers, "client": ("127.0.0.1", 1)}
        await app(scope, _never, _never)
    return (time.perf_counter() - start) / _ROUNDS


async def main() -> None:
    """Print it."""
    unused: Any = None
    store: Any = _Store()
    authentication = Authentication(store, unused, unused, {}, lambda _: Unrestricted(), clock, lambda: True)
    await authentication.identify(f"Key {_KEY}")
    limits = RateLimits(*(RateLimit(10**9, time.time) for _ in range(3)))
    gate = AuthenticationGate(_nothing, Access(authentication, unused, unused, unused, limits, unused, unused, unused))
    with_gate, without = await _seconds(gate), await _seconds(_nothing)
    print(f"token check: {(with_gate - without) * 1e6:.1f} µs")


if __name__ == "__main__":
    asyncio.run(main())
