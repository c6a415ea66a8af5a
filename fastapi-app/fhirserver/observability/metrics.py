"""Metrics for Prometheus. None of them has a label that could name a patient.

With several workers each process writes its values to files of a folder that `PROMETHEUS_MULTIPROC_DIR` names;
`shared_by_workers` makes it before they start, and `render` adds the processes up.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

_requests = Counter("fhir_requests", "Requests answered", ["interaction", "status"])
_request_seconds = Histogram("fhir_request_seconds", "Time to answer", ["interaction"], buckets=_BUCKETS)
_statements = Histogram("fhir_statement_seconds", "Time of SQL statements", ["statement"], buckets=_BUCKETS)
_audit_events = Counter("fhir_audit_events", "Events kept in the audit log")
_audit_failures = Counter("fhir_audit_failures", "Events that could not be written, each time that it was tried")
_audit_lag = Histogram("fhir_audit_lag_seconds", "From the first event of a batch to its commit", buckets=_BUCKETS)
_pool_in_use = Gauge("fhir_pool_connections_in_use", "Database connections lent out", multiprocess_mode="livesum")
_pool_size = Gauge("fhir_pool_connections_max", "Database connections there may be", multiprocess_mode="livesum")


@contextmanager
def shared_by_workers() -> Iterator[None]:
    """A folder for the values of several processes, for the time of the block. They have to start within it."""
    os.environ[_FOLDER] = tempfile.mkdtemp(prefix="fhirserver-metrics-")
    try:
        yield
    finally:
        shutil.rmtree(os.environ.pop(_FOLDER), ignore_errors=True)


def _forget_dead_workers() -> None:
    """Take out the gauges of workers that are gone; a killed one can't do it itself."""
    for file in Path(os.environ[_FOLDER]).glob("gauge_live*_*.db"):
        pid = int(file.stem.rpartition("_")[2])
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            mark_process_dead(pid)  # type: ignore[no-untyped-call]


@lru_cache(maxsize=1024)
def _request_children(interaction: str, status: int) -> tuple[Callable[[], None], Callable[[float], None]]:
    return _requests.labels(interaction, str(status)).inc, _request_seconds.labels(interaction).observe


def observe_request(interaction: str, status: int, seconds: float) -> None:
    """A request was answered."""
    count, observe = _request_children(interaction, status)
    count()
    observe(seconds)
    if _FOLDER in os.environ:  # another worker may be the one that is asked for metrics
        _report_pool()


@lru_cache(maxsize=256)
def _statement_child(name: str) -> Callable[[float], None]:
    return _statements.labels(name).observe


def observe_statement(name: str, seconds: float) -> None:
    """An SQL statement was run."""
    _statement_child(name)(seconds)


def watch_pool(usage: Callable[[], tuple[int, int]]) -> None:
    """Report what this gives: connections in use, and their maximum."""
    global _usage
    _usage = usage
    _report_pool()


_usage: Callable[[], tuple[int, int]] | None = None


def _report_pool() -> None:
    if _usage is not None:
        in_use, size = _usage()
        _pool_in_use.set(in_use)
        _pool_size.set(size)


def render() -> tuple[bytes, str]:
    """All metrics as text, and its content type."""
    _report_pool()
    registry = REGISTRY
    if _FOLDER in os.environ:
        _forget_dead_workers()
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry), CONTENT_TYPE_LATEST


def observe_audit_events(count: int) -> None:
    """So many events were kept."""
    _audit_events.inc(count)


def observe_audit_batch(seconds: float) -> None:
    """A batch of events was written so long after the first of them."""
    _audit_lag.observe(seconds)


def observe_audit_failure(count: int) -> None:
    """So many events could not be written."""
    _audit_failures.inc(count)
