"""Redis: what the processes tell each other sooner than the database would. Nothing depends on it being there."""

import asyncio
from collections.abc import AsyncIterator, Mapping

from redis.asyncio import Redis
from redis.exceptions import RedisError

from fhirserver.access.service import RateLimits
from fhirserver.observability.logging import get_logger

_CHANNEL = "fhirserver:access-changes"
_COUNTS = "fhirserver:requests"
_COUNTS_LIVE = 180
_SECONDS = 2.0

_log = get_logger("fhirserver.redis")


class SharedByRedis:
    """A bell for changes of access, and common counts of requests. `url` is `redis://…` or, with TLS, `rediss://…`."""

    def __init__(self, url: str):
        self._redis = Redis.from_url(url, socket_connect_timeout=_SECONDS, socket_timeout=_SECONDS)
        # What waits for a bell waits long.
        self._listening = Redis.from_url(url, socket_connect_timeout=_SECONDS)

    async def ring(self) -> None:
        """Ring the bell in all processes."""
        try:
            await self._redis.publish(_CHANNEL, b"")
        except (RedisError, OSError) as error:
            _log.warning("Redis does not answer", error=type(error).__name__)

    async def rings(self) -> AsyncIterator[None]:
        """One item for each ring, until Redis is gone."""
        try:
            async with self._listening.pubsub() as channel:
                await channel.subscribe(_CHANNEL)
                yield  # something may have happened before
                async for message in channel.listen():
                    if message["type"] == "message":
                        yield
        except (RedisError, OSError) as error:
            _log.warning("Redis does not answer", error=type(error).__name__)

    async def add(self, counts: Mapping[tuple[str, int], int]) -> dict[tuple[str, int], int]:
        """Add what was counted here, by subject and minute; what all have counted."""
        keys = list(counts)
        try:
            async with self._redis.pipeline(transaction=False) as pipeline:
                for subject, minute in keys:
                    name = f"{_COUNTS}:{minute}:{subject}"
                    pipeline.incrby(name, counts[subject, minute])
                    pipeline.expire(name, _COUNTS_LIVE)
                totals = (await pipeline.execute())[::2]
        except (RedisError, OSError) as error:
            _log.warning("Redis does not answer", error=type(error).__name__)
            return {}
        return {key: int(total) for key, total in zip(keys, totals, strict=True)}

    async def close(self) -> None:
        """Close the connections."""
        await asyncio.gather(self._redis.aclose(), self._listening.aclose(), return_exceptions=True)


async def share_counts(limits: RateLimits, redis: SharedByRedis) -> None:
    """Let all processes know what each has counted, every second, until cancelled."""
    named = {"caller": limits.by_caller, "address": limits.by_address, "auth": limits.at_auth}
    while True:
        await asyncio.sleep(1)
        for name, limit in named.items():
            counted = {(f"{name}:{subject}", minute): n for (subject, minute), n in limit.take_unshared().items()}
            if counted:
                totals = await redis.add(counted)
                limit.share({(key.partition(":")[2], minute): n for (key, minute), n in totals.items()})
