"""Checks that break and move things while the server is used: a worker killed, a worker added."""

import asyncio
from time import perf_counter

from drill.complete import fingerprint
from drill.drill import Drill
from drill.language import text
from drill.load import Load, percentile, under_load
from drill.result import Chart, CheckFailed, Result

_BEFORE, _CALM, _RECOVERY_LIMIT, _MOVING_LIMIT = 5.0, 5.0, 120.0, 900.0


async def worker_killed(drill: Drill, result: Result) -> None:
    """A worker is killed by SIGKILL under load and comes back by itself; nothing that was acknowledged is lost."""
    await drill.need_citus()
    drill.need_patients()
    known = drill.patients + drill.observations
    before = await fingerprint(drill, known)
    async with under_load(drill.api, drill.run, drill.patients) as load:
        await asyncio.sleep(_BEFORE)
        calm = load.sent.copy()
        begin = perf_counter()
        name = await drill.target.kill_worker()
        killed = perf_counter()
        result.note(text(f"killed: {name}", f"matado: {name}"))
        await _until_calm(load, begin)
    during = [sent for sent in load.since(begin) if sent.begin <= load.disturbed_until(begin)]
    recovery = load.disturbed_until(begin) - begin
    _tell(drill, result, load, begin, recovery, len(calm) / _BEFORE)
    result.note(f"kill: {killed - begin:.1f} s")
    answered = sum(sent.succeeded for sent in during) / len(during) if during else 1.0
    drill.figures[text("Worker killed: recovery", "Worker matado: recuperación")] = f"{recovery:.1f} s"
    drill.figures[
        text("Worker killed: requests that succeeded until then", "Worker matado: peticiones con éxito entretanto")
    ] = f"{answered:.1%}"
    await _whole_again(drill, result)
    await _nothing_lost(drill, result, load, before)


async def _until_calm(load: Load, begin: float) -> None:
    """Wait until all has gone well for some seconds. Raises CheckFailed if it does not come to that."""
    while perf_counter() - load.disturbed_until(begin) < _CALM:
        if perf_counter() - begin > _RECOVERY_LIMIT:
            raise CheckFailed(
                text(f"not recovered in {_RECOVERY_LIMIT:.0f} s", f"no se recuperó en {_RECOVERY_LIMIT:.0f} s")
            )
        await asyncio.sleep(0.2)


async def _whole_again(drill: Drill, result: Result) -> None:
    rows, _ = await drill.target.sql("SELECT bool_and(success) AS all FROM run_command_on_workers('SELECT 1')")
    result.expect(text("all workers answer", "todos los workers responden"), rows[0]["all"], True)


async def _nothing_lost(drill: Drill, result: Result, load: Load, before: tuple[int, str]) -> None:
    known = drill.patients + drill.observations
    after = await fingerprint(drill, known)
    result.expect(text("hash of what was there before", "hash de lo que había antes"), after, before)
    stored, _ = await fingerprint(drill, load.acknowledged)
    drill.observations += load.acknowledged
    lost = len(load.acknowledged) - stored
    drill.figures[text("Acknowledged writes lost", "Escrituras confirmadas perdidas")] = (
        f"{lost} / {len(load.acknowledged)}"
    )
    result.expect(text("acknowledged writes that are lost", "escrituras confirmadas que se perdieron"), lost, 0)


