"""Where the server runs: on this machine, in Docker Compose, in Kubernetes; what can be asked and done there."""

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

REPO = Path(__file__).parents[2]


class CommandFailed(Exception):
    """A command ended with an error; the message is its last line."""


async def run(*command: str, stdin: str = "", seconds: float = 600) -> str:
    """The output of a command. Raises CommandFailed."""
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(seconds):
            output, errors = await process.communicate(stdin.encode())
    except TimeoutError as error:
        process.kill()
        raise CommandFailed(f"{' '.join(command)}: not done after {seconds:.0f} s") from error
    if process.returncode != 0:
        lines = (errors or output).decode(errors="replace").strip().splitlines() or ["no reason was given"]
        raise CommandFailed(f"{' '.join(command[:6])} …: {lines[-1]}")
    return output.decode(errors="replace")


@dataclass(frozen=True)
class Node:
    """A container or pod."""

    name: str
    is_well: bool
    state: str


class Target(Protocol):
    """A place where the server runs. What a place can't do raises NotApplicable."""

    name: str
    url: str
    account: tuple[str, str] | None

    async def sql(self, statement: str, times: int = 1) -> tuple[list[dict[str, Any]], float]:
        """The rows of a query on the database (the coordinator), and the milliseconds of the last of so many times."""
        ...

    async def nodes(self) -> list[Node]:
        """What belongs to the deployment."""
        ...

    async def kill_worker(self) -> str:
        """End a worker by SIGKILL; its name in the cluster. It is not started again by this."""
        ...

    async def add_worker(self) -> str:
        """Start one more worker and register it; its name in the cluster. Shards begin to move to it."""
        ...

    async def remove_worker(self, name: str) -> None:
        """Move a worker's shards away, and take it out of the cluster with its volume."""
        ...

    async def statistics(self) -> str:
        """What the deployment uses of the machine."""
        ...

    async def logs(self) -> dict[str, str]:
        """The last lines of each node's log."""
        ...


async def psql(*prefix: str, statement: str, times: int) -> tuple[list[dict[str, Any]], float]:
    """The rows and the time of `Target.sql`, by a psql that `prefix` runs where the coordinator is."""
    query = f"SELECT coalesce(json_agg(q), '[]') FROM ({statement}) q;\n"
    script = ["\\o /dev/null\n", *[query] * (times - 1), "\\o\n\\timing on\n", query]
    output = await run(*prefix, *_PSQL, stdin="".join(script))
    value, _, time = output.rpartition("\nTime: ")
    return json.loads(value), float(time.split()[0])


_PSQL = ("psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", "clinical_records")

# Of any cluster, whatever it runs on.
DRAIN = "SELECT citus_drain_node('{name}', 5432)"
REMOVE = "SELECT citus_remove_node('{name}', 5432)"
