"""Packages: what is taken from them, that nothing is taken twice, and that bad ones are refused with a reason."""

import gzip
import io
import json
import lzma
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from fhirserver.interactions.context import Call, Server
from fhirserver.interactions.current import Current
from fhirserver.jobs.packages import archive as archives
from fhirserver.jobs.packages import stream
from fhirserver.jobs.packages.archive import PackageError
from fhirserver.jobs.packages.install import Report, install, installed
from fhirserver.storage.index_store import PostgresIndex
from fhirserver.storage.terminology import PostgresTerminology

Json = dict[str, Any]
Install = Callable[..., Any]

GUIDE: Json = {
    "resourceType": "ImplementationGuide",
    "id": "a.b",
    "url": "http://a.b/ImplementationGuide/a.b",
    "version": "1.0.0",
    "name": "AB",
    "status": "active",
    "packageId": "a.b",
    "fhirVersion": ["4.0.1"],
}


def value_set(id: str, version: str = "1.0.0", **more: Any) -> Json:
    url = f"http://a.b/ValueSet/{id}"
    return {"resourceType": "ValueSet", "id": id, "url": url, "version": version, "status": "active", **more}


def package(path: Path, *resources: Json, manifest: Json | None = None, folder: str = "package") -> Path:
    files = {f"{folder}/{item['resourceType']}-{item['id']}.json": json.dumps(item).encode() for item in resources}
    if manifest is not None:
        files[f"{folder}/package.json"] = json.dumps(manifest).encode()
    mode = "w:xz" if path.name.endswith("xz") else "w:gz" if path.name.endswith("gz") else "w:"
    with tarfile.open(path, mode) as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


@pytest.fixture
async def current(server: Server, pool: Any, empty: None) -> Current:
    current = Current(server, PostgresIndex(pool, lambda *_: None), [])
    await current.refresh()
    return current


@pytest.fixture
def add(current: Current, call: Call, pool: Any) -> Install:
    async def add(path: Path) -> Report:
        return await install(current, call, PostgresTerminology(pool, lambda *_: None), path)

    return add


def states(report: Report) -> dict[str, dict[str, int]]:
    return {name: dict(counted) for name, counted in report.states.items()}


@pytest.mark.parametrize("name", ["p.tgz", "p.tar.gz", "p.tar.xz", "p.tar"])
async def test_a_package_is_installed_once(name: str, tmp_path: Path, add: Install, client: httpx.AsyncClient) -> None:
    path = package(tmp_path / name, GUIDE, value_set("a"), manifest={"name": "a.b", "version": "1.0.0"})
    assert states(await add(path)) == {"ImplementationGuide": {"new": 1}, "ValueSet": {"new": 1}}
    assert states(await add(path)) == {"ImplementationGuide": {"unchanged": 1}, "ValueSet": {"unchanged": 1}}
    assert (await client.get("ValueSet/a")).json()["meta"]["versionId"] == "1"


async def test_a_folder_is_a_package(tmp_path: Path, add: Install) -> None:
    (tmp_path / "package" / "example").mkdir(parents=True)
    (tmp_path / "package" / "a.json").write_text(json.dumps(value_set("a")))
    (tmp_path / "package" / "example" / "b.json").write_text(json.dumps(value_set("b")))
    assert states(await add(tmp_path)) == {"ValueSet": {"new": 1}}


async def test_a_newer_version_stands_beside(tmp_path: Path, add: Install, client: httpx.AsyncClient) -> None:
    await add(package(tmp_path / "1.tgz", value_set("a", "1.0.0")))
    newer = package(tmp_path / "2.tgz", value_set("a", "2.0.0"))
    assert states(await add(newer)) == {"ValueSet": {"new": 1}}
    assert states(await add(newer)) == {"ValueSet": {"unchanged": 1}}
    found = (await client.get("ValueSet", params={"url": "http://a.b/ValueSet/a"})).json()["entry"]
    assert sorted((entry["resource"]["id"], entry["resource"]["version"]) for entry in found) == [
        ("a", "1.0.0"),
        ("a-2.0.0", "2.0.0"),
    ]


