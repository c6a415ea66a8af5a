"""A client that costs little: HTTP/1.1 over keep-alive connections, one request after the other on each."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from statistics import quantiles
from time import perf_counter
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request; `status` is what the answer has to have, None: any. `headers` replace those by default.

    `token` is sent with all of them.
    """

    token: ClassVar[str] = ""

    method: str
    path: str
    body: bytes = b""
    status: int | None = 200
    headers: Mapping[str, str] = field(default_factory=dict)

    def encoded(self, host: str) -> bytes:
        """The request as it goes over the wire."""
        headers = {"Host": host, "Accept": "application/fhir+json"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        if self.body:
            headers |= {"Content-Type": "application/fhir+json", "Content-Length": str(len(self.body))}
        lines = [f"{self.method} {self.path} HTTP/1.1", *(f"{k}: {v}" for k, v in {**headers, **self.headers}.items())]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + self.body


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers by lower-case name, and body."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class Figures:
    """Seconds of each request, and of the whole."""

    latencies: list[float] = field(default_factory=list)
    elapsed: float = 0.0

    @property
    def rate(self) -> float:
        """Requests a second."""
        return len(self.latencies) / self.elapsed

    def percentile(self, percent: int) -> float:
        """Milliseconds that this share of the requests stayed below."""
        return quantiles(self.latencies, n=100)[percent - 1] * 1000 if len(self.latencies) > 1 else 0.0


class Connection:
    """One keep-alive connection."""

    def __init__(self, host: str, port: int):
        self._host, self._port = host, port

    async def open(self) -> None:
        self._reader, self._writer = await asyncio.open_connection(self._host, self._port)

    async def send(self, request: Request) -> Answer:
        """The answer. `RuntimeError` if its status is not the expected one."""
        self._writer.write(request.encoded(f"{self._host}:{self._port}"))
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        status = int(head[0].split(" ", 2)[1])
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
        body = await self._body(headers) if request.method != "HEAD" and status not in (204, 304) else b""
        if request.status is not None and status != request.status:
            raise RuntimeError(f"{request.method} {request.path}: {status}, not {request.status}: {body[:500]!r}")
        return Answer(status, headers, body)

    async def _body(self, headers: dict[str, str]) -> bytes:
        if headers.get("transfer-encoding") != "chunked":
            return await self._reader.readexactly(int(headers.get("content-length", "0")))
        parts = []
        while size := int(await self._reader.readline(), 16):
            parts.append(await self._reader.readexactly(size))
            await self._reader.readline()
        await self._reader.readline()
        return b"".join(parts)

    def close(self) -> None:
        self._writer.close()


async def hammer(
    port: int,
    requests: Iterator[Request],
    connections: int,
    seen: Callable[[Answer], None] | None = None,
) -> Figures:
    """Send all requests over so many connections at once; `seen` is shown each answer."""
    figures = Figures()

    async def work() -> None:
        connection = Connection("127.0.0.1", port)
        await connection.open()
        try:
            for request in requests:
                start = perf_counter()
                answer = await connection.send(request)
                figures.latencies.append(perf_counter() - start)
                if seen is not None:
                    seen(answer)
        finally:
            connection.close()

    start = perf_counter()
    await asyncio.gather(*(work() for _ in range(connections)))
    figures.elapsed = perf_counter() - start
    return figures
