"""A steady load of reads and writes, and what became of each request."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from time import perf_counter

from drill.api import Api, NoAnswer
from drill.patients import observation

_CLIENTS = 8
_STALL = 1.0


@dataclass(frozen=True, slots=True)
class Sent:
    """One request: when it began, how long it took (seconds), how it ended (0: no answer)."""

    begin: float
    seconds: float
    status: int

    @property
    def succeeded(self) -> bool:
        return 200 <= self.status < 300


@dataclass
class Load:
    """What was sent so far, and the ids of what the server has acknowledged."""

    sent: list[Sent] = field(default_factory=list)
    acknowledged: list[str] = field(default_factory=list)

    def since(self, begin: float) -> list[Sent]:
        """Requests that ended after this instant."""
        return [sent for sent in self.sent if sent.begin + sent.seconds >= begin]

    def disturbed_until(self, begin: float) -> float:
        """The instant at which the last request ended that failed or took over a second; `begin` if none did."""
        troubled = [s.begin + s.seconds for s in self.since(begin) if not s.succeeded or s.seconds > _STALL]
        return max(troubled, default=begin)


def percentile(values: list[float], percent: float) -> float:
    """The value that this share of them does not exceed; 0 of none."""
    return sorted(values)[min(len(values) - 1, int(len(values) * percent / 100))] if values else 0.0


@asynccontextmanager
async def under_load(api: Api, run: str, patients: list[str]) -> AsyncIterator[Load]:
    """Eight clients read patients and write observations of them, for the time of the block."""
    load, ended = Load(), asyncio.Event()

    async def client(number: int) -> None:
        random = Random(f"{run}-{number}")
        while not ended.is_set():
            who = random.choice(patients)
            begin, status = perf_counter(), 0
            try:
                if random.random() < 0.5:
                    status = (await api.send("GET", f"/fhir/Patient/{who}")).status
                else:
                    body = observation(run, who, random.randrange(1000))
                    answer = await api.send("POST", "/fhir/Observation", body)
                    status = answer.status
                    if status == 201:
                        load.acknowledged.append(json.loads(answer.body)["id"])
            except NoAnswer:
                await asyncio.sleep(0.05)
            load.sent.append(Sent(begin, perf_counter() - begin, status))
            await asyncio.sleep(0.005)

    tasks = [asyncio.create_task(client(number)) for number in range(_CLIENTS)]
    try:
        yield load
    finally:
        ended.set()
        await asyncio.gather(*tasks)
