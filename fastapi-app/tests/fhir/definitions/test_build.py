"""The data file is what the build script makes of HL7's package, byte for byte the same each time."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from fhirserver.fhir.definitions.archive import PACKAGED

SCRIPT = Path(__file__).parents[3] / "scripts" / "build_definitions.py"


@pytest.fixture(scope="module")
def source(shared: Path) -> Path:
    path = shared / "fhir-r4" / "hl7.fhir.r4.core-4.0.1.tar.xz"
    if not path.is_file():
        pytest.skip(f"SKIPPED FOR LACK OF DATA: there is no {path}")
    return path


def build(source: Path, target: Path) -> bytes:
    subprocess.run([sys.executable, SCRIPT, source, target], check=True, capture_output=True, timeout=120)
    return target.read_bytes()


def members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_same_input_gives_the_same_bytes(source: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first.zip", tmp_path / "second.zip"
    assert build(source, first) == build(source, second)
    # The packaged file may come from another version of zlib, so its content is compared.
    assert members(first) == members(PACKAGED)


def test_nothing_in_the_file_depends_on_the_day() -> None:
    with zipfile.ZipFile(PACKAGED) as archive:
        names = archive.namelist()
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    assert names == sorted(names)
