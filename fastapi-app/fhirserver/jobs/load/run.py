"""All documents over several processes, and the report of it.

Folders come one after the other. Within a folder the documents are offered in passes until nothing more gets in, so
that what refers to other resources by search criteria finds them, whatever the names of the files.
"""

import asyncio
import multiprocessing
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Protocol

from fhirserver.interactions.context import Call
from fhirserver.interactions.current import Current
from fhirserver.jobs.load.documents import Document, documents, files
from fhirserver.jobs.load.take_in import Taken, take_in

_DOCUMENTS_AHEAD = 4

OpenServer = Callable[[], AbstractAsyncContextManager[tuple[Current, Call]]]


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

    def done(self, taken: Taken) -> None:
        """A document was dealt with; one whose state is `later` will be again."""


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
        passes = _Passes(pool, workers, report, progress)
        for _, folder in groupby(inputs, key=lambda file: file.parent):
            passes.load(_stream(folder))
    return report


def _stream(inputs: Iterable[Path]) -> Iterator[Document | str]:
    """The documents of these files; for a file that can't be read, why."""
    for file in inputs:
        try:
            yield from documents(file)
        except (OSError, EOFError, ValueError) as error:
            yield f"{file}: {error}"


@dataclass(slots=True)
class _Passes:
    pool: ProcessPoolExecutor
    workers: int
    report: Report
    progress: Progress

    def load(self, stream: Iterable[Document | str]) -> None:
        """Offer the documents again and again, as long as some of them get in."""
        waiting, _ = self._offer(stream, first=True)
        while waiting:
            before = len(waiting)
            waiting, reasons = self._offer(waiting, first=False)
            if len(waiting) == before:
                self.report.documents["failed"] += len(waiting)
                self.report.failures += reasons
                break

    def _offer(self, stream: Iterable[Document | str], *, first: bool) -> tuple[list[Document], list[str]]:
        """Offer every document once; those that may get in later, and why they didn't yet."""
        running: dict[Future[Taken], Document] = {}
        later: list[Document] = []
        reasons: list[str] = []

        def settle() -> None:
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                document, taken = running.pop(future), future.result()
                self.report.written += taken.written
                if taken.state == "later":
                    later.append(document)
                    reasons.extend(taken.failures)
                else:
                    self.report.documents[taken.state] += 1
                    self.report.failures += taken.failures
                self.progress.done(taken)

        for document in stream:
            if isinstance(document, str):
                self.report.documents["failed"] += 1
                self.report.failures.append(document)
                continue
            running[self.pool.submit(_take_in, document, first)] = document
            if len(running) >= self.workers * _DOCUMENTS_AHEAD:
                settle()
        while running:
            settle()
        return later, reasons


class _Worker:
    """The server of one process, open for as long as the process lives."""

    loop: asyncio.AbstractEventLoop
    current: Current
    call: Call


def _start(open_server: OpenServer) -> None:
    _Worker.loop = asyncio.new_event_loop()
    manager = open_server()
    _Worker.current, _Worker.call = _Worker.loop.run_until_complete(manager.__aenter__())


def _take_in(document: Document, first: bool) -> Taken:
    return _Worker.loop.run_until_complete(_take_in_now(document, first))


async def _take_in_now(document: Document, first: bool) -> Taken:
    return await take_in(await _Worker.current.refresh(), _Worker.call, document, first)
