"""HTTP/1.1 connections that bound what comes before a body: uvicorn's own protocol waits for it for ever.

A connection that does not get its request line and headers across in time is closed, as is one that sends too many.
"""

from asyncio import TimerHandle
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn makes one for each connection, so the bounds are those of the process: see `bound_headers`."""

    header_bytes: ClassVar[int] = 64 * 1024
    header_seconds: ClassVar[float] = 20.0

    _awaiting: TimerHandle | None = None
    _received = 0

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._await_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        self._headers_are_here()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._received = 0
        if self._awaiting is None:  # not the first of the connection
            self._await_headers()

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        self._count(len(name) + len(value))

    def on_headers_complete(self) -> None:
        self._headers_are_here()
        super().on_headers_complete()

    def _await_headers(self) -> None:
        self._awaiting = self.loop.call_later(self.header_seconds, self._give_up)

    def _headers_are_here(self) -> None:
        if self._awaiting is not None:
            self._awaiting.cancel()
            self._awaiting = None

    def _give_up(self) -> None:
        self._awaiting = None
        if not self.transport.is_closing():
            self.transport.close()

    def _count(self, size: int) -> None:
        self._received += size
        if self._received > self.header_bytes and not self.transport.is_closing():
            self.transport.abort()


def bound_headers(size: int, seconds: float) -> None:
    """The bounds of all connections of this process: bytes of one request's headers, and how long they may take."""
    BoundedProtocol.header_bytes = size
    BoundedProtocol.header_seconds = seconds
