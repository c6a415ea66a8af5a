"""The authorization endpoint: what an app asks a user for, and what the user gives it.

https://www.rfc-editor.org/rfc/rfc6749#section-4.1, https://www.rfc-editor.org/rfc/rfc7636,
https://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html#obtain-authorization-code
"""

import hmac
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit

from fhirserver.access.accounts import Accounts, sign_in_id
from fhirserver.access.authentication import Authentication, Identified, digest
from fhirserver.access.errors import AccessError, invalid_request
from fhirserver.access.oauth.addresses import Addresses
from fhirserver.access.oauth.granting import LAUNCH, OTHERS, narrowed
from fhirserver.access.oauth.launches import Launch, Launches
from fhirserver.access.oauth.store import Client, OAuthStore
from fhirserver.access.oauth.tokens import LONGEST_SCOPE, code_id
from fhirserver.access.scopes import InvalidScope, parse_scope, parse_scopes
from fhirserver.access.store import SignIn, User
from fhirserver.access.tokens import InvalidToken

CODE_LIFETIME = timedelta(seconds=60)
BROWSER_LIFETIME = timedelta(hours=8)
_USED_CODES_KEPT = timedelta(days=1)
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_LONGEST = 2048


class Refused(Exception):
    """The app is told that it gets nothing: `error` is the code of RFC 6749 4.1.2.1, `address` where that is told."""

    def __init__(self, error: str, text: str, address: str):
        super().__init__(text)
        self.error = error
        self.address = address


@dataclass(frozen=True, slots=True)
class Asked:
    """What an app asks for; its client, its address and its scopes are in order."""

    client: Client
    redirect_uri: str
    scopes: tuple[str, ...]
    challenge: str
    state: str | None
    nonce: str | None
    launch_id: str | None
    launch: Launch | None

    def refused(self, error: str, text: str) -> Refused:
        """The app gets nothing."""
        return Refused(
            error, text, _with_query(self.redirect_uri, error=error, error_description=text, state=self.state)
        )


@dataclass(frozen=True, slots=True)
class Offer:
    """What the user can give: scopes, about the patient with this id, or about one whom the user chooses."""

    scopes: tuple[str, ...]
    patient: str | None
    is_about_a_patient: bool


class Authorization:
    """Users sign in, decide, and apps get codes."""

    def __init__(
        self,
        store: OAuthStore,
        accounts: Accounts,
        authentication: Authentication,
        launches: Launches,
        clock: Callable[[], datetime],
    ):
        self._store = store
        self._accounts = accounts
        self._authentication = authentication
        self._launches = launches
        self._clock = clock

    async def asked(self, params: Sequence[tuple[str, str]], addresses: Addresses) -> Asked:
        """The request, checked. `invalid_request` if nobody knows whom to tell of an error, else `Refused`."""
        given = dict(params)
        if len(given) != len(params):
            raise invalid_request("a parameter comes more than once")
        id, redirect_uri, state = given.get("client_id", ""), given.get("redirect_uri", ""), given.get("state")
        client = await self._store.client(id) if id.isascii() and id.isprintable() else None
        if client is None or client.disabled:
            raise invalid_request("the app is not known here")
        if redirect_uri not in client.redirect_uris:
            raise invalid_request("the app is not registered with the address to which it wants you sent")
        error = _error(given, addresses)
        if error is not None:
            code, text = error
            state = state if state is not None and len(state) <= _LONGEST else None
            raise Refused(code, text, _with_query(redirect_uri, error=code, error_description=text, state=state))
        launch_id = given.get("launch")
        launch = await self._launches.open(launch_id, id) if launch_id is not None else None
        scopes = _of_registration(client, given["scope"].split())
        asked = Asked(
            client, redirect_uri, scopes, given["code_challenge"], state, given.get("nonce"), launch_id, launch
        )
        if launch_id is not None and launch is None:
            raise asked.refused("invalid_request", "the launch is not known here, or was used")
        if not any(scope not in LAUNCH for scope in scopes):
            raise asked.refused("invalid_scope", "the app may have none of what it asks for")
        return asked

    async def sign_in(self, username: str, password: str, address: str) -> tuple[str, datetime]:
        """What a browser remembers of who knows the password, and until when. `invalid_grant`, `too_many`."""
        user = await self._accounts.verified(username, password, address)
        handle, secret = secrets.token_urlsafe(24), secrets.token_urlsafe(32)
        now = self._clock()
        expires = now + BROWSER_LIFETIME
        sign_in = SignIn(sign_in_id(handle), user.id, digest(secret), "", now, expires, kind="browser")
        await self._store.add_sign_in(sign_in)
        return f"{handle}.{secret}", expires

    async def signed_in(self, remembered: str) -> tuple[Identified, SignIn] | None:
        """Who signed in with a browser that remembers this; None if nobody did, or it is over."""
        handle, _, secret = remembered.partition(".")
        if not remembered.isascii() or not secret or len(remembered) > _LONGEST:
            return None
        found = await self._store.sign_in(sign_in_id(handle))
        if found is None or found[0].kind != "browser" or not hmac.compare_digest(found[0].digest, digest(secret)):
            return None
        sign_in, user = found
        if sign_in.revoked or sign_in.expires <= self._clock():
            return None
        try:
            return await self._authentication.of_user(user, f"session:{sign_in.id}"), sign_in
        except InvalidToken:
            return None

    async def sign_out(self, sign_in: SignIn) -> None:
        """The browser is to remember nobody. Access that apps have while somebody is signed in there ends."""
        await self._store.revoke_sign_in(sign_in.id)
        for _, given in await self._store.apps(sign_in.user_id, self._clock()):
            scopes = (given.scope or "").split()
            is_from_here = (given.context or {}).get("browser") == sign_in.id
            if is_from_here and "online_access" in scopes and "offline_access" not in scopes:
                await self._store.revoke_sign_in(given.id)

    def offer(self, asked: Asked, identified: Identified) -> Offer:
        """What of it the user can give. `Refused` if that is nothing."""
        user, own = _user(identified), identified.caller.patient
        if asked.launch is not None and asked.launch.user_id not in (None, user.id):
            raise asked.refused("access_denied", "the launch is for another user")
        about = asked.launch.context.get("patient") if asked.launch is not None else own
        offered = tuple(
            scope for scope in asked.scopes if parse_scope(scope) is None or _of_roles([scope], identified, about)
        )
        if not any(scope not in LAUNCH for scope in offered):
            raise asked.refused("access_denied", "the user may do none of what the app asks for")
        needs = "launch/patient" in offered or any(scope.startswith("patient/") for scope in offered)
        return Offer(offered, about, needs or (about is not None and asked.launch is not None))

    async def give(
        self,
        asked: Asked,
        offer: Offer,
        chosen: Sequence[str],
        patient: str | None,
        identified: Identified,
        browser: SignIn,
    ) -> str:
        """Where the app is told its code: what the user gives is given here only. `Refused` if that is nothing.

        Whether the user may see the patient has been found out.
        """
        if offer.is_about_a_patient and patient is None:
            raise asked.refused("access_denied", "no patient was chosen")
        kept = [scope for scope in offer.scopes if scope in chosen or scope in LAUNCH]
        about = _of_roles([scope for scope in kept if parse_scope(scope) is not None], identified, patient)
        scope = " ".join([*about, *(item for item in kept if item in OTHERS)])
        if not about and "openid" not in kept:
            raise asked.refused("access_denied", "the user gives nothing")
        if len(scope) > LONGEST_SCOPE:
            raise asked.refused("invalid_scope", "these are too many scopes")
        if asked.launch_id is not None and not await self._launches.use(asked.launch_id):
            raise asked.refused("invalid_request", "the launch is not known here, or was used")
        context = dict(asked.launch.context) if asked.launch is not None else {}
        if offer.is_about_a_patient:
            context = {"need_patient_banner": True, **context, "patient": patient}
        code, now = secrets.token_urlsafe(32), self._clock()
        content = {
            "client_id": asked.client.id,
            "user_id": _user(identified).id,
            "redirect_uri": asked.redirect_uri,
            "challenge": asked.challenge,
            "nonce": asked.nonce,
            "scope": scope,
            "context": context,
            "browser": browser.id,
            "until": (now + CODE_LIFETIME).timestamp(),
            "online_until": browser.expires.timestamp(),
        }
        await self._store.add_once(code_id(code), content, now, now + _USED_CODES_KEPT)
        return _with_query(asked.redirect_uri, code=code, state=asked.state)


