"""Bodies of requests: bounded in size, and unpacked if they come gzipped.

The limit holds for what the client sends and for what that unpacks to, chunk by chunk, so that neither a body
without Content-Length nor a small archive of something huge takes more memory than the limit.
"""

import asyncio
import zlib
from collections.abc import Iterator
from time import monotonic

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fhirserver.fhir.outcomes import FhirError, InvalidRequest, MalformedBody, TooLarge, UnsupportedMediaType
from fhirserver.web.errors import AddressTooLong, TooSlow, refusal
from fhirserver.web.scope import request_headers

_GZIP = 31
_PIECE = 1 << 20
_PLAIN = (b"", b"identity")


class RequestBody:
    """Refuses URLs and bodies that are too long or come too slowly; hands gzipped bodies on as they were before."""

    def __init__(self, app: ASGIApp, max_body_bytes: int, max_url_bytes: int, body_seconds: float) -> None:
        self.app = app
        self.max_body_bytes = max_body_bytes
        self.max_url_bytes = max_url_bytes
        self.body_seconds = body_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = request_headers(scope)
        encoding = headers.get(b"content-encoding", b"").strip().lower()
        try:
            self._check(scope, headers.get(b"content-length"), encoding)
        except FhirError as error:
            await refusal(scope, error)(scope, receive, send)
            return
        unpack = None if encoding in _PLAIN else _Unpacking(self.max_body_bytes)
        received = 0
        is_whole = False
        deadline = monotonic() + self.body_seconds

        async def bounded() -> Message:
            nonlocal received, is_whole
            if is_whole:  # what comes now is that the client has left
                return await receive()
            try:
                async with asyncio.timeout(deadline - monotonic()):
                    message = await receive()
            except TimeoutError as error:
                raise TooSlow(f"the body did not come within {self.body_seconds:g} seconds") from error
            is_whole = not message.get("more_body", False)
            if message["type"] != "http.request":
                return message
            body = message.get("body", b"")
            received += len(body)
            if received > self.max_body_bytes:
                raise _too_large(self.max_body_bytes)
            if unpack is None:
                return message
            return {**message, "body": unpack(body, last=not message.get("more_body", False))}

        await self.app(scope, bounded, send)

    def _check(self, scope: Scope, length: bytes | None, encoding: bytes) -> None:
        if len(scope.get("raw_path") or scope["path"]) + len(scope["query_string"]) > self.max_url_bytes:
            raise AddressTooLong(f"the URL is longer than {self.max_url_bytes} bytes; search by POST")
        if length is not None:
            if not length.isdigit():
                raise InvalidRequest("Content-Length is not a number")
            if int(length) > self.max_body_bytes:
                raise _too_large(self.max_body_bytes)
        if encoding not in _PLAIN and encoding not in (b"gzip", b"x-gzip"):
            raise UnsupportedMediaType(
                f"Content-Encoding '{encoding[:40].decode('latin-1')}' is not supported; send gzip or none"
            )


class _Unpacking:
    """A gzipped body (RFC 1952: one member or several), unpacked as it arrives."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._total = 0
        self._member = zlib.decompressobj(_GZIP)
        self._begun = False

    def __call__(self, data: bytes, *, last: bool) -> bytes:
        """The next part, unpacked. `MalformedBody` if it is not gzip, `TooLarge` above the limit."""
        try:
            text = b"".join(self._pieces(data))
        except zlib.error as error:
            raise MalformedBody("the body is not gzip, as its Content-Encoding says") from error
        if last and self._begun and not self._member.eof:
            raise MalformedBody("the gzipped body is cut off")
        return text

    def _pieces(self, data: bytes) -> Iterator[bytes]:
        while data:
            self._begun = True
            if self._member.eof:
                self._member = zlib.decompressobj(_GZIP)
            piece = self._member.decompress(data, _PIECE)
            while piece:
                self._total += len(piece)
                if self._total > self._limit:
                    raise _too_large(self._limit)
                yield piece
                piece = self._member.decompress(self._member.unconsumed_tail, _PIECE)
            data = self._member.unused_data


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"the body is larger than {limit} bytes")
