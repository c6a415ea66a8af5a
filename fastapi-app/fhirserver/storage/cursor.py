"""Positions of pages as opaque text that the server can trust again: signed, and bound to the search they are of."""

import base64
import hashlib
import hmac
from typing import Any

import orjson

from fhirserver.fhir.outcomes import InvalidRequest

_SIGNATURE_BYTES = 12


class CursorSigner:
    """Makes and reads cursors. All servers of one database share the secret."""

    def __init__(self, secret: bytes):
        self._secret = secret

    def encode(self, scope: str, position: list[Any]) -> str:
        """The cursor for a position (JSON values) within a scope, which is what the pages are of."""
        payload = orjson.dumps(position)
        return base64.urlsafe_b64encode(self._sign(scope, payload) + payload).decode().rstrip("=")

    def decode(self, scope: str, cursor: str) -> list[Any]:
        """The position. `InvalidRequest` if this server never made the cursor, or for another search."""
        try:
            raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        except ValueError:
            raw = b""
        signature, payload = raw[:_SIGNATURE_BYTES], raw[_SIGNATURE_BYTES:]
        if not payload or not hmac.compare_digest(signature, self._sign(scope, payload)):
            raise InvalidRequest(
                "_cursor is not one that this server gave out for this search", code="value", expression="_cursor"
            )
        position: list[Any] = orjson.loads(payload)
        return position

    def _sign(self, scope: str, payload: bytes) -> bytes:
        return hmac.digest(self._secret, scope.encode() + b"\0" + payload, hashlib.sha256)[:_SIGNATURE_BYTES]
