"""Launch contexts: what an EHR has open when it starts an app. Good once, for one app, for a few minutes.

https://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html#launch-app-ehr-launch
"""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from fhirserver.access.authentication import digest
from fhirserver.access.errors import invalid_request
from fhirserver.access.oauth.store import OAuthStore

LIFETIME = timedelta(minutes=5)
_LONGEST = 100


@dataclass(frozen=True, slots=True)
class Launch:
    """A launch context. Of `user_id` alone, if it is not None. `context` is what the app is told with its token."""

    client_id: str
    user_id: str | None
    context: Mapping[str, Any]


class Launches:
    """Makes launch contexts and finds them again."""

    def __init__(self, store: OAuthStore, clock: Callable[[], datetime]):
        self._store = store
        self._clock = clock

    async def add(self, client_id: str, username: str | None, own_id: str | None, context: Mapping[str, Any]) -> str:
        """The `launch` parameter for this client and context; for the user named, else `own_id`, else whoever comes."""
        client = await self._store.client(client_id) if client_id.isascii() and client_id.isprintable() else None
        if client is None or client.disabled or "launch" not in client.scope.split():
            raise invalid_request("client_id is that of a client with the scope launch")
        user_id = own_id
        if username is not None:
            user = await self._store.user_named(username.lower()) if username.isprintable() else None
            if user is None or user.disabled or own_id not in (None, user.id):
                raise invalid_request("there is no such user, or it is not you")
            user_id = user.id
        launch, now = secrets.token_urlsafe(24), self._clock()
        until = now + LIFETIME
        content = {"client_id": client_id, "user_id": user_id, "context": context, "until": until.timestamp()}
        await self._store.add_once(_id(launch), content, now, until)
        return launch

    async def open(self, launch: str, client_id: str) -> Launch | None:
        """The context for this client; None if there is none, or it was used, or is too old."""
        if len(launch) > _LONGEST:
            return None
        found = await self._store.once(_id(launch))
        if found is None or found.used_for is not None or found.content["client_id"] != client_id:
            return None
        if self._clock().timestamp() >= found.content["until"]:
            return None
        return Launch(client_id, found.content["user_id"], found.content["context"])

    async def use(self, launch: str) -> bool:
        """Use it. False if it was used before."""
        return await self._store.use_once(_id(launch), "launch")


def _id(launch: str) -> str:
    return f"launch:{digest(launch).hex()}"
