"""The server's API as the checks use it: a pool of connections, a login where one is asked for."""

import asyncio
import json
from collections.abc import Mapping
from time import perf_counter
from typing import Any
from urllib.parse import urlencode, urlsplit

from bench.client import Answer, Connection, Request

_IDLE_SECONDS = 2.0
_BROKEN = (OSError, EOFError, TimeoutError, ValueError, IndexError)


class NoAnswer(Exception):
    """The connection broke, or nothing came in time: whether the request was carried out is not known."""


class Api:
    """The server at `url` (`http://host:port`). `account` is the name and password to log in with."""

    def __init__(self, url: str, account: tuple[str, str] | None = None, timeout: float = 60.0):
        parts = urlsplit(url)
        self.url = url.rstrip("/")
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80
        self._account, self._timeout = account, timeout
        self._token: str | None = None
        self._free: list[tuple[Connection, float]] = []
        self._login = asyncio.Lock()

    async def send(self, method: str, path: str, body: object = None) -> Answer:
        """The answer, whatever its status; logs in if that is asked for. Raises NoAnswer."""
        content = b"" if body is None else json.dumps(body).encode()
        token = self._token
        answer = await self._send(method, path, content)
        if answer.status == 401 and self._account:
            await self.log_in(unless=token)
            answer = await self._send(method, path, content)
        return answer

    async def get(self, path: str) -> Any:
        """The JSON at a path. Raises RuntimeError if the status is not 200."""
        answer = await self.send("GET", path)
        if answer.status != 200:
            raise RuntimeError(f"GET {path}: {answer.status}: {answer.body[:300]!r}")
        return json.loads(answer.body)

    async def timed(self, path: str) -> tuple[Any, float]:
        """The JSON at a path, and how many milliseconds it took."""
        start = perf_counter()
        found = await self.get(path)
        return found, (perf_counter() - start) * 1000

    async def log_in(self, unless: str | None = None) -> Mapping[str, Any]:
        """Take a token, unless another one than `unless` has been taken meanwhile; what the server answers.

        Raises RuntimeError if it refuses.
        """
        name, password = self._account or ("", "")
        async with self._login:
            if self._token is not None and self._token != unless:
                return {}
            form = urlencode({"username": name, "password": password}).encode()
            answer = await self._send("POST", "/auth/login", form, "application/x-www-form-urlencoded")
            if answer.status != 200:
                raise RuntimeError(f"POST /auth/login: {answer.status}: {answer.body[:300]!r}")
            given: Mapping[str, Any] = json.loads(answer.body)
            self._token = str(given["access_token"])
            return given

    async def _send(self, method: str, path: str, body: bytes, kind: str = "application/fhir+json") -> Answer:
        headers = {"Content-Type": kind} if body else {}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        request = Request(method, path, body, status=None, headers=headers)
        connection = self._pooled()
        try:
            async with asyncio.timeout(self._timeout):
                if connection is None:
                    opened = Connection(self._host, self._port)
                    await opened.open()
                    connection = opened
                answer = await connection.send(request)
        except _BROKEN as error:
            if connection is not None:
                connection.close()
            raise NoAnswer(f"{method} {path}: {error or type(error).__name__}") from error
        if answer.headers.get("connection") == "close":
            connection.close()
        else:
            self._free.append((connection, perf_counter()))
        return answer

    def _pooled(self) -> Connection | None:
        """A connection that was used a moment ago: the server closes those that are idle."""
        while self._free:
            connection, used = self._free.pop()
            if perf_counter() - used < _IDLE_SECONDS:
                return connection
            connection.close()
        return None

    def close(self) -> None:
        """Close all connections."""
        while self._free:
            self._free.pop()[0].close()
