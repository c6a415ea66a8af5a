"""TLS to the database by the URL, as libpq has it: what can't be verified is not spoken to."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from certificates import certificate

from fhirserver.fhir.outcomes import Unavailable
from fhirserver.storage.engine import Pool, sqlalchemy_url, tls_arguments


@dataclass
class Server:
    """The beginning of PostgreSQL's protocol: it agrees to TLS, notes who begins to speak, and hangs up."""

    context: ssl.SSLContext | None
    port: int = 0
    spoken: list[bytes] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            first = await reader.readexactly(8)
            if int.from_bytes(first[4:], "big") != 80877103:  # no SSLRequest
                self.spoken.append(b"plain")
            elif self.context is None:
                writer.write(b"N")
                self.spoken += [b"plain"] if await reader.read(1) else []
            else:
                writer.write(b"S")
                await writer.drain()
                await writer.start_tls(self.context)
                self.spoken += [b"tls"] if await reader.read(1) else []
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


def _context(file: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, key)
    return context


@pytest.fixture
async def servers(tmp_path: Path) -> AsyncIterator[dict[str, tuple[Server, Path]]]:
    """Servers by what is good or bad about them, each with the file of its certificate."""
    found = {}
    running = []
    for name in ("127.0.0.1", "other.example"):
        file, key = certificate(tmp_path, name)
        found[name] = (Server(_context(file, key)), file)
    found["without"] = (Server(None), found["127.0.0.1"][1])
    for server, _ in found.values():
        listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
        server.port = listening.sockets[0].getsockname()[1]
        running.append(listening)
    yield found
    for listening in running:
        listening.close()


@pytest.mark.parametrize(
    ("which", "mode", "trusts", "spoken"),
    [
        ("127.0.0.1", "verify-full", "127.0.0.1", [b"tls"]),
        ("127.0.0.1", "verify-full", "other.example", []),  # signed by somebody else
        ("other.example", "verify-full", "other.example", []),  # good, but of another host
        ("other.example", "verify-ca", "other.example", [b"tls"]),
        ("other.example", "verify-ca", "127.0.0.1", []),
        ("without", "verify-full", "127.0.0.1", []),  # never in the clear
        ("without", "require", "127.0.0.1", []),
    ],
)
async def test_whom_the_server_speaks_to(servers, which: str, mode: str, trusts: str, spoken: list[bytes]):
    server, _ = servers[which]
    pool = Pool(f"postgresql://u:p@127.0.0.1:{server.port}/x?sslmode={mode}&sslrootcert={servers[trusts][1]}")
    with pytest.raises(Unavailable):
        async with pool.connection():
            pass
    await asyncio.sleep(0)
    assert server.spoken == spoken
    await pool.close()


def test_what_is_not_about_tls_stays_in_the_url():
    dsn = "postgresql://u:p@/x?host=/run/pg&sslmode=verify-full"
    assert sqlalchemy_url(dsn) == "postgresql+asyncpg://u:p@/x?host=%2Frun%2Fpg"
    assert tls_arguments(dsn) == {"dsn": "postgresql://?sslmode=verify-full"}
    assert tls_arguments("postgresql://h/x") == {}
