"""Terminology at size: `python -m bench.terminology [--concepts N] [--requests N] [--database URL] [--workers N]`.

Generates a code system with a hierarchy (500,000 concepts, 1 to 2 parents each), loads it by the command, and asks a
server about it: one client after the other, so that the times are those of a single request. Prints Markdown.
"""

import argparse
import asyncio
import itertools
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from urllib.parse import quote

from bench.client import Request, hammer
from bench.serving import COMMAND, ready, serving
from fhirserver.storage.embedded import EmbeddedPostgres
from fhirserver.storage.migrate import upgrade

_PORT = 8373
_URL = "http://example.org/bench"
_SYLLABLES = [
    a + b for a in "bcdfghjklmnprstvz" for b in ("a", "e", "i", "o", "u", "ar", "en", "is", "or", "al")
]  # fmt: skip


class _Generated:
    """A code system whose words are as unevenly frequent as those of a language."""

    def __init__(self, size: int):
        source = Random(1)
        self.size = size
        self.words = ["".join(source.choice(_SYLLABLES) for _ in range(source.randint(2, 4))) for _ in range(40_000)]
        self._weights = list(itertools.accumulate(1 / (place + 5) for place in range(len(self.words))))

    def sample(self, source: Random, number: int) -> list[str]:
        """Words, the frequent ones more often."""
        return source.choices(self.words, cum_weights=self._weights, k=number)

    def rows(self) -> Iterator[str]:
        """CSV."""
        source = Random(2)
        yield "code,display,parent,STATUS,CLASS\n"
        for number in range(self.size):
            parents = []
            if number:
                parents.append(source.randint(max(0, number // 8 - 3), min(number // 8, number - 1)))
                if source.random() < 0.2:
                    parents.append(source.randrange(number))
            above = "|".join(_code(parent) for parent in dict.fromkeys(parents))
            display = " ".join(self.sample(source, source.randint(2, 7))).capitalize()
            status = source.choice(("ACTIVE",) * 5 + ("DEPRECATED",))
            yield f"{_code(number)},{display},{above},{status},{number % 50}\n"


def _code(number: int) -> str:
    return f"{number:07d}"


def _expand(value_set: object, **query: object) -> Request:
    text = "&".join(f"{name}={quote(str(value))}" for name, value in query.items())
    return Request("POST", f"/fhir/ValueSet/$expand?{text}", json.dumps(value_set).encode())


def _value_set(*filters: tuple[str, str, str]) -> dict[str, object]:
    listed = [{"property": property, "op": op, "value": value} for property, op, value in filters]
    include = {"system": _URL, **({"filter": listed} if listed else {})}
    return {"resourceType": "ValueSet", "status": "active", "compose": {"include": [include]}}


def _shapes(made: _Generated) -> dict[str, Callable[[Random], Request]]:
    whole = _value_set()

    def word(source: Random, length: int | None) -> str:
        return made.sample(source, 1)[0][:length]

    def below(source: Random) -> dict[str, object]:
        """All that is below one of the upper concepts: from hundreds to 100,000s."""
        return _value_set(("concept", "is-a", _code(source.randint(1, 60))))

    def validate(source: Random) -> Request:
        return Request("GET", f"/fhir/CodeSystem/$validate-code?url={_URL}&code={_code(source.randrange(made.size))}")

    def validate_below(source: Random) -> Request:
        url = quote(f"{_URL}/upper", safe="")
        code = _code(source.randrange(made.size))
        return Request("GET", f"/fhir/ValueSet/$validate-code?url={url}&system={_URL}&code={code}")

    def subsumes(source: Random) -> Request:
        a, b = _code(source.randint(0, 60)), _code(source.randrange(made.size))
        return Request("GET", f"/fhir/CodeSystem/$subsumes?system={_URL}&codeA={a}&codeB={b}")

    def lookup(source: Random) -> Request:
        return Request("GET", f"/fhir/CodeSystem/$lookup?system={_URL}&code={_code(source.randrange(made.size))}")

    return {
        "$expand, count=20, a word": lambda s: _expand(whole, count=20, filter=word(s, None)),
        "$expand, count=20, 3 letters": lambda s: _expand(whole, count=20, filter=word(s, 3)),
        "$expand, count=20, 1 letter": lambda s: _expand(whole, count=20, filter=word(s, 1)),
        "$expand, count=20, 2 words of 4 letters": lambda s: _expand(
            whole, count=20, filter=f"{word(s, 4)} {word(s, 4)}"
        ),
        "$expand, count=20, is-a, a word": lambda s: _expand(below(s), count=20, filter=word(s, None)),
        "$expand, count=20, is-a, 3 letters": lambda s: _expand(below(s), count=20, filter=word(s, 3)),
        "$expand, count=20, is-a": lambda s: _expand(below(s), count=20),
        "$expand, count=20, is-a and a property": lambda s: _expand(
            _value_set(("concept", "is-a", _code(s.randint(1, 60))), ("STATUS", "=", "DEPRECATED")), count=20
        ),
        "CodeSystem/$validate-code": validate,
        "ValueSet/$validate-code, is-a": validate_below,
        "$subsumes": subsumes,
        "$lookup": lookup,
    }


async def _measure(made: _Generated, requests: int) -> None:
    stored = _value_set(("concept", "is-a", _code(1))) | {"url": f"{_URL}/upper"}
    await hammer(_PORT, iter([Request("POST", "/fhir/ValueSet", json.dumps(stored).encode(), 201)]), 1)
    print("| what | p50 ms | p95 ms | p99 ms |\n|---|---|---|---|")
    for name, make in _shapes(made).items():
        source = Random(3)
        await hammer(_PORT, (make(source) for _ in range(20)), 1)
        figures = await hammer(_PORT, (make(source) for _ in range(requests)), 1)
        shown = " | ".join(f"{figures.percentile(percent):.1f}" for percent in (50, 95, 99))
        print(f"| {name} | {shown} |", flush=True)


def _run(arguments: argparse.Namespace, dsn: str) -> None:
    upgrade(dsn)
    made = _Generated(arguments.concepts)
    with tempfile.NamedTemporaryFile("w", suffix=".csv") as file:
        file.writelines(made.rows())
        file.flush()
        start = time.perf_counter()
        command = (*COMMAND, "terminology", "load", file.name, "--system", _URL, "--version", "1")
        subprocess.run(command, env=os.environ | {"FHIR_DATABASE_URL": dsn}, check=True)
        print(f"\nLoaded in {time.perf_counter() - start:.0f} s\n", flush=True)
    with serving(dsn, _PORT, arguments.workers):
        asyncio.run(ready(_PORT, "/health/ready"))
        asyncio.run(_measure(made, arguments.requests))


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--concepts", type=int, default=500_000)
    parser.add_argument("--requests", type=int, default=300, help="of each kind")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--database", help="postgresql://… instead of an embedded one")
    arguments = parser.parse_args()
    if arguments.database:
        _run(arguments, arguments.database)
        return
    with tempfile.TemporaryDirectory(prefix="fhirserver-bench-") as folder:
        Path(folder).chmod(0o755)
        embedded = EmbeddedPostgres(Path(folder))
        try:
            _run(arguments, embedded.start())
        finally:
            embedded.stop()


if __name__ == "__main__":
    main()
