"""Metrics: of one process, and of several workers added up."""

import subprocess
import sys
from pathlib import Path
from time import perf_counter

from fhirserver.observability.metrics import observe_request, observe_statement, render

WORKER = """
from fhirserver.observability import metrics
metrics.watch_pool(lambda: (2, 10))
for _ in range(3):
    metrics.observe_request("read", 200, 0.002)
metrics.observe_statement("read", 0.001)
print(metrics.render()[0].decode())
"""
PARENT = f"""
import os, subprocess, sys
from fhirserver.observability.metrics import shared_by_workers
WORKER = {WORKER!r}
WAITS = WORKER.replace("print(", "print('up', flush=True); input(); print(")
with shared_by_workers():
    print(os.environ["PROMETHEUS_MULTIPROC_DIR"])
    killed = subprocess.Popen([sys.executable, "-c", WAITS], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    alive = subprocess.Popen([sys.executable, "-c", WAITS], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    killed.stdout.readline(), alive.stdout.readline()
    print(subprocess.run([sys.executable, "-c", WORKER], capture_output=True, text=True, check=True).stdout)
    killed.kill(), killed.wait()
    print("AFTER THE KILL")
    print(alive.communicate(b"\\n")[0].decode())
print(os.environ.get("PROMETHEUS_MULTIPROC_DIR"))
"""


def sample(text: str, name: str) -> float:
    (line,) = [line for line in text.splitlines() if line.startswith(f"{name} ")]
    return float(line.rpartition(" ")[2])


def test_requests_and_statements_are_counted():
    before = render()[0].decode()
    observe_request("test-read", 200, 0.004)
    observe_request("test-read", 404, 0.004)
    observe_statement("test-select", 0.2)
    text, content_type = render()
    assert content_type.startswith("text/plain")
    assert "test-read" not in before
    after = text.decode()
    assert sample(after, 'fhir_requests_total{interaction="test-read",status="200"}') == 1
    assert sample(after, 'fhir_requests_total{interaction="test-read",status="404"}') == 1
    assert sample(after, 'fhir_request_seconds_count{interaction="test-read"}') == 2
    assert sample(after, 'fhir_request_seconds_bucket{interaction="test-read",le="0.005"}') == 2
    assert sample(after, 'fhir_statement_seconds_bucket{le="0.1",statement="test-select"}') == 0
    assert sample(after, 'fhir_statement_seconds_count{statement="test-select"}') == 1


def test_workers_are_added_up_and_dead_ones_hold_no_connections():
    done = subprocess.run([sys.executable, "-c", PARENT], capture_output=True, text=True, check=True)
    before, after = done.stdout.split("AFTER THE KILL")
    folder = before.partition("\n")[0]
    assert sample(before, 'fhir_requests_total{interaction="read",status="200"}') == 9
    assert sample(before, "fhir_pool_connections_max") == 30
    assert sample(before, "fhir_pool_connections_in_use") == 6
    assert sample(after, 'fhir_requests_total{interaction="read",status="200"}') == 9
    assert sample(after, "fhir_pool_connections_max") == 10
    assert not Path(folder).exists()
    assert done.stdout.rstrip().endswith("None")


def test_observing_costs_microseconds():
    observe_request("test-cost", 200, 0.004)
    begin = perf_counter()
    for _ in range(1000):
        observe_request("test-cost", 200, 0.004)
        observe_statement("test-cost", 0.001)
    assert (perf_counter() - begin) / 1000 < 100e-6
