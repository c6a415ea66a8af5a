"""`fhirserver cluster`: looking at a Citus cluster and changing it. Needs FHIR_DATABASE_URL of the coordinator."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Annotated, TypeVar

import typer

from fhirserver.cli.sizes import size
from fhirserver.settings import load_settings
from fhirserver.storage.cluster import Cluster, ClusterError, Node, Progress, balance, cluster

app = typer.Typer(no_args_is_help=True, help="The Citus cluster: its nodes, its shards, and where resources are.")

T = TypeVar("T")
Worker = Annotated[
    str, typer.Argument(metavar="HOST[:PORT]", help="Address of the worker, as the coordinator sees it.")
]
_PORT = 5432


def _on(work: Callable[[Cluster], Awaitable[T]]) -> T:
    """What `work` gives on the cluster of the settings."""
    dsn = load_settings().dsn
    if dsn is None:
        raise ClusterError("FHIR_DATABASE_URL is not set: the embedded PostgreSQL is no cluster")

    async def run() -> T:
        async with cluster(dsn) as found:
            return await work(found)

    return asyncio.run(run())


@app.command("status")
def status() -> None:
    """The nodes: whether they can be reached, how many shards they have, of what size."""
    nodes = _on(lambda citus: citus.nodes())
    for node in nodes:
        kind = "coordinator" if node.is_coordinator else "worker"
        state = "reachable" if node.is_reachable else "NOT REACHABLE"
        shards = (
            f"{node.shards:>5} shards  {size(node.bytes):>9}" if node.takes_shards or node.shards else "takes no shards"
        )
        print(f"{kind:<12} {node.host}:{node.port:<6} {state:<14} {shards}")
    print(balance(nodes))
    if not all(node.is_reachable for node in nodes):
        raise SystemExit(1)


@app.command("shards")
def shards() -> None:
    """Every shard of every table: its node and its size."""
    for shard in _on(lambda citus: citus.shards()):
        print(f"{shard.table:<24} {shard.id:>8}  {shard.host}:{shard.port:<6} {size(shard.bytes):>9}")


@app.command("locate")
def locate(address: Annotated[str, typer.Argument(metavar="TYPE/ID")]) -> None:
    """Bucket, shard and node of a resource."""
    resource_type, mark, id = address.partition("/")
    if not (mark and resource_type and id):
        raise ClusterError(f"a resource is told by TYPE/ID, not {address!r}")
    place = _on(lambda citus: citus.locate(resource_type, id))
    way = " (by a forwarding row)" if place.is_forwarded else ""
    print(f"bucket {place.bucket}{way}, shard {place.shard}, node {place.host}:{place.port}")


@app.command("add-worker")
def add_worker(
    worker: Worker,
    rebalance: Annotated[bool, typer.Option(help="Move shards to it at once, while all goes on.")] = True,
) -> None:
    """Let a worker join the cluster."""
    host, port = _address(worker)

    async def work(citus: Cluster) -> None:
        joined = await citus.add_worker(host, port)
        print(f"{host}:{port} {'joined' if joined else 'is there already'}")
        if rebalance:
            await _follow(citus.rebalance())

    _on(work)


@app.command("remove-worker")
def remove_worker(worker: Worker) -> None:
    """Move all shards away from a worker, while all goes on, and let it leave."""
    host, port = _address(worker)

    async def work(citus: Cluster) -> None:
        await _follow(citus.remove_worker(host, port))
        print(f"{host}:{port} left")

    _on(work)


@app.command("rebalance")
def rebalance() -> None:
    """Spread the shards evenly over the workers, while all goes on. Called again, it follows what is under way."""

    async def work(citus: Cluster) -> list[Node]:
        await _follow(citus.rebalance())
        return await citus.nodes()

    print(balance(_on(work)))


async def _follow(steps: AsyncIterator[Progress]) -> None:
    """Show the progress: one line that changes in a terminal, a line for each change elsewhere."""
    shown = ""
    async for step in steps:
        line = f"{step.done} of {step.total} moves done"
        if line != shown and step.total:
            print(line, end="\r" if sys.stdout.isatty() else "\n", flush=True)
            shown = line
    if shown and sys.stdout.isatty():
        print()


def _address(worker: str) -> tuple[str, int]:
    host, mark, port = worker.rpartition(":")
    if not mark:
        return worker, _PORT
    if not (host and port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise ClusterError(f"a worker is told by HOST or HOST:PORT, not {worker!r}")
    return host, int(port)
