"""Logs: one JSON object a line, whoever writes it, with the request id of the request at hand."""

import json
import subprocess
import sys

import pytest

WRITES = """
import logging, sys
from structlog.contextvars import bind_contextvars
from fhirserver.observability.logging import configure, get_logger
log = get_logger("fhirserver.web")
configure(*sys.argv[1:])
bind_contextvars(request_id="r1")
log.debug("hidden")
log.info("request", status=200, ms=1.5)
log.warning("señal", text="two\\nlines")
logging.getLogger("uvicorn.error").info("started %s", "here")
logging.getLogger("uvicorn.access").info("GET /fhir/Patient?name=doe")
logging.getLogger("sqlalchemy").debug("hidden")
try:
    1 / 0
except ZeroDivisionError:
    logging.getLogger("any").exception("failed")
"""


def lines(*arguments: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", WRITES, *arguments], capture_output=True, text=True, check=True, encoding="utf-8"
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_every_line_is_a_json_object_with_the_request_id():
    written = [json.loads(line) for line in lines()]
    assert [entry["event"] for entry in written] == ["request", "señal", "started here", "failed"]
    assert {entry["request_id"] for entry in written} == {"r1"}
    assert [entry["level"] for entry in written] == ["info", "warning", "info", "error"]
    assert all(entry["time"].endswith("Z") for entry in written)
    assert written[0]["component"] == "fhirserver.web"
    assert written[0]["ms"] == 1.5
    assert written[1]["text"] == "two\nlines"


def test_the_url_of_a_request_is_not_logged():
    assert not [line for line in lines() if "doe" in line]


def test_the_level_hides_what_is_below_it():
    assert [json.loads(line)["event"] for line in lines("WARNING")] == ["señal", "failed"]


@pytest.mark.parametrize("level", ["INFO", "WARNING"])
def test_for_people_it_is_plain_text(level):
    text = "\n".join(lines(level, "console"))
    assert "señal" in text
    assert not text.startswith("{")
