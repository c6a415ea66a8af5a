"""Metrics for Prometheus. None of them has a label that could name a patient.

With several workers each process writes its values to files of a folder that `PROMETHEUS_MULTIPROC_DIR` names;
`prepare` makes it before the workers start, and `render` adds the processes up.
"""

import os
import tempfile
from collections.abc import Callable
from functools import lru_cache

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
_pool_in_use = Gauge("fhir_pool_connections_in_use", "Database connections lent out", multiprocess_mode="livesum")
_pool_size = Gauge("fhir_pool_connections_max", "Database connections there may be", multiprocess_mode="livesum")


def prepare() -> None:
    """Make a new folder for the values of several processes. Call it before they start."""
    os.environ[_FOLDER] = tempfile.mkdtemp(prefix="fhirserver-metrics-")


def process_ended(pid: int) -> None:
    """Forget the gauges of a worker that is gone."""
    if _FOLDER in os.environ:
        mark_process_dead(pid)  # type: ignore[no-untyped-call]


@lru_cache(maxsize=1024)
def _request_children(interaction: str, status: int) -> tuple[Callable[[], None], Callable[[float], None]]:
    return _requests.labels(interaction, str(status)).inc, _request_seconds.labels(interaction).observe


def observe_request(interaction: str, status: int, seconds: float) -> None:
    """A request was answered."""
    count, observe = _request_children(interaction, status)
    count()
    observe(seconds)


@lru_cache(maxsize=256)
def _statement_child(name: str) -> Callable[[float], None]:
    return _statements.labels(name).observe


def observe_statement(name: str, seconds: float) -> None:
    """An SQL statement was run."""
    _statement_child(name)(seconds)


def watch_pool(usage: Callable[[], tuple[int, int]]) -> None:
    """Report what this gives, connections in use and their maximum, whenever metrics are read."""
    global _usage
    _usage = usage


_usage: Callable[[], tuple[int, int]] | None = None


def render() -> tuple[bytes, str]:
    """All metrics as text, and its content type."""
    if _usage is not None:
        in_use, size = _usage()
        _pool_in_use.set(in_use)
        _pool_size.set(size)
    registry = REGISTRY
    if _FOLDER in os.environ:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry), CONTENT_TYPE_LATEST