async def test_what_was_changed_is_as_in_the_package_again(
    tmp_path: Path, add: Install, client: httpx.AsyncClient
) -> None:
    path = package(tmp_path / "p.tgz", value_set("a", title="A"))
    await add(path)
    await client.put("ValueSet/a", json=value_set("a", title="B"))
    assert states(await add(path)) == {"ValueSet": {"changed": 1}}
    assert (await client.get("ValueSet/a")).json()["title"] == "A"


async def test_ids_of_others_are_left_alone(tmp_path: Path, add: Install, client: httpx.AsyncClient) -> None:
    await client.put("ValueSet/a", json=value_set("a") | {"url": "http://other/a"})
    await add(package(tmp_path / "p.tgz", value_set("a")))
    assert (await client.get("ValueSet/a")).json()["url"] == "http://other/a"
    assert (await client.get("ValueSet/a-1.0.0")).json()["url"] == "http://a.b/ValueSet/a"


def parameter(version: str, description: str = "nose") -> Json:
    return {
        "resourceType": "SearchParameter",
        "id": "nose",
        "url": "http://a.b/SearchParameter/nose",
        "version": version,
        "name": "Nose",
        "status": "active",
        "description": description,
        "code": "nose",
        "base": ["Patient"],
        "type": "string",
        "expression": "Patient.name.text",
    }


async def test_of_a_search_parameter_there_is_the_newest(
    tmp_path: Path, add: Install, client: httpx.AsyncClient
) -> None:
    one, two = (package(tmp_path / f"{version}.tgz", parameter(version)) for version in ("1.0.0", "2.0.0"))
    try:
        assert states(await add(one)) == {"SearchParameter": {"new": 1}}
        assert states(await add(two)) == {"SearchParameter": {"changed": 1}}
        assert states(await add(one)) == {"SearchParameter": {"older": 1}}
        assert (await client.get("SearchParameter/nose")).json()["version"] == "2.0.0"
    finally:
        await client.delete("SearchParameter/nose")


async def test_what_breaks_rules_is_told(tmp_path: Path, add: Install, client: httpx.AsyncClient) -> None:
    doubtful = value_set("doubtful", compose={"include": [{"concept": [{"code": "x"}]}]})
    unusable = value_set("unusable", nose=True)
    report = await add(package(tmp_path / "p.tgz", doubtful, unusable, {"resourceType": "ValueSet", "id": "no/id"}))
    assert states(report) == {"ValueSet": {"new": 1, "refused": 2}}
    assert [name for name, _ in report.doubtful] == ["ValueSet http://a.b/ValueSet/doubtful"]
    assert "vsd-2" in report.doubtful[0][1]
    assert "nose" in dict(report.refused)["ValueSet http://a.b/ValueSet/unusable"]
    assert (await client.get("ValueSet/doubtful")).status_code == 200
    assert (await client.get("ValueSet/unusable")).status_code == 404


async def test_other_resources_and_examples_are_left_out(tmp_path: Path, add: Install) -> None:
    patient = {"resourceType": "Patient", "id": "p"}
    others = package(tmp_path / "p.tgz", patient, {"resourceType": "Nose", "id": "n"})
    for path in (others, package(tmp_path / "e.tgz", value_set("a"), folder="package/example")):
        with pytest.raises(PackageError, match="none of the resources"):
            await add(path)


async def test_installed_packages_and_what_they_need(tmp_path: Path, add: Install, server: Server, call: Call) -> None:
    manifest = {"name": "a.b", "fhirVersions": ["4.0.1"], "dependencies": {"c.d": "1.2", "hl7.fhir.r4.core": "4.0.1"}}
    report = await add(package(tmp_path / "p.tgz", GUIDE, manifest=manifest))
    assert report.missing == ["c.d 1.2"]
    assert [(found.name, found.version) for found in await installed(server, call)] == [("a.b", "1.0.0")]


async def test_published_packages(shared: Path, add: Install) -> None:
    path = shared / "packages" / "ipa_v100.tar.xz"
    if not path.is_file():
        pytest.skip(f"SKIPPED FOR LACK OF DATA: there is no {path}")
    report = await add(path)
    assert not report.refused
    assert states(report) == {
        "CapabilityStatement": {"new": 2},
        "ImplementationGuide": {"new": 1},
        "OperationDefinition": {"new": 1},
        "StructureDefinition": {"new": 12},
    }


