"""How a client proves who it is at the token endpoint.

https://www.rfc-editor.org/rfc/rfc6749#section-2.3,
https://hl7.org/fhir/smart-app-launch/STU2.2/client-confidential-asymmetric.html
"""

import base64
import binascii
import hmac
from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import unquote_plus

from fhirserver.access.accounts import sign_in_id
from fhirserver.access.authentication import digest
from fhirserver.access.errors import invalid_client, invalid_request
from fhirserver.access.key_sets import Fetch, KeptKeys, KeySet, usable
from fhirserver.access.oauth.clients import ASSERTION_ALGORITHMS
from fhirserver.access.oauth.store import Client, OAuthStore
from fhirserver.access.tokens import Expectations, InvalidToken, issuer_of, verified

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_LONGEST_LIFE = timedelta(minutes=5)
_KEYS_KEPT = timedelta(minutes=5)
_KEY_SETS_KEPT = 1000
_LONGEST = 200

_REFUSAL = "the client does not prove who it is"


class ClientAuthentication:
    """Finds out which client asks. `fetch` has to guard itself against addresses that lead elsewhere."""

    def __init__(self, store: OAuthStore, fetch: Fetch, skew: timedelta, clock: Callable[[], datetime]):
        self._store = store
        self._fetch = fetch
        self._skew = skew
        self._clock = clock
        self._key_sets: OrderedDict[str, KeptKeys] = OrderedDict()

    async def client(self, form: Mapping[str, str], authorization: str | None, token_url: str) -> Client:
        """The client that sent this form with this header Authorization. `invalid_client`, `invalid_request`."""
        assertion = form.get("client_assertion")
        if (authorization is not None) + (assertion is not None or "client_assertion_type" in form) > 1:
            raise invalid_request("a client proves who it is in one way")
        if "client_secret" in form:
            raise invalid_client("a secret is sent in the header Authorization (client_secret_basic)")
        if assertion is not None:
            client = await self._by_assertion(assertion, form.get("client_assertion_type"), token_url)
        elif authorization is not None:
            client = await self._by_secret(authorization)
        else:
            client = await self._known(form.get("client_id") or await self._of_refresh_token(form), "none")
        if form.get("client_id", client.id) != client.id:
            raise invalid_client(_REFUSAL)
        return client

    async def _of_refresh_token(self, form: Mapping[str, str]) -> str:
        """The id of the client that a refresh token is of: public ones need not say who they are (SMART 2.2)."""
        handle = form.get("refresh_token", "").partition(".")[0]
        if form.get("grant_type") != "refresh_token" or not handle.isascii() or len(handle) > _LONGEST:
            return ""
        found = await self._store.sign_in(sign_in_id(handle))
        return (found[0].client_id if found is not None else None) or ""

    async def _known(self, id: str, method: str) -> Client:
        client = await self._store.client(id) if len(id) <= _LONGEST and id.isascii() and id.isprintable() else None
        if client is None or client.disabled or client.method != method:
            raise invalid_client(_REFUSAL)
        return client

    async def _by_secret(self, authorization: str) -> Client:
        kind, _, encoded = authorization.partition(" ")
        try:
            id, separator, secret = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
        except (binascii.Error, ValueError) as error:
            raise invalid_client(_REFUSAL) from error
        if kind.lower() != "basic" or not separator:
            raise invalid_client(_REFUSAL)
        client = await self._known(unquote_plus(id), "client_secret_basic")
        if not hmac.compare_digest(digest(unquote_plus(secret)), client.secret_digest or b""):
            raise invalid_client(_REFUSAL)
        return client

    async def _by_assertion(self, assertion: str, kind: str | None, token_url: str) -> Client:
        if kind != ASSERTION_TYPE:
            raise invalid_request(f"client_assertion_type is {ASSERTION_TYPE}")
        try:
            client = await self._known(issuer_of(assertion), "private_key_jwt")
            expected = Expectations(client.id, token_url, ASSERTION_ALGORITHMS, self._skew, client.jwks_uri)
            claims = await verified(assertion, self._keys_of(client), expected, self._clock())
            await self._require_new(client, claims)
        except InvalidToken as error:
            raise invalid_client(f"{_REFUSAL}: {error}") from error
        return client

    def _keys_of(self, client: Client) -> Callable[[str], Any]:
        if client.jwks_uri is None:
            keys = usable(client.jwks, ASSERTION_ALGORITHMS)

            async def listed(kid: str) -> Mapping[str, Any] | None:
                return keys.get(kid)

            return listed
        url = client.jwks_uri
        kept = self._key_sets.pop(url, None)
        if kept is None:

            async def ask() -> KeySet:
                return usable(await self._fetch(url), ASSERTION_ALGORITHMS)

            kept = KeptKeys(ask, _KEYS_KEPT, self._clock)
        self._key_sets[url] = kept
        if len(self._key_sets) > _KEY_SETS_KEPT:
            self._key_sets.popitem(last=False)
        return kept.key

    async def _require_new(self, client: Client, claims: Mapping[str, Any]) -> None:
        """InvalidToken if the assertion is good for too long, or was seen before, by whichever process."""
        now = self._clock()
        expires = datetime.fromtimestamp(claims["exp"], now.tzinfo)
        if claims["sub"] != client.id:
            raise InvalidToken("the token is about somebody else")
        if expires > now + _LONGEST_LIFE + self._skew:
            raise InvalidToken("the token is good for more than five minutes")
        id = claims.get("jti")
        if not isinstance(id, str) or not 0 < len(id) <= _LONGEST:
            raise InvalidToken("the token has no proper jti")
        seen = digest(f"{client.id} {id}").hex()
        if not await self._store.add_once(f"assertion:{seen}", {}, now, expires + 2 * self._skew):
            raise InvalidToken("the token was used before")
