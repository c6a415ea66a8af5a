"""Letting go of events that were kept long enough."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Protocol

from fhirserver.fhir.outcomes import FhirError
from fhirserver.observability.logging import get_logger

INTERVAL = 3600.0
"""Seconds between two times."""

_log = get_logger("fhirserver.audit")


class Expiring(Protocol):
    """What events are kept in."""

    async def expire(self, before: datetime) -> int:
        """Delete what was recorded before this instant; how many events that were."""
        ...


async def expiring(log: Expiring, kept: timedelta, clock: Callable[[], datetime]) -> None:
    """Let go of what is older than `kept`, every hour, until cancelled."""
    while True:
        try:
            deleted = await log.expire(clock() - kept)
            if deleted:
                _log.info("events were kept long enough", events=deleted)
        except FhirError as error:
            _log.warning("events are not let go of", error=type(error).__name__)
        await asyncio.sleep(INTERVAL)
