"""`fhirserver load`: real patients come in whole, exactly once, and come out as they went in."""

import gzip
import json
import os
import subprocess
import sys
import tarfile
import zipfile
from collections import Counter
from pathlib import Path

import pytest

from fhirserver.fhir.resource_json import parse, serialize

COMMAND = [sys.executable, "-c", "from fhirserver.cli import main; main()"]


def run(dsn: str, *arguments: object) -> "subprocess.CompletedProcess[str]":
    """`fhirserver` as a process of its own."""
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        env=os.environ | {"FHIR_DATABASE_URL": dsn},
        capture_output=True,
        text=True,
        check=False,
    )


def patient(number: int) -> dict[str, object]:
    return {"resourceType": "Patient", "id": f"loaded-{number}", "multipleBirthInteger": number}


def transaction(*entries: tuple[str, str, dict[str, object]]) -> bytes:
    listed = [{"request": {"method": m, "url": u}, "resource": r} for m, u, r in entries]
    return json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": listed}).encode()


async def test_synthea_comes_in_whole_and_is_read_back_equal(shared, dsn, empty, pool):
    """63,400 resources; every one is read back by this process, after others wrote it."""
    folder = shared / "synthea" / "dev"
    expected: Counter[str] = Counter()
    originals: dict[bytes, int] = Counter()
    for file in sorted(folder.rglob("*.json.gz")):
        for entry in parse(gzip.decompress(file.read_bytes()))["entry"]:
            expected[entry["resource"]["resourceType"]] += 1
            originals[_without_references(entry["resource"])] += 1
    done = run(dsn, "load", folder, "--workers", 2)
    assert done.returncode == 0, done.stderr
    assert "documents: 143 loaded" in done.stdout
    stored: Counter[str] = Counter()
    async with pool.connection() as driver, driver.transaction():
        async for row in driver.cursor("SELECT resource_type, content FROM resource WHERE content IS NOT NULL"):
            stored[row["resource_type"]] += 1
            originals[_without_references(parse(row["content"]))] -= 1
    assert stored == expected
    assert [text[:300] for text, left in originals.items() if left] == []
    again = run(dsn, "load", folder, "--workers", 2)
    assert again.returncode == 0
    assert "documents: 143 already" in again.stdout


def _without_references(resource: dict[str, object]) -> bytes:
    """The resource without what a server changes in it: id, version, time, and where references lead."""

    def plain(value: object, name: str = "") -> object:
        if isinstance(value, dict):
            return {key: plain(child, key) for key, child in sorted(value.items())}
        if isinstance(value, list):
            return [plain(child) for child in value]
        return "" if name == "reference" and not str(value).startswith("#") else value

    kept = {name: value for name, value in resource.items() if name != "id"}
    kept["meta"] = {name: v for name, v in kept.get("meta", {}).items() if name not in ("versionId", "lastUpdated")}
    return serialize(plain(kept))


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    """One of every kind of file, 9 patients in all, one of them twice."""
    (tmp_path / "a.json").write_text(json.dumps(patient(1)))
    (tmp_path / "b.json.gz").write_bytes(gzip.compress(json.dumps(patient(2)).encode()))
    lines = "\n".join(json.dumps(patient(number)) for number in (3, 4)) + "\n\n"
    (tmp_path / "c.ndjson").write_text(lines)
    lines = "\n".join(json.dumps(patient(number)) for number in (5, 6))
    (tmp_path / "d.ndjson.gz").write_bytes(gzip.compress(lines.encode()))
    with zipfile.ZipFile(tmp_path / "e.zip", "w") as archive:
        archive.writestr("in/x.json", json.dumps(patient(7)))
        archive.writestr("in/readme.txt", "not for us")
    file = tmp_path / "member"
    file.write_text(json.dumps(patient(8)))
    with tarfile.open(tmp_path / "f.tgz", "w:gz") as tar:
        tar.add(file, "in/y.json")
    (tmp_path / "g.json").write_bytes(transaction(("PUT", "Patient/loaded-9", patient(9))))
    (tmp_path / "h-same-as-a.json").write_text(json.dumps(patient(1)))
    return tmp_path


async def test_every_kind_of_file(dsn, empty, store, inputs):
    done = run(dsn, "load", inputs, "--workers", 1)
    assert done.returncode == 0, done.stderr
    assert "9  Patient" in done.stdout
    for number in range(1, 10):
        found = await store.read("Patient", f"loaded-{number}", None)
        assert found is not None
        assert found.version_id == 1


async def test_what_is_wrong_is_told_and_the_rest_is_loaded(dsn, empty, store, tmp_path):
    (tmp_path / "bad.json").write_text('{"resourceType":"Patient","id":"bad","gender":1}')
    (tmp_path / "broken.json").write_text('{"resourceType":')
    (tmp_path / "damaged.json.gz").write_bytes(b"this is not gzip")
    (tmp_path / "lines.ndjson").write_text(
        json.dumps(patient(1)) + "\n{}\n" + json.dumps({"resourceType": "Patient", "id": "x", "active": "yes"})
    )
    (tmp_path / "half.json").write_bytes(
        transaction(("PUT", "Patient/loaded-2", patient(2)), ("PUT", "Patient/other", patient(3)))
    )
    (tmp_path / "waits.json").write_bytes(
        transaction(
            ("POST", "Observation", {
                "resourceType": "Observation", "status": "final", "code": {"text": "x"},
                "subject": {"reference": "Patient?identifier=nobody|has-this"},
            })
        )
    )  # fmt: skip
    done = run(dsn, "load", tmp_path, "--workers", 1)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    for name in ("bad.json", "broken.json", "damaged.json.gz", "lines.ndjson", "half.json", "waits.json"):
        assert name in done.stderr, name
    assert "nothing matches" in done.stderr
    assert await store.read("Patient", "loaded-1", None) is not None
    assert await store.read("Patient", "loaded-2", None) is None
    assert await store.read("Patient", "bad", None) is None


async def test_references_by_criteria_find_what_a_later_file_brings(dsn, empty, store, tmp_path):
    observation = {
        "resourceType": "Observation",
        "id": "of-loaded",
        "status": "final",
        "code": {"text": "x"},
        "subject": {"reference": "Patient?identifier=urn:test|later"},
    }
    (tmp_path / "a-first.json").write_bytes(transaction(("PUT", "Observation/of-loaded", observation)))
    named = patient(1) | {"identifier": [{"system": "urn:test", "value": "later"}]}
    (tmp_path / "z-last.json").write_bytes(transaction(("PUT", "Patient/loaded-1", named)))
    done = run(dsn, "load", tmp_path, "--workers", 1)
    assert done.returncode == 0, done.stderr
    found = await store.read("Observation", "of-loaded", None)
    assert found is not None
    assert parse(found.live)["subject"] == {"reference": "Patient/loaded-1"}


@pytest.mark.parametrize(
    ("path", "says"),
    [("nowhere.json", "does not exist"), ("file.txt", "ending")],
)
def test_a_wrong_path_is_one_line(dsn, tmp_path, path, says):
    (tmp_path / "file.txt").write_text("")
    done = run(dsn, "load", tmp_path / path)
    assert done.returncode == 1
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1