def _with_member(path: Path, **attributes: Any) -> Path:
    member = tarfile.TarInfo(attributes.pop("name", "package/a.json"))
    for name, value in attributes.items():
        setattr(member, name, value)
    with tarfile.open(path, "w") as archive:
        archive.addfile(member, io.BytesIO(bytes(member.size)) if member.isfile() else None)
    return path


def _bytes(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def _endless_header(path: Path) -> Path:
    """A PAX header that says it has 4 GB."""
    member = tarfile.TarInfo("x")
    member.type, member.size = tarfile.XHDTYPE, 2**32
    return _bytes(path, member.tobuf(tarfile.GNU_FORMAT))


BAD: list[tuple[str, Callable[[Path], Path], str]] = [
    ("no archive", lambda path: _bytes(path, b"nonsense" * 1000), "can't be read"),
    ("empty", lambda path: _bytes(path, b""), "can't be read"),
    ("cut off", lambda path: _bytes(path, gzip.compress(bytes(range(256)) * 100)[:-400]), "can't be read"),
    ("no gzip within", lambda path: _bytes(path, b"\x1f\x8b" + bytes(1000)), "can't be read"),
    ("no xz within", lambda path: _bytes(path, lzma.compress(b"x" * 5000)[:40]), "can't be read"),
    ("out of the folder", lambda path: _with_member(path, name="package/../../etc/a.json"), "has a file at"),
    ("absolute", lambda path: _with_member(path, name="/etc/a.json"), "has a file at"),
    (
        "a link",
        lambda path: _with_member(path, type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        "neither a file nor a folder",
    ),
    ("a device", lambda path: _with_member(path, type=tarfile.CHRTYPE), "neither a file nor a folder"),
    ("a huge file", lambda path: _with_member(path, size=3_000_000), "has more than"),
    ("an endless header", _endless_header, "is no package"),
    ("nothing", lambda path: _bytes(path, gzip.compress(bytes(5_000_000), mtime=0)), "none of the resources"),
    (
        "another FHIR",
        lambda path: package(path, GUIDE, manifest={"name": "a.b", "fhirVersions": ["5.0.0"]}),
        "for FHIR 5.0.0",
    ),
    (
        "a manifest that is none",
        lambda path: _bytes_in(path, "package/package.json", b"{"),
        "is not JSON",
    ),
]


def _bytes_in(path: Path, name: str, data: bytes) -> Path:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    with tarfile.open(path, "w") as archive:
        archive.addfile(member, io.BytesIO(data))
    return path


@pytest.mark.parametrize(("reason", "make", "text"), BAD, ids=[case[0] for case in BAD])
async def test_bad_packages_are_refused(
    reason: str,
    make: Callable[[Path], Path],
    text: str,
    tmp_path: Path,
    add: Install,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(archives, "LARGEST_FILE", 2_000_000)
    with pytest.raises(PackageError, match=text):
        await add(make(tmp_path / "p.tgz"))


async def test_there_is_an_end_to_what_is_decompressed(
    tmp_path: Path, add: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "MOST_BYTES", 2_000_000)
    files = [value_set(str(n), description=" " * 100_000) for n in range(30)]
    with pytest.raises(PackageError, match="more than 1 MB"):
        await add(package(tmp_path / "p.tgz", *files))


async def test_files_that_are_no_json_are_told(tmp_path: Path, add: Install) -> None:
    report = await add(_bytes_in(tmp_path / "p.tgz", "package/ValueSet-a.json", b'{"resourceType": "ValueSet"'))
    assert report.refused == [("package/ValueSet-a.json", "it is not JSON")]


async def test_a_byte_order_mark_is_no_part_of_it(tmp_path: Path, add: Install) -> None:
    data = b"\xef\xbb\xbf" + json.dumps(value_set("a")).encode()
    assert states(await add(_bytes_in(tmp_path / "p.tgz", "package/a.json", data))) == {"ValueSet": {"new": 1}}


async def test_duplicate_names_are_told(tmp_path: Path, add: Install) -> None:
    data = b'{"resourceType": "ValueSet", "id": "a", "id": "b"}'
    report = await add(_bytes_in(tmp_path / "p.tgz", "package/ValueSet-a.json", data))
    assert [name for name, _ in report.refused] == ["package/ValueSet-a.json"]
