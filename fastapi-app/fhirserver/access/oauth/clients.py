"""The clients: apps and systems that administrators register. https://www.rfc-editor.org/rfc/rfc7591#section-2"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, tzinfo
from typing import Any, cast, get_args
from urllib.parse import urlsplit

from fhirserver.access.authentication import digest
from fhirserver.access.errors import AccessError, invalid_request, invalid_scope, not_found
from fhirserver.access.key_sets import MOST_KEYS, usable
from fhirserver.access.oauth.granting import LAUNCH, OTHERS, REFRESH
from fhirserver.access.oauth.store import Client, Method, OAuthStore
from fhirserver.access.policy import require_sound
from fhirserver.access.scopes import InvalidScope, parse_scope, parse_scopes
from fhirserver.access.sensitivity import is_clearance
from fhirserver.fhir.definitions import Definitions

ASSERTION_ALGORITHMS = ("ES384", "RS384")
_MARK = "fhirs_"  # so that a secret that got lost is recognised
_MOST_REDIRECTS = 20
_LONGEST_URL = 2000
_NEVER_IN_URLS = frozenset(' "#*<>\\^`{|}')
_LONGEST_KEYS = 64 * 1024
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Clients:
    """Registers clients, changes and disables them."""

    def __init__(self, store: OAuthStore, definitions: Definitions, zone: tzinfo, clock: Callable[[], datetime]):
        self._store = store
        self._definitions = definitions
        self._zone = zone
        self._clock = clock

    async def add(
        self,
        name: str,
        method: str,
        scope: str,
        redirect_uris: Sequence[str] = (),
        jwks: Mapping[str, Any] | None = None,
        jwks_uri: str | None = None,
    ) -> tuple[Client, str | None]:
        """A new client, and its secret, if it has one; that is told only now. `invalid_request`, `invalid_scope`."""
        if method not in get_args(Method):
            raise invalid_request(f"token_endpoint_auth_method is one of {', '.join(get_args(Method))}")
        id, now = secrets.token_hex(12), self._clock()
        client = Client(id, name, cast(Method, method), tuple(redirect_uris), scope, now, jwks, jwks_uri)
        secret = _new_secret() if method == "client_secret_basic" else None
        checked = self._checked(replace(client, secret_digest=digest(secret) if secret is not None else None))
        await self._store.add_client(checked)
        return checked, secret

    async def change(self, id: str, **changes: Any) -> Client:
        """The client with other attributes; those that are None stay. What it was given before is narrowed too."""
        client = await self.one(id)
        given = {name: value for name, value in changes.items() if value is not None}
        if "jwks" in given and "jwks_uri" not in given:
            given["jwks_uri"] = None
        elif "jwks_uri" in given and "jwks" not in given:
            given["jwks"] = None
        changed = self._checked(replace(client, **given))
        await self._store.save_client(changed)
        return changed

    async def new_secret(self, id: str) -> str:
        """Another secret; the one before is no longer good."""
        client = await self.one(id)
        if client.method != "client_secret_basic":
            raise invalid_request("this client has no secret")
        secret = _new_secret()
        await self._store.save_client(replace(client, secret_digest=digest(secret)))
        return secret

    async def one(self, id: str) -> Client:
        """The client with this id. `not_found`."""
        client = await self._store.client(id) if id.isascii() and id.isprintable() else None
        if client is None:
            raise not_found("there is no such client")
        return client

    async def page(self, after: str, count: int) -> Sequence[Client]:
        """Clients in the order of their ids, after one."""
        return await self._store.clients(after, count)

    def _checked(self, client: Client) -> Client:
        if not 1 <= len(client.name.strip()) <= 100 or not client.name.isprintable():
            raise invalid_request("client_name has 1 to 100 printable characters")
        if len(client.redirect_uris) > _MOST_REDIRECTS:
            raise invalid_request(f"a client has up to {_MOST_REDIRECTS} redirect_uris")
        for uri in client.redirect_uris:
            require_redirect_uri(uri)
        self._require_scope(client)
        _require_keys(client)
        if client.method != "private_key_jwt" and not client.redirect_uris:
            raise invalid_request("a client for people needs redirect_uris")
        return replace(client, name=client.name.strip(), scope=" ".join(client.scope.split()))

    def _require_scope(self, client: Client) -> None:
        try:
            scopes = parse_scopes(client.scope)
            require_sound(scopes, self._definitions, self._zone, self._clock())
        except InvalidScope as error:
            raise invalid_scope(str(error)) from error
        others = [item for item in client.scope.split() if parse_scope(item) is None and not is_clearance(item)]
        unknown = [item for item in others if item not in OTHERS]
        if unknown or not scopes:
            raise invalid_scope(f"a client needs scopes about resources; others are {', '.join(OTHERS)}")
        of_systems = any(scope.context == "system" for scope in scopes)
        if of_systems and client.method != "private_key_jwt":
            raise invalid_scope("scopes of the context system are for clients with private_key_jwt")
        needs_people = {*LAUNCH, *REFRESH} & set(client.scope.split()) or any(s.context != "system" for s in scopes)
        if needs_people and not client.redirect_uris:
            raise invalid_request("scopes other than those of the context system need redirect_uris")


def require_redirect_uri(uri: str) -> None:
    """`invalid_request` unless apps can be told there what only they may know.

    That is by TLS, on the machine of the user, or under a scheme that the app has to itself (RFC 8252 7.1).
    """
    refusal = invalid_request(
        f"{uri[:100]!r}: a redirect URI is https://…, http://localhost…, or of a scheme of the app such as"
        " org.example.app:/back; it has no fragment, and is complete"
    )
    parts = _split(uri, refusal)
    if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        if not parts.hostname or parts.username is not None or parts.password is not None:
            raise refusal
    elif "." not in parts.scheme or parts.netloc or not parts.path:
        raise refusal


def _split(uri: str, refusal: AccessError) -> Any:
    is_plain = uri.isascii() and uri.isprintable() and not set(uri) & _NEVER_IN_URLS
    if len(uri) > _LONGEST_URL or not is_plain:
        raise refusal
    try:
        parts = urlsplit(uri)
        parts.port  # noqa: B018
    except ValueError as error:
        raise refusal from error
    return parts


def _require_keys(client: Client) -> None:
    if client.method != "private_key_jwt":
        if client.jwks is not None or client.jwks_uri is not None:
            raise invalid_request("keys are for clients with private_key_jwt")
        return
    if (client.jwks is None) == (client.jwks_uri is None):
        raise invalid_request("private_key_jwt needs either jwks or jwks_uri")
    if client.jwks_uri is not None:
        refusal = invalid_request("jwks_uri is an address that begins with https://")
        parts = _split(client.jwks_uri, refusal)
        if parts.scheme not in ("https", "http") or not parts.hostname or parts.username is not None:
            raise refusal
    else:
        listed = (client.jwks or {}).get("keys")
        if not isinstance(listed, list) or not 0 < len(listed) <= MOST_KEYS or len(str(listed)) > _LONGEST_KEYS:
            raise invalid_request('jwks is a set of keys: {"keys": […]}')
        if any(isinstance(key, dict) and {"d", "k", "p"} & key.keys() for key in listed):
            raise invalid_request("jwks has a private key; that stays with the client")
        if len(usable(client.jwks, ASSERTION_ALGORITHMS)) != len(listed):
            raise invalid_request("each key has a kid, and is EC P-384 (ES384) or RSA of 2048 bits and more (RS384)")


def _new_secret() -> str:
    return _MARK + secrets.token_urlsafe(32)
