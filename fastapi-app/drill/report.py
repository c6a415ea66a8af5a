"""The report of a run, in Markdown."""

from datetime import datetime

from drill.drill import Drill
from drill.language import text
from drill.result import Chart, Result, Status

# What the reference system's README publishes for the same tests.
_REFERENCE = {
    text("Inserts a second (one request each)", "Inserciones por segundo (una petición cada una)"): "333",
    text("Distributed queries, slowest", "Consultas distribuidas, la más lenta"): "< 100 ms",
    text("Worker killed: recovery", "Worker matado: recuperación"): "~5 s",
    text("Acknowledged writes lost", "Escrituras confirmadas perdidas"): "0 %",
    text("Workers registered and active", "Workers registrados y activos"): "2/2",
}
_WIDTH = 40


def markdown(drill: Drill, level: str, begin: datetime, statistics: str, logs: dict[str, str]) -> str:
    """The whole report."""
    end = datetime.now().astimezone()
    counts = {status: sum(result.status is status for result in drill.results) for status in Status}
    parts = [
        f"# {text('Results of the tests', 'Resultados de las pruebas')}: {level}, {drill.target.name}",
        f"{begin:%Y-%m-%d %H:%M:%S %Z}, {(end - begin).total_seconds():.0f} s, {drill.target.url}",
        f"## {text('Summary', 'Resumen ejecutivo')}",
        text(
            f"**{counts[Status.PASSED]} passed, {counts[Status.FAILED]} failed, "
            f"{counts[Status.NOT_APPLICABLE]} not applicable.**",
            f"**{counts[Status.PASSED]} superadas, {counts[Status.FAILED]} fallidas, "
            f"{counts[Status.NOT_APPLICABLE]} no aplicables.**",
        ),
        _figures(drill.figures),
        f"## {text('Tests', 'Pruebas')}",
        _table(drill.results),
        f"## {text('Details', 'Detalles')}",
        *(_details(result) for result in drill.results),
        f"## {text('Statistics of the system', 'Estadísticas del sistema')}",
        _block(statistics),
        f"## {text('Logs', 'Registros')}",
        *(f"### {name}\n\n{_block(lines)}" for name, lines in logs.items()),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _figures(figures: dict[str, str]) -> str:
    if not figures:
        return ""
    columns = text("what", "qué"), text("here", "aquí"), text("reference system", "sistema de referencia")
    head = f"| {' | '.join(columns)} |\n|---|---|---|"
    return "\n".join([head, *(f"| {name} | {value} | {_REFERENCE.get(name, '')} |" for name, value in figures.items())])


def _table(results: list[Result]) -> str:
    head = f"| | {text('test', 'prueba')} | s |\n|---|---|---|"
    return "\n".join([head, *(f"| {r.status.value} | {r.name} | {r.seconds:.1f} |" for r in results)])


def _details(result: Result) -> str:
    lines = [f"### {result.status.value} {result.name}", "\n".join(f"- {line}" for line in result.lines)]
    return "\n\n".join([*(line for line in lines if line), *(bars(chart) for chart in result.charts)])


def bars(chart: Chart) -> str:
    """A chart of text."""
    most = max([*chart.bars.values(), 1e-9])
    width = max((len(label) for label in chart.bars), default=0)
    rows = [
        f"{label:<{width}}  {value:>8,.6g}  {'█' * round(value / most * _WIDTH)}" for label, value in chart.bars.items()
    ]
    return f"{chart.title}\n\n" + _block("\n".join(rows))


def _block(content: str) -> str:
    return f"```text\n{content.rstrip().replace('```', chr(39) * 3)}\n```"