def _error(given: Mapping[str, str], addresses: Addresses) -> tuple[str, str] | None:
    """What is wrong with a request whose app is known: code and text."""
    if given.get("response_type") != "code":
        return "unsupported_response_type", "response_type is code"
    if "request" in given or "request_uri" in given:
        return "request_not_supported", "the parameters of the request stand in its URL"
    if given.get("code_challenge_method") != "S256" or not _CHALLENGE.fullmatch(given.get("code_challenge", "")):
        return "invalid_request", "code_challenge with code_challenge_method=S256 is needed (RFC 7636)"
    if not given.get("state"):
        return "invalid_request", "state is needed"
    if any(len(given.get(name, "")) > _LONGEST for name in ("state", "nonce")):
        return "invalid_request", f"state and nonce have up to {_LONGEST} characters"
    if given.get("aud", "").rstrip("/") != addresses.base:
        return "invalid_request", f"aud is {addresses.base}"
    if not given.get("scope", "").strip():
        return "invalid_scope", "scope is needed"
    try:
        parse_scopes(given["scope"])
    except InvalidScope as error:
        return "invalid_scope", str(error)
    return None


def _of_registration(client: Client, asked: Sequence[str]) -> tuple[str, ...]:
    """What of the scopes the client may be given by people."""
    may = client.scope.split()
    limits = [scope for scope in parse_scopes(client.scope) if scope.context != "system"]
    about = narrowed(asked, limits)
    return (*about, *dict.fromkeys(item for item in asked if item in OTHERS and item in may))


def _of_roles(scopes: Sequence[str], identified: Identified, patient: str | None) -> list[str]:
    """What of the scopes the user may do. A patient's own role is about the user, and about nobody else."""
    caller = identified.caller
    limits = [
        scope
        for grant in caller.grants
        for scope in grant
        if scope.context != "patient" or (caller.patient is not None and patient in (None, caller.patient))
    ]
    return narrowed(scopes, limits, any_context=True)


def _user(identified: Identified) -> User:
    if identified.user is None:
        raise AccessError(403, "access_denied", "this is for users of this server")
    return identified.user


def _with_query(uri: str, **params: Any) -> str:
    given = urlencode({name: value for name, value in params.items() if value is not None})
    return f"{uri}{'&' if urlsplit(uri).query else '' if uri.endswith('?') else '?'}{given}"