def _tell(drill: Drill, result: Result, load: Load, begin: float, seconds: float, rate: float) -> None:
    """What was sent and how it went, second by second."""
    sent = load.since(begin)
    failed: dict[int, int] = {}
    for each in sent:
        if not each.succeeded:
            failed[each.status] = failed.get(each.status, 0) + 1
    longest = max((each.seconds for each in sent), default=0.0)
    result.note(
        text(
            f"{len(sent)} requests, {sum(failed.values())} failed {failed or ''}; before: {rate:.0f}/s",
            f"{len(sent)} peticiones, {sum(failed.values())} fallidas {failed or ''}; antes: {rate:.0f}/s",
        )
    )
    result.note(text(f"longest request: {longest:.2f} s", f"petición más larga: {longest:.2f} s"))
    bars: dict[str, float] = {}
    for second in range(-int(_BEFORE), int(seconds + _CALM) + 1):
        at = [s for s in load.sent if second <= s.begin + s.seconds - begin < second + 1 and s.succeeded]
        bars[f"{second:+d} s"] = len(at)
    if len(bars) <= 60:
        result.charts.append(
            Chart(text("Successful requests in each second", "Peticiones con éxito en cada segundo"), bars)
        )


async def worker_added(drill: Drill, result: Result) -> None:
    """A worker joins under load and takes shards; no request fails. Then it is drained and removed."""
    await drill.need_citus()
    drill.need_patients()
    before = await fingerprint(drill, drill.patients + drill.observations)
    start = await _shards(drill)
    async with under_load(drill.api, drill.run, drill.patients) as load:
        await asyncio.sleep(_BEFORE)
        begin = perf_counter()
        usual = percentile([sent.seconds for sent in load.sent], 99)
        name = await drill.target.add_worker()
        joined = perf_counter()
        await _until_moved(drill, name)
        end = perf_counter()
    moving = [sent for sent in load.since(begin) if sent.begin <= end]
    p99 = percentile([sent.seconds for sent in moving], 99)
    failed = sum(not sent.succeeded for sent in moving)
    result.note(
        text(
            f"joined: {joined - begin:.1f} s, shards moved: {end - joined:.1f} s",
            f"alta: {joined - begin:.1f} s, fragmentos movidos: {end - joined:.1f} s",
        )
    )
    result.note(
        f"p99: {usual * 1000:.0f} ms → {p99 * 1000:.0f} ms,"
        f" max {max(s.seconds for s in moving):.2f} s, {len(moving)} requests"
    )
    drill.figures[text("Worker added: time until shards are moved", "Worker añadido: hasta mover los fragmentos")] = (
        f"{end - begin:.0f} s"
    )
    drill.figures[text("Worker added: p99 meanwhile", "Worker añadido: p99 entretanto")] = f"{p99 * 1000:.0f} ms"
    drill.figures[text("Worker added: failed requests", "Worker añadido: peticiones fallidas")] = (
        f"{failed} / {len(moving)}"
    )
    after = await _shards(drill)
    result.charts.append(Chart(text("Shards before", "Fragmentos antes"), start))
    result.charts.append(Chart(text("Shards after", "Fragmentos después"), after))
    await _nothing_lost(drill, result, load, before)
    await drill.target.remove_worker(name)
    result.expect(
        text("shards after its removal", "fragmentos tras retirarlo"),
        sum((await _shards(drill)).values()),
        sum(start.values()),
    )
    result.expect(text("failed requests", "peticiones fallidas"), failed, 0)


async def _until_moved(drill: Drill, name: str) -> None:
    """Wait until no shard is to be moved any more. Raises CheckFailed if that takes too long, or none has moved."""
    begin = perf_counter()
    while True:
        rows, _ = await drill.target.sql(
            "SELECT count(*) AS n FROM pg_dist_background_job WHERE state IN ('scheduled', 'running', 'failing')"
        )
        held = (await _shards(drill)).get(name, 0)
        if rows[0]["n"] == 0 and held:
            return
        if perf_counter() - begin > _MOVING_LIMIT:
            raise CheckFailed(text("the shards are not moved", "los fragmentos no se han movido"))
        await asyncio.sleep(2)


async def _shards(drill: Drill) -> dict[str, float]:
    rows, _ = await drill.target.sql(
        "SELECT nodename, count(*) AS n FROM citus_shards WHERE citus_table_type = 'distributed' GROUP BY 1 ORDER BY 1"
    )
    return {row["nodename"]: row["n"] for row in rows}
