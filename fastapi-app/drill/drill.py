"""The state that the checks of one run share, and how a check is run."""

import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from drill.api import Api
from drill.language import text
from drill.patients import Person
from drill.result import CheckFailed, NotApplicable, Result, Status
from drill.targets import CommandFailed, Target


@dataclass
class Drill:
    """`size` is the number of patients to write; `run` names this run in all that it writes.

    `figures` go to the summary of the report.
    """

    target: Target
    api: Api
    size: int = 1000
    run: str = field(default_factory=lambda: "".join(secrets.choice("bcdfghjkmnpqrstvwxyz") for _ in range(8)))
    persons: list[Person] = field(default_factory=list)
    patients: list[str] = field(default_factory=list)
    observations: list[str] = field(default_factory=list)
    figures: dict[str, str] = field(default_factory=dict)
    results: list[Result] = field(default_factory=list)

    async def on_citus(self) -> bool:
        """Whether the database is a cluster."""
        rows, _ = await self.target.sql("SELECT count(*) AS n FROM pg_extension WHERE extname = 'citus'")
        return bool(rows[0]["n"])

    def need_patients(self) -> None:
        """Raises CheckFailed if the patients that a check is about could not be written."""
        if not self.patients:
            raise CheckFailed(text("there are no patients, see above", "no hay pacientes, vea más arriba"))

    async def need_citus(self) -> None:
        """Raises NotApplicable on plain PostgreSQL."""
        if not await self.on_citus():
            raise NotApplicable(text("the database is not a Citus cluster", "la base de datos no es un clúster Citus"))


Check = Callable[[Drill, Result], Awaitable[None]]


async def carry_out(drill: Drill, name: str, check: Check) -> Result:
    """Run one check; whatever goes wrong is its result."""
    result = Result(name)
    start = time.perf_counter()
    try:
        await check(drill, result)
    except NotApplicable as reason:
        result.status = Status.NOT_APPLICABLE
        result.note(str(reason))
    except (CheckFailed, CommandFailed, RuntimeError) as problem:
        result.status = Status.FAILED
        result.note(str(problem))
    except Exception as problem:
        result.status = Status.FAILED
        result.note(f"{type(problem).__name__}: {problem}")
    result.seconds = time.perf_counter() - start
    drill.results.append(result)
    return result
