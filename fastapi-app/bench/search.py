"""The benchmark of searches: `python -m bench.search --data DIR [--sizes N …] [--database URL]`.

Fills a database with copies of Synthea's patients (`bench/population.py`), once for each size, and keeps it in the
data folder. Then it sends the two search workloads and searches for unevenly spread values (`bench/shapes.py`), shape
by shape, and prints Markdown: latencies, rows, what PostgreSQL read for it and by which indexes; then the rate of the
mixed workloads, and how much slower each shape is in the largest set than in the smallest; what a page has more
matches of there is told apart.
"""

import argparse
import asyncio
import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg

from bench.client import Connection, Figures, Request, hammer
from bench.population import build
from bench.serving import for_seconds, ready, serving
from bench.shapes import SEARCH_A, SEARCH_B, SPREAD, Shape, Values, sample
from fhirserver.storage.embedded import EmbeddedPostgres

_PORT = 8373
_EXPLAINED = 5
_SCANNED = ("Actual Rows", "Rows Removed by Filter", "Rows Removed by Index Recheck")


@dataclass(frozen=True, slots=True)
class Plan:
    """What the statement of a page did: rows of `resource` looked at, pages read, shards, and indexes used."""

    rows: int
    pages: int
    shards: int
    indexes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Measured:
    """One shape in one set."""

    figures: Figures
    matches: int
    plans: Sequence[Plan]


async def _measure_shape(shape: Shape, values: Values, seconds: float, clients: int) -> Measured:
    matches, plans = 0, []
    connection = Connection("127.0.0.1", _PORT)
    await connection.open()
    for _ in range(_EXPLAINED):
        path = shape.path(values)
        if "?" not in path:
            break
        explained = await connection.send(_request(path + "&_explain=true"))
        entries = json.loads(explained.body).get("entry", [])
        matches = max(matches, sum(entry["search"]["mode"] == "match" for entry in entries))
        plans.append(_plan(entries[-1]["resource"]["issue"]))
    connection.close()
    requests = for_seconds(seconds, lambda _: _request(shape.path(values)))
    return Measured(await hammer(_PORT, requests, clients), matches, plans)


def _request(path: str) -> Request:
    return Request("GET", f"/fhir/{path.replace(' ', '%20')}")


def _plan(issues: Sequence[dict[str, str]]) -> Plan:
    told = dict(issue["diagnostics"].partition(": ")[::2] for issue in issues)
    nodes = list(_nodes(json.loads(told["plan"])))
    scans = [node for node in nodes if node.get("Relation Name", "").startswith("resource")]
    rows = sum(int(sum(scan.get(name, 0) for name in _SCANNED) * scan["Actual Loops"]) for scan in scans)
    roots = [node for node in nodes if "Planning Time" in node]
    pages = sum(root["Plan"].get("Shared Hit Blocks", 0) + root["Plan"].get("Shared Read Blocks", 0) for root in roots)
    shards = max((node.get("Task Count", 0) for node in nodes), default=0)
    return Plan(rows, pages, shards, frozenset(node["Index Name"] for node in nodes if "Index Name" in node))


