"""A Citus cluster and a server made for the tests, of processes on this machine: no containers, no Kubernetes."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bench.serving import ready
from drill.faults import Server
from drill.local import Local
from drill.own_cluster import OwnCluster, can_be_apart, own_cluster
from drill.targets import Node
from fhirserver.storage.migrate import upgrade

_PORT = 8393
_SERVER_WORKERS = 2
_SUPERVISED_AFTER = 1.0  # seconds until who looks after a worker starts it again, as Docker or Kubernetes would


class Processes(Local):
    """The server, and the nodes below it, which may be killed and added."""

    def __init__(self, url: str, account: tuple[str, str], cluster: OwnCluster):
        super().__init__(url, cluster.dsn, account)
        self.name = "processes"
        self._cluster = cluster
        self._starting: asyncio.Task[None] | None = None

    async def nodes(self) -> list[Node]:
        return [
            Node(name, running, "running" if running else "down")
            for name in self._cluster.nodes
            for running in (self._cluster.is_running(name),)
        ]

    async def kill_worker(self) -> str:
        self._cluster.kill("worker-1")
        self._starting = asyncio.create_task(self._start_again("worker-1"))
        return "worker-1"

    async def _start_again(self, name: str) -> None:
        await asyncio.sleep(_SUPERVISED_AFTER)
        await asyncio.to_thread(self._cluster.start, name)

    async def add_worker(self) -> str:
        node = await asyncio.to_thread(self._cluster.add)
        await asyncio.to_thread(self._cluster.register, node)
        await self.sql("SELECT citus_rebalance_start(shard_transfer_mode := 'auto')")
        return node.host

    async def remove_worker(self, name: str) -> None:
        [node] = [node for node in self._cluster.nodes.values() if node.host == name]
        await self.sql(f"SELECT citus_drain_node('{node.host}', {node.port})")
        await self.sql(f"SELECT citus_remove_node('{node.host}', {node.port})")
        await asyncio.to_thread(self._cluster.remove, node.name)

    async def logs(self) -> dict[str, str]:
        return {name: self._cluster.log(name) for name in self._cluster.nodes}


@asynccontextmanager
async def processes() -> AsyncIterator[Processes]:
    """The target while the block runs. Raises NoCitus."""
    account = ("admin", secrets.token_urlsafe(16))
    with own_cluster(2, apart=can_be_apart()) as cluster:
        await asyncio.to_thread(upgrade, cluster.dsn)
        settings = {"FHIR_ADMIN_USERNAME": account[0], "FHIR_ADMIN_PASSWORD": account[1], "FHIR_AUTH__ENABLED": "true"}
        settings["FHIR_DATABASE__QUERY_NODES"] = "all"
        server = Server(cluster.dsn, _PORT, _SERVER_WORKERS, **settings)
        server.start()
        try:
            await ready(_PORT, "/health/ready")
            yield Processes(f"http://127.0.0.1:{_PORT}", account, cluster)
        finally:
            server.kill()
