"""The token endpoint: codes, refresh tokens and the assertions of systems become access tokens.

https://www.rfc-editor.org/rfc/rfc6749#section-5, https://www.rfc-editor.org/rfc/rfc7636#section-4.6,
https://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html#obtain-access-token
"""

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from fhirserver.access.accounts import Lifetimes, sign_in_id
from fhirserver.access.authentication import digest
from fhirserver.access.errors import (
    invalid_grant,
    invalid_request,
    invalid_scope,
    unauthorized_client,
    unsupported_grant_type,
)
from fhirserver.access.keys import ALGORITHM, KeyRing
from fhirserver.access.oauth.addresses import Addresses
from fhirserver.access.oauth.granting import REFRESH, narrowed
from fhirserver.access.oauth.store import Client, OAuthStore
from fhirserver.access.scopes import InvalidScope, parse_scopes
from fhirserver.access.store import SignIn, User
from fhirserver.access.tokens import Expectations, signed

GRANT_TYPES = ("authorization_code", "refresh_token", "client_credentials")
LONGEST_SCOPE = 4000
"""Scopes stand in the access token, which has to fit in a header."""
_OF_SYSTEMS = timedelta(minutes=5)
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")
_LONGEST = 200

Answer = dict[str, Any]


class TokenEndpoint:
    """Gives tokens to clients that have proved who they are."""

    def __init__(
        self,
        store: OAuthStore,
        keys: KeyRing,
        expected: Expectations,
        lifetimes: Lifetimes,
        clock: Callable[[], datetime],
    ):
        self._store = store
        self._keys = keys
        self._expected = expected
        self._lifetimes = lifetimes
        self._clock = clock

    async def answer(self, form: Mapping[str, str], client: Client, addresses: Addresses) -> Answer:
        """The answer to a token request of this client: the only place where apps and systems get tokens."""
        match form.get("grant_type"):
            case "authorization_code":
                return await self._by_code(form, client, addresses)
            case "refresh_token":
                return await self._by_refresh_token(form, client, addresses)
            case "client_credentials":
                return self._by_credentials(form, client)
            case None:
                raise invalid_request("grant_type is missing")
        raise unsupported_grant_type(f"grant_type is one of {', '.join(GRANT_TYPES)}")

    def _by_credentials(self, form: Mapping[str, str], client: Client) -> Answer:
        if client.method != "private_key_jwt":
            raise unauthorized_client("client_credentials is for clients with private_key_jwt")
        asked = form.get("scope", "").split()
        try:
            parse_scopes(form.get("scope", ""))
            limits = [scope for scope in parse_scopes(client.scope) if scope.context == "system"]
            granted = " ".join(narrowed(asked, limits))
        except InvalidScope as error:
            raise invalid_scope(str(error)) from error
        if not 0 < len(granted) <= LONGEST_SCOPE:
            raise invalid_scope("scope names what is needed of what the client may have, such as system/Patient.rs")
        lifetime = min(self._lifetimes.access, _OF_SYSTEMS)
        return self._access_token({"sub": client.id, "client_id": client.id, "scope": granted}, granted, lifetime)

    async def _by_code(self, form: Mapping[str, str], client: Client, addresses: Addresses) -> Answer:
        for name in ("code", "redirect_uri", "code_verifier"):
            if name not in form:
                raise invalid_request(f"{name} is missing")
        refusal = invalid_grant("the code is not good, or no longer")
        id, now = code_id(form["code"]), self._clock()
        found = await self._store.once(id)
        if found is None or found.content["client_id"] != client.id:
            raise refusal
        code = found.content
        if found.used_for is not None:
            await self._store.revoke_sign_in(found.used_for)
            raise refusal
        is_proven = _VERIFIER.fullmatch(form["code_verifier"]) and hmac.compare_digest(
            challenge_of(form["code_verifier"]), code["challenge"]
        )
        is_there = hmac.compare_digest(form["redirect_uri"].encode(), code["redirect_uri"].encode())
        user = await self._store.user(code["user_id"])
        if not is_proven or not is_there or now.timestamp() >= code["until"] or user is None or user.disabled:
            raise refusal
        handle, secret = secrets.token_urlsafe(24), secrets.token_urlsafe(32)
        expires = self._expiry(code["scope"], now, code["online_until"])
        context = {**code["context"], "browser": code["browser"]}
        sign_in = SignIn(
            sign_in_id(handle), user.id, digest(secret), code["scope"], now, expires, False, "app", client.id, context
        )
        if not await self._store.redeem(id, sign_in):
            again = await self._store.once(id)
            if again is not None and again.used_for is not None:
                await self._store.revoke_sign_in(again.used_for)
            raise refusal
        return self._of_app(user, sign_in, sign_in.scope or "", f"{handle}.{secret}", addresses, code["nonce"])

    def _expiry(self, scope: str, now: datetime, online_until: float) -> datetime:
        items = scope.split()
        if "offline_access" in items:
            return now + self._lifetimes.refresh
        if "online_access" in items:
            return datetime.fromtimestamp(online_until, now.tzinfo)
        return now + self._lifetimes.access

    async def _by_refresh_token(self, form: Mapping[str, str], client: Client, addresses: Addresses) -> Answer:
        refusal = invalid_grant("the refresh token is not good, or no longer")
        token = form.get("refresh_token", "")
        handle, _, secret = token.partition(".")
        if not token.isascii() or len(token) > _LONGEST:
            raise refusal
        found = await self._store.sign_in(sign_in_id(handle))
        if found is None or found[0].kind != "app" or found[0].client_id != client.id:
            raise refusal
        sign_in, user = found
        if sign_in.revoked or sign_in.expires <= self._clock() or user.disabled:
            raise refusal
        granted = sign_in.scope or ""
        scope = _no_more_than(granted, form["scope"]) if "scope" in form else granted
        fresh = secrets.token_urlsafe(32)
        if not set(REFRESH) & set(granted.split()) or not await self._store.rotate(
            sign_in.id, digest(secret), digest(fresh)
        ):
            await self._store.revoke_sign_in(sign_in.id)
            raise refusal
        return self._of_app(user, sign_in, scope, f"{handle}.{fresh}", addresses, None)

    def _of_app(
        self, user: User, sign_in: SignIn, scope: str, refresh_token: str, addresses: Addresses, nonce: str | None
    ) -> Answer:
        claims = {"sub": user.id, "sid": sign_in.id, "client_id": sign_in.client_id, "scope": scope}
        if user.fhir_user is not None:
            claims["fhirUser"] = user.fhir_user
        lifetime = min(self._lifetimes.access, sign_in.expires - self._clock())
        answer = self._access_token(claims, scope, lifetime)
        granted = scope.split()
        if set(REFRESH) & set(granted):
            answer["refresh_token"] = refresh_token
        if "openid" in granted:
            answer["id_token"] = self._id_token(user, str(sign_in.client_id), granted, addresses, nonce)
        return sign_in.launch_context | answer

    def _access_token(self, claims: Mapping[str, Any], scope: str, lifetime: timedelta) -> Answer:
        about = {"iss": self._expected.issuer, "aud": self._expected.audience, **claims}
        token = signed(about, self._keys.signing(), ALGORITHM, self._clock(), lifetime)
        seconds = int(lifetime.total_seconds())
        return {"access_token": token, "token_type": "Bearer", "expires_in": seconds, "scope": scope}

    def _id_token(self, user: User, client_id: str, granted: list[str], addresses: Addresses, nonce: str | None) -> str:
        """https://openid.net/specs/openid-connect-core-1_0.html#IDToken"""
        claims = {"iss": addresses.issuer, "sub": user.id, "aud": client_id}
        if nonce is not None:
            claims["nonce"] = nonce
        if user.fhir_user is not None and {"fhirUser", "profile"} & set(granted):
            claims["fhirUser"] = f"{addresses.base}/{user.fhir_user}"
        if "profile" in granted:
            claims |= {"name": user.full_name, "preferred_username": user.username}
        return signed(claims, self._keys.signing(), ALGORITHM, self._clock(), self._lifetimes.access, "JWT")


def code_id(code: str) -> str:
    """What a code is kept under."""
    return f"code:{digest(code).hex()}"


def challenge_of(verifier: str) -> str:
    """The challenge of a verifier: S256 of RFC 7636 4.2."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


def _no_more_than(granted: str, asked: str) -> str:
    """The scopes that are asked for; `invalid_scope` for those that are more than what was granted (RFC 6749 6)."""
    items = granted.split()
    try:
        parse_scopes(asked)
        within = {*items, *narrowed(asked.split(), parse_scopes(granted))}
    except InvalidScope as error:
        raise invalid_scope(str(error)) from error
    more = [item for item in asked.split() if item not in within]
    if more or not asked.strip():
        raise invalid_scope("scope has more than what was granted")
    return " ".join(asked.split())
