"""What was issued: telling what a token is good for, and ending it.

https://www.rfc-editor.org/rfc/rfc7662, https://www.rfc-editor.org/rfc/rfc7009,
https://hl7.org/fhir/smart-app-launch/STU2.2/token-introspection.html
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from fhirserver.access.accounts import in_person, sign_in_id
from fhirserver.access.authentication import Authentication, Identified, digest
from fhirserver.access.errors import not_found, unauthorized_client
from fhirserver.access.keys import KeyRing
from fhirserver.access.oauth.addresses import Addresses
from fhirserver.access.oauth.store import Client, OAuthStore
from fhirserver.access.store import SignIn, User
from fhirserver.access.tokens import Expectations, InvalidToken, verified
from fhirserver.fhir.outcomes import NotAuthenticated

_LONGEST_REFRESH_TOKEN = 200
_TOLD = ("iss", "aud", "sub", "exp", "iat", "jti", "client_id")
_INACTIVE: Mapping[str, Any] = {"active": False}


class Issued:
    """The tokens of apps and systems, after they were given."""

    def __init__(
        self,
        store: OAuthStore,
        authentication: Authentication,
        keys: KeyRing,
        expected: Expectations,
        clock: Callable[[], datetime],
    ):
        self._store = store
        self._authentication = authentication
        self._keys = keys
        self._expected = expected
        self._clock = clock

    async def introspected(self, token: str, addresses: Addresses) -> Mapping[str, Any]:
        """What a token of this server is good for; of one that is not good, nothing but that."""
        found = await self._of_refresh_token(token)
        if found is not None:
            sign_in, user = found
            client = await self._store.client(str(sign_in.client_id))
            if client is None or client.disabled or user.disabled:
                return _INACTIVE
            told = {"scope": sign_in.scope, "client_id": sign_in.client_id, "sub": user.id, "username": user.username}
            return {"active": True, **told, "exp": int(sign_in.expires.timestamp())}
        try:
            claims = await verified(token, self._keys.public, self._expected, self._clock())
            identified = await self._authentication.identify(f"Bearer {token}")
        except (InvalidToken, NotAuthenticated):
            return _INACTIVE
        caller = identified.caller
        by_claims = {name: value for name, value in claims.items() if name in _TOLD}
        scope = claims.get("scope", " ".join(map(str, caller.grants[-1])))
        about: dict[str, Any] = {"active": True, "token_type": "Bearer", "scope": scope, **by_claims}
        if identified.user is not None:
            about["username"] = identified.user.username
        if caller.fhir_user is not None:
            about["fhirUser"] = f"{addresses.base}/{caller.fhir_user}"
        if caller.app is not None:
            sign_in_now = await self._store.sign_in(str(claims["sid"]))
            about |= sign_in_now[0].launch_context if sign_in_now is not None else {}
        return about

    async def revoke(self, token: str, client: Client) -> None:
        """End a token of this client, and what was issued with it. What is no token is none any more."""
        found = await self._of_refresh_token(token, is_current=False)
        if found is not None:
            self._require_own(str(found[0].client_id), client)
            await self._store.revoke_sign_in(found[0].id)
            return
        try:
            claims = await verified(token, self._keys.public, self._expected, self._clock())
        except InvalidToken:
            return
        self._require_own(str(claims.get("client_id")), client)
        if "sid" in claims:
            await self._store.revoke_sign_in(str(claims["sid"]))
        else:
            await self._store.revoke_token(
                str(claims["jti"]), datetime.fromtimestamp(claims["exp"], self._clock().tzinfo)
            )

    async def apps(self, identified: Identified) -> Sequence[tuple[str, SignIn]]:
        """What apps have been given by the user, with their names."""
        return await self._store.apps(in_person(identified).id, self._clock())

    async def withdraw(self, identified: Identified, client_id: str) -> None:
        """Take back all that the app was given by the user. `not_found` if that is nothing."""
        if not await self._store.revoke_app(in_person(identified).id, client_id):
            raise not_found("this app has nothing of you")

    async def _of_refresh_token(self, token: str, *, is_current: bool = True) -> tuple[SignIn, User] | None:
        """The sign-in of an app that a refresh token continues; of any of its tokens, or of the current one only."""
        handle, _, secret = token.partition(".")
        if not secret or len(token) > _LONGEST_REFRESH_TOKEN or not token.isascii():
            return None
        found = await self._store.sign_in(sign_in_id(handle))
        if found is None or found[0].kind != "app":
            return None
        sign_in = found[0]
        is_good = sign_in.digest == digest(secret) and not sign_in.revoked and sign_in.expires > self._clock()
        return found if is_good or not is_current else None

    @staticmethod
    def _require_own(client_id: str, client: Client) -> None:
        if client_id != client.id:
            raise unauthorized_client("the token is not one of this client")
