"""The stack of docker-compose.dev.yml."""

import json
from typing import Any

from drill.targets import DRAIN, REMOVE, REPO, CommandFailed, Node, psql, run

_NEW = "citus-worker-3"
_COMPOSE = (
    "docker", "compose", "--project-directory", str(REPO), "-f", str(REPO / "docker-compose.dev.yml"),
    "--profile", "scale",
)  # fmt: skip
_KILL = 'kill -9 "$(head -n 1 "$PGDATA/postmaster.pid")"'


class Compose:
    """The API and the Citus cluster in containers of this machine."""

    name = "Docker Compose"

    def __init__(self, url: str, account: tuple[str, str] | None):
        self.url, self.account = url, account

    async def sql(self, statement: str, times: int = 1) -> tuple[list[dict[str, Any]], float]:
        return await psql(*_COMPOSE, "exec", "-T", "citus-coordinator", statement=statement, times=times)

    async def nodes(self) -> list[Node]:
        listed = await run(*_COMPOSE, "ps", "--all", "--format", "json")
        containers = [json.loads(line) for line in listed.splitlines() if line]
        return [
            Node(
                container["Service"],
                container["Health"] in ("", "healthy")
                and (container["State"] == "running" or container["ExitCode"] == 0),
                container["Status"],
            )
            for container in containers
        ]

    async def kill_worker(self) -> str:
        # Not `docker kill`: Docker would take that as a wish, and not start it again.
        await run(*_COMPOSE, "exec", "-T", "citus-worker-1", "sh", "-c", _KILL)
        return "citus-worker-1"

    async def add_worker(self) -> str:
        await run(*_COMPOSE, "up", "--detach", "--no-build", "--wait", "--no-recreate", _NEW)
        await run(
            *_COMPOSE, "exec", "-T", "-e", "COORDINATOR=citus-coordinator", "citus-coordinator", "register-workers.sh",
            _NEW,
        )  # fmt: skip
        return _NEW

    async def remove_worker(self, name: str) -> None:
        await self.sql(DRAIN.format(name=name))
        await self.sql(REMOVE.format(name=name))
        await run(*_COMPOSE, "rm", "--stop", "--force", name)
        await run("docker", "volume", "rm", f"fhir_{name}")

    async def statistics(self) -> str:
        ids = (await run(*_COMPOSE, "ps", "--quiet")).split()
        columns = "table {{.Name}}\t{{.CPUPerc}}\t{{.MemUsage}}\t{{.BlockIO}}\t{{.NetIO}}"
        return await run("docker", "stats", "--no-stream", "--format", columns, *ids)

    async def logs(self) -> dict[str, str]:
        services = (await run(*_COMPOSE, "ps", "--services", "--status", "running")).split()
        wanted = [service for service in services if service == "api" or service.startswith("citus-")]
        return {service: await run(*_COMPOSE, "logs", "--no-log-prefix", "--tail", "40", service) for service in wanted}


async def found(account: tuple[str, str] | None) -> Compose | None:
    """The stack, if its API runs."""
    try:
        address = await run(*_COMPOSE, "port", "api", "8000", seconds=30)
    except (CommandFailed, FileNotFoundError):
        return None
    return Compose(f"http://{address.strip()}", account) if ":" in address else None
