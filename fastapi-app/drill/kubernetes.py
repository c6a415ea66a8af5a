"""What k8s/setup_complete_k8s.sh put into Kubernetes."""

import asyncio
import base64
import json
from typing import Any
from urllib.parse import urlsplit

from drill.result import CheckFailed
from drill.targets import DRAIN, REMOVE, CommandFailed, Node, psql, run

_KUBECTL = ("kubectl", "--namespace", "fhir-system")
_WAIT_SECONDS = 300


class Kubernetes:
    """The API and the Citus cluster in the namespace fhir-system, reached by a port-forward on this machine."""

    name = "Kubernetes"

    def __init__(self, url: str, account: tuple[str, str] | None, forward: asyncio.subprocess.Process | None):
        self.url, self.account = url, account
        self._forward = forward  # ends with this

    async def sql(self, statement: str, times: int = 1) -> tuple[list[dict[str, Any]], float]:
        coordinator = ("exec", "-i", "citus-coordinator-0", "--container", "postgres", "--")
        return await psql(*_KUBECTL, *coordinator, statement=statement, times=times)

    async def nodes(self) -> list[Node]:
        pods = json.loads(await run(*_KUBECTL, "get", "pods", "--output", "json"))["items"]
        return [_node(pod) for pod in pods]

    async def kill_worker(self) -> str:
        await run(*_KUBECTL, "delete", "pod", "citus-worker-0", "--grace-period=0", "--force")
        return "citus-worker-0.citus-worker"

    async def add_worker(self) -> str:
        number = await self._replicas()
        await self._scale(number + 1)
        await run(*_KUBECTL, "rollout", "status", "statefulset/citus-worker", f"--timeout={_WAIT_SECONDS}s")
        name = f"citus-worker-{number}.citus-worker"
        for _ in range(_WAIT_SECONDS):  # the registrar beside the coordinator adds it
            rows, _ms = await self.sql(f"SELECT count(*) AS n FROM pg_dist_node WHERE nodename = '{name}'")
            if rows[0]["n"]:
                return name
            await asyncio.sleep(1)
        raise CheckFailed(f"{name} was not registered")

    async def remove_worker(self, name: str) -> None:
        number = await self._replicas()
        await self.sql(DRAIN.format(name=name))
        await self._scale(number - 1)  # first, or the registrar would take it in again
        pod = name.partition(".")[0]
        await run(*_KUBECTL, "wait", "--for=delete", f"pod/{pod}", f"--timeout={_WAIT_SECONDS}s")
        await self.sql(REMOVE.format(name=name))
        await run(*_KUBECTL, "delete", "persistentvolumeclaim", f"data-{pod}")

    async def statistics(self) -> str:
        try:
            return await run(*_KUBECTL, "top", "pods")
        except CommandFailed as error:
            return str(error)

    async def logs(self) -> dict[str, str]:
        names = [node.name for node in await self.nodes() if node.name.startswith(("citus-", "fastapi-"))]
        return {name: await run(*_KUBECTL, "logs", "--tail", "40", name) for name in names}

    async def _replicas(self) -> int:
        return int(await run(*_KUBECTL, "get", "statefulset", "citus-worker", "--output", "jsonpath={.spec.replicas}"))

    async def _scale(self, number: int) -> None:
        await run(*_KUBECTL, "scale", "statefulset", "citus-worker", f"--replicas={number}")


def _node(pod: dict[str, Any]) -> Node:
    phase = pod["status"]["phase"]
    ready = {c["type"]: c["status"] for c in pod["status"].get("conditions", [])}.get("Ready") == "True"
    return Node(pod["metadata"]["name"], phase == "Succeeded" or (phase == "Running" and ready), phase)


async def found(url: str) -> Kubernetes | None:
    """The deployment, if there is one in the cluster of kubectl's context."""
    try:
        await run(*_KUBECTL, "get", "deployment", "fastapi-fhir", seconds=30)
        secret = json.loads(await run(*_KUBECTL, "get", "secret", "fhir-api-secret", "--output", "json"))["data"]
    except (CommandFailed, FileNotFoundError):
        return None
    forward = await _forwarded(url)
    account = tuple(base64.b64decode(secret[f"FHIR_ADMIN_{name}"]).decode() for name in ("USERNAME", "PASSWORD"))
    return Kubernetes(url, (account[0], account[1]), forward)


async def _forwarded(url: str) -> asyncio.subprocess.Process | None:
    """A process that forwards the port of `url` to the API; None if something listens there already."""
    port, forward = urlsplit(url).port or 80, None
    for attempt in range(100):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            break
        except OSError:
            if attempt == 0:
                command = (*_KUBECTL, "port-forward", "service/fastapi-fhir-service", f"{port}:80")
                silent = asyncio.subprocess.DEVNULL
                forward = await asyncio.create_subprocess_exec(*command, stdout=silent, stderr=silent)
            await asyncio.sleep(0.1)
    return forward
