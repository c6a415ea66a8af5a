"""Fetching small JSON documents from addresses that somebody configured, without being led astray.

The name is resolved once, every address that it has must be a public one, and the connection goes to the address that
was checked: nobody can let the name mean another machine afterwards. Redirects are not followed. Time and size are
bounded, compressed bodies are not accepted.
"""

import asyncio
import ipaddress
import json
import socket
import ssl
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

import httpcore

MAX_BYTES = 512 * 1024
_SECONDS = 5.0
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_6TO4 = ipaddress.ip_network("2002::/16")
_TEREDO = ipaddress.ip_network("2001::/32")


class FetchError(Exception):
    """The document could not be had; the text says why."""


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public internet, also if it is written inside another."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return is_public(str(parsed.ipv4_mapped))
        if any(parsed in network for network in (_NAT64, _6TO4, _TEREDO)):
            return False
    return parsed.is_global and not parsed.is_multicast


class _Checked(httpcore.AsyncNetworkBackend):
    """Connects to addresses that were checked."""

    def __init__(self, allow_private: bool):
        self._allow_private = allow_private
        self._backend = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise FetchError(f"{host} has no address") from error
        addresses = [str(item[4][0]) for item in found]
        if not self._allow_private and not all(map(is_public, addresses)):
            raise FetchError(f"{host} is an address that is not public")
        return await self._backend.connect_tcp(addresses[0], port, timeout, local_address, socket_options)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Fetch:
    """Fetches JSON. With `allow_private`, from addresses that are not public too, and by plain HTTP."""

    def __init__(self, *, allow_private: bool = False, ca_file: str | None = None):
        self._allow_private = allow_private
        self._context = ssl.create_default_context(cafile=ca_file)

    async def __call__(self, url: str) -> Any:
        """The JSON at this URL. FetchError."""
        parts = urlsplit(url)
        if parts.scheme != "https" and not (parts.scheme == "http" and self._allow_private):
            raise FetchError(f"{parts.scheme or 'the address'} is not https")
        if not parts.hostname or parts.username is not None or parts.password is not None:
            raise FetchError("the address has no host, or names a user")
        try:
            async with asyncio.timeout(_SECONDS):
                return json.loads(await self._body(url))
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, TimeoutError) as error:
            raise FetchError(f"{parts.hostname} does not answer") from error
        except (httpcore.UnsupportedProtocol, OSError) as error:
            raise FetchError(f"{parts.hostname} can't be reached") from error
        except (ValueError, RecursionError) as error:
            raise FetchError(f"what {parts.hostname} answers is not JSON") from error

    async def _body(self, url: str) -> bytes:
        async with (
            httpcore.AsyncConnectionPool(
                ssl_context=self._context, network_backend=_Checked(self._allow_private), max_connections=1
            ) as pool,
            pool.stream("GET", url, headers={"Accept": "application/json", "Accept-Encoding": "identity"}) as response,
        ):
            if response.status != 200:
                raise FetchError(f"the answer is {response.status}")
            body = b""
            async for part in response.aiter_stream():
                body += part
                if len(body) > MAX_BYTES:
                    raise FetchError("the answer is too long")
            return body
