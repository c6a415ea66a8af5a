"""The data files are what the build scripts make of HL7's package, byte for byte the same each time."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from fhirserver.fhir.definitions.archive import PACKAGED
from fhirserver.fhir.profiles import built_in

SCRIPTS = Path(__file__).parents[3] / "scripts"
FILES = [("build_definitions.py", PACKAGED), ("build_structures.py", built_in.PACKAGED)]


@pytest.fixture(scope="module")
def source(shared: Path) -> Path:
    path = shared / "fhir-r4" / "hl7.fhir.r4.core-4.0.1.tar.xz"
    if not path.is_file():
        pytest.skip(f"SKIPPED FOR LACK OF DATA: there is no {path}")
    return path


def build(script: str, source: Path, target: Path) -> bytes:
    subprocess.run([sys.executable, SCRIPTS / script, source, target], check=True, capture_output=True, timeout=120)
    return target.read_bytes()


def members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.mark.parametrize(("script", "packaged"), FILES, ids=[script for script, _ in FILES])
def test_the_same_input_gives_the_same_bytes(script: str, packaged: Path, source: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first.zip", tmp_path / "second.zip"
    assert build(script, source, first) == build(script, source, second)
    # The packaged file may come from another version of zlib, so its content is compared.
    assert members(first) == members(packaged)


@pytest.mark.parametrize("packaged", [packaged for _, packaged in FILES], ids=[script for script, _ in FILES])
def test_nothing_in_the_file_depends_on_the_day(packaged: Path) -> None:
    with zipfile.ZipFile(packaged) as archive:
        names = archive.namelist()
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    assert names == sorted(names)
