"""The server that `setup_all.sh local` started, or any other whose address and database are given."""

import os
import time
from pathlib import Path
from typing import Any

import asyncpg

from drill.language import text
from drill.result import NotApplicable
from drill.targets import Node
from fhirserver.storage.embedded import EmbeddedPostgres


class Local:
    """A server on this machine. Nodes can't be killed or added."""

    def __init__(self, url: str, dsn: str, account: tuple[str, str] | None, log: Path | None = None):
        self.name = text("local", "local")
        self.url, self.account = url, account
        self._dsn, self._log = dsn, log
        self._connection: asyncpg.Connection[Any] | None = None

    async def sql(self, statement: str, times: int = 1) -> tuple[list[dict[str, Any]], float]:
        if self._connection is None or self._connection.is_closed():
            self._connection = await asyncpg.connect(self._dsn)
        for _ in range(times - 1):
            await self._connection.fetch(statement)
        start = time.perf_counter()
        rows = await self._connection.fetch(statement)
        return [dict(row) for row in rows], (time.perf_counter() - start) * 1000

    async def nodes(self) -> list[Node]:
        raise NotApplicable(text("a local server has no containers", "un servidor local no tiene contenedores"))

    async def kill_worker(self) -> str:
        raise NotApplicable(text("a local server has no workers", "un servidor local no tiene workers"))

    async def add_worker(self) -> str:
        raise NotApplicable(text("a local server has no workers", "un servidor local no tiene workers"))

    async def remove_worker(self, name: str) -> None:
        raise NotApplicable(text("a local server has no workers", "un servidor local no tiene workers"))

    async def statistics(self) -> str:
        load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
        return f"{os.cpu_count()} CPU, load {load}"

    async def logs(self) -> dict[str, str]:
        if self._log is None or not self._log.exists():
            return {}
        return {"server": "\n".join(self._log.read_text(errors="replace").splitlines()[-40:])}


def found(data: Path, account: tuple[str, str] | None) -> Local | None:
    """The server that runs on this data folder, if one does."""
    try:
        os.kill(int((data / "server.pid").read_text()), 0)
        port = (data / "server.port").read_text().strip()
    except (OSError, ValueError):
        return None
    dsn = EmbeddedPostgres(data).start()
    return Local(f"http://127.0.0.1:{port}", dsn, account, data / "server.log")
