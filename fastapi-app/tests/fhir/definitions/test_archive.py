import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from fhirserver.fhir.definitions import Definitions
from fhirserver.fhir.definitions.archive import PACKAGED
from fhirserver.fhir.outcomes import DefinitionsCorrupt


def changed(path: Path, change: Callable[[dict[str, bytes]], object]) -> Path:
    """A copy of the data file with other members."""
    with zipfile.ZipFile(PACKAGED) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def assert_refused(path: Path, problem: str) -> None:
    with pytest.raises(DefinitionsCorrupt) as caught:
        Definitions.load(path).verify()
    line = str(caught.value)
    assert problem in line
    assert str(path) in line
    assert "\n" not in line


def test_the_packaged_file_is_whole() -> None:
    Definitions.load().verify()
    assert PACKAGED.stat().st_size <= 4_000_000


def test_missing(tmp_path: Path) -> None:
    assert_refused(tmp_path / "none.zip", "No such file")


def test_a_folder(tmp_path: Path) -> None:
    assert_refused(tmp_path, "Is a directory")


@pytest.mark.parametrize("content", [b"", b"no zip at all", b"PK\x05\x06"])
def test_no_zip(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "r4.zip"
    path.write_bytes(content)
    assert_refused(path, "not a zip file")


def test_truncated(tmp_path: Path) -> None:
    path = tmp_path / "r4.zip"
    path.write_bytes(PACKAGED.read_bytes()[:-1000])
    assert_refused(path, "not a zip file")


def test_a_flipped_bit(tmp_path: Path) -> None:
    path = tmp_path / "r4.zip"
    shutil.copyfile(PACKAGED, path)
    with zipfile.ZipFile(path) as archive:
        place = archive.getinfo("types/Observation.json").header_offset + 200
    content = bytearray(path.read_bytes())
    content[place] ^= 0x10
    path.write_bytes(content)
    # Only the part that is damaged is out of use.
    definitions = Definitions.load(path)
    definitions.type("Patient")
    with pytest.raises(DefinitionsCorrupt, match=r"types/Observation\.json"):
        definitions.type("Observation")
    assert_refused(path, "types/Observation.json")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda members: members.update({"types/Patient.json": b"{}"}), "checksum of types/Patient.json"),
        (lambda members: members.update({"index.json": b"{}"}), "checksum of index.json"),
        (lambda members: members.pop("types/Patient.json"), "types/Patient.json"),
        (lambda members: members.update({"more.json": b"{}"}), "more.json"),
        (lambda members: members.pop("manifest.json"), "manifest.json is missing"),
        (lambda members: members.update({"manifest.json": b"{"}), "manifest.json is not JSON"),
        (lambda members: members.update({"manifest.json": b"[]"}), "not a manifest"),
        (
            lambda members: members.update({"manifest.json": b'{"fhirVersion":"5.0.0","members":{}}'}),
            "for FHIR 5.0.0",
        ),
    ],
)
def test_changed(tmp_path: Path, change: Callable[[dict[str, bytes]], object], problem: str) -> None:
    assert_refused(changed(tmp_path / "r4.zip", change), problem)