def _nodes(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _nodes(item)


def _print_shape(shape: Shape, measured: Measured) -> None:
    figures, plans = measured.figures, measured.plans
    indexes = " / ".join(sorted({"+".join(sorted(plan.indexes)) or "none" for plan in plans}))
    worst = max(plans, key=lambda plan: plan.pages, default=Plan(0, 0, 0, frozenset()))
    shards = f"{worst.shards} | " if worst.shards else ""
    print(
        f"| {shape.name.replace('|', chr(92) + '|')} | {figures.percentile(50):.1f} | {figures.percentile(95):.1f}"
        f" | {measured.matches} | {worst.rows:,} | {worst.pages:,} | {shards}{indexes.replace('resource_', '')} |",
        flush=True,
    )


async def _measure(dsn: str, arguments: argparse.Namespace) -> dict[str, Measured]:
    connection = await asyncpg.connect(dsn)
    values = await sample(connection, arguments.seed)
    count = await connection.fetchval("SELECT count(*) FROM resource WHERE content IS NOT NULL")
    is_citus = await connection.fetchval("SELECT count(*) FROM pg_extension WHERE extname = 'citus'")
    await connection.close()
    print(f"\n{count:,} resources, {arguments.clients} clients, {arguments.seconds} s a shape\n")
    found: dict[str, Measured] = {}
    for title, shapes in (("Search A", SEARCH_A), ("Search B", SEARCH_B), ("Uneven", SPREAD)):
        shards = "shards | " if is_citus else ""
        print(f"| {title} | p50 ms | p95 ms | matches | rows read | pages read | {shards}indexes |")
        print(f"|---|---|---|---|---|---|{'---|' if is_citus else ''}---|", flush=True)
        for shape in shapes:
            if arguments.only in shape.name:
                found[shape.name] = await _measure_shape(shape, values, arguments.seconds, arguments.clients)
                _print_shape(shape, found[shape.name])
        print()
    if arguments.only:
        return found
    print("| one client, one patient | p50 ms | p95 ms |\n|---|---|---|")
    for shape in {shape.name: shape for shape in (*SEARCH_A, *SEARCH_B) if shape.in_record}.values():
        figures = await hammer(_PORT, _drawn([shape], values, arguments.seconds), 1)
        print(f"| {shape.name} | {figures.percentile(50):.2f} | {figures.percentile(95):.2f} |", flush=True)
    print(f"\n| mixed, {arguments.clients} clients | requests/s | a core | p50 ms | p95 ms | p99 ms |")
    print("|---|---|---|---|---|---|")
    for title, shapes in (("Search A", SEARCH_A), ("Search B", SEARCH_B)):
        figures = await hammer(_PORT, _drawn(shapes, values, 5 * arguments.seconds), arguments.clients)
        print(
            f"| {title} | {figures.rate:,.0f} | {figures.rate / arguments.cores:,.0f} | {figures.percentile(50):.1f}"
            f" | {figures.percentile(95):.1f} | {figures.percentile(99):.1f} |",
            flush=True,
        )
    return found


def _drawn(shapes: Sequence[Shape], values: Values, seconds: float) -> Iterator[Request]:
    return for_seconds(seconds, lambda _: _request(values.random.choice(shapes).path(values)))


def _print_growth(smallest: dict[str, Measured], largest: dict[str, Measured]) -> None:
    """How each shape grows; apart from the others those whose page, the same size, has not as many matches."""
    print(
        "\n| growth | p50 ms, smallest set | p50 ms, largest set | ratio | pages read, ratio |\n|---|---|---|---|---|"
    )
    grown = []
    for name, large in largest.items():
        small = smallest[name]
        shown = name.replace("|", chr(92) + "|")
        before, after = small.figures.percentile(50), large.figures.percentile(50)
        ratio = _pages(large) / _pages(small) if _pages(small) else 1.0
        row = f"| {shown} | {before:.1f} | {after:.1f} | {after / before:.1f} | {ratio:.1f} |"
        if small.matches == large.matches:
            print(row)
        else:
            grown.append(f"{row} {small.matches} → {large.matches} |")
    print(
        "\n| growth, the page too | p50 ms, smallest set | p50 ms, largest set | ratio | pages read, ratio | matches |"
    )
    print("|---|---|---|---|---|---|")
    print("\n".join(grown))


def _pages(measured: Measured) -> int:
    return sum(plan.pages for plan in measured.plans)


def _serve_and_measure(dsn: str, arguments: argparse.Namespace) -> dict[str, Measured]:
    with serving(dsn, _PORT, arguments.workers):
        asyncio.run(ready(_PORT, "/health/ready"))
        return asyncio.run(_measure(dsn, arguments))


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="where the databases are kept; as root, others have to get in")
    parser.add_argument("--sizes", type=int, nargs="+", default=[100_000, 1_000_000], help="resources in each set")
    parser.add_argument("--synthea", type=Path, nargs="+", default=[Path(__file__).parents[3] / "shared/synthea/dev"])
    parser.add_argument("--database", help="postgresql://… whose content is replaced by the last of the sizes")
    parser.add_argument("--seconds", type=float, default=2.0, help="for each shape")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--workers", type=int, default=1, help="processes of the server, and of what fills a set")
    parser.add_argument("--cores", type=int, default=2, help="that all of it runs on")
    parser.add_argument("--only", default="", help="only shapes with this in their name")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    if arguments.database:
        build(arguments.database, arguments.synthea, arguments.sizes[-1], arguments.workers)
        _serve_and_measure(arguments.database, arguments)
        return
    if arguments.data is None:
        parser.error("--data or --database is needed")
    measured = []
    for size in arguments.sizes:
        folder = arguments.data / str(size)
        folder.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            dsn = stack.enter_context(EmbeddedPostgres(folder).used())
            build(dsn, arguments.synthea, size, arguments.workers)
            measured.append(_serve_and_measure(dsn, arguments))
    if len(measured) > 1:
        _print_growth(measured[0], measured[-1])


if __name__ == "__main__":
    main()
