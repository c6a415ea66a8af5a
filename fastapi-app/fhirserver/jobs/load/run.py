"""All documents over several processes, in passes until nothing more gets in, and the report of it."""

import asyncio
import multiprocessing
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from fhirserver.interactions.context import Call, Server
from fhirserver.jobs.load.documents import Document, documents, files
from fhirserver.jobs.load.take_in import Taken, take_in

_DOCUMENTS_AHEAD = 4

OpenServer = Callable[[], AbstractAsyncContextManager[tuple[Server, Call]]]


@dataclass(slots=True)
class Report:
    """What was loaded: resources by type, documents by what became of them, and the reasons of failures."""

    written: Counter[str] = field(default_factory=Counter)
    documents: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)


class Progress(Protocol):
    """Who shows how far it is."""

    def total(self, files: int) -> None:
        """So many files are to be read."""

    def done(self, taken: Taken, files: float) -> None:
        """A document was dealt with; `files` of the total are now."""


def load(paths: Sequence[Path], open_server: OpenServer, workers: int, progress: Progress) -> Report:
    """Load what is at these paths with `workers` processes; each of them calls `open_server` for itself.

    `open_server` has to be picklable. Raises what `files` raises, before anything is loaded.
    """
    inputs = files(paths)
    progress.total(len(inputs))
    report = Report()
    with ProcessPoolExecutor(
        workers, multiprocessing.get_context("spawn"), initializer=_start, initargs=(open_server,)
    ) as pool:
        waiting = _pass(pool, _stream(inputs), workers, report, progress, len(inputs), first=True)
        while waiting:
            failures: list[str] = []
            before = len(waiting)
            waiting = _pass(
                pool, iter(waiting), workers, report, progress, len(inputs), first=False, failures=failures
            )
            if len(waiting) == before:
                report.documents["failed"] += len(waiting)
                report.failures += failures
                break
    return report


def _stream(inputs: Sequence[Path]) -> Iterator[Document | str]:
    for file in inputs:
        try:
            yield from documents(file)
        except (OSError, EOFError, ValueError) as error:
            yield f"{file}: {error}"


def _pass(
    pool: ProcessPoolExecutor,
    stream: Iterator[Document | str],
    workers: int,
    report: Report,
    progress: Progress,
    total: int,
    *,
    first: bool,
    failures: list[str] | None = None,
) -> list[Document | str]:
    """Offer every document once. Those that may get in later are given back; `failures` says why they didn't."""
    running: dict[Future[Taken], Document] = {}
    later: list[Document | str] = []

    def settle(finished: set[Future[Taken]]) -> None:
        for future in finished:
            document, taken = running.pop(future), future.result()
            report.written += taken.written
            if taken.state == "later":
                later.append(document)
                if failures is not None:
                    failures.extend(taken.failures)
            else:
                report.documents[taken.state] += 1
                report.failures += taken.failures
            progress.done(taken, min(total, sum(report.documents.values())))

    for document in stream:
        if isinstance(document, str):
            report.documents["failed"] += 1
            report.failures.append(document)
            continue
        running[pool.submit(_take_in, document, first)] = document
        if len(running) >= workers * _DOCUMENTS_AHEAD:
            settle(wait(running, return_when=FIRST_COMPLETED).done)
    while running:
        settle(wait(running, return_when=FIRST_COMPLETED).done)
    return later


class _Worker:
    """The server of one process, open for as long as the process lives."""

    loop: asyncio.AbstractEventLoop
    server: Server
    call: Call


def _start(open_server: OpenServer) -> None:
    _Worker.loop = asyncio.new_event_loop()
    manager = open_server()
    _Worker.server, _Worker.call = _Worker.loop.run_until_complete(manager.__aenter__())


def _take_in(document: Document, first: bool) -> Taken:
    return _Worker.loop.run_until_complete(take_in(_Worker.server, _Worker.call, document, first))
