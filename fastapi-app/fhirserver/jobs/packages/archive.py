"""What is in a FHIR package: an npm package (.tgz), any tar archive of JSON files, or a folder of them.

https://hl7.org/fhir/R4/packages.html and https://confluence.hl7.org/display/FHIR/NPM+Package+Specification
"""

import lzma
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import orjson

from fhirserver.fhir.outcomes import FhirError
from fhirserver.fhir.resource_json import parse
from fhirserver.jobs.packages.stream import ForwardStream, TooLarge

Json = dict[str, Any]

TYPES = (
    "StructureDefinition",
    "ValueSet",
    "CodeSystem",
    "ConceptMap",
    "SearchParameter",
    "OperationDefinition",
    "NamingSystem",
    "CapabilityStatement",
    "ImplementationGuide",
)
"""The types of resources that are taken from a package, if they are not in its folders for examples and the like."""

MOST_FILES = 50_000
LARGEST_FILE = 64 * 1024 * 1024
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # in some published packages
_ASIDE = frozenset({"example", "examples", "openapi", "other", "tests", "xml"})
_DAMAGED = (tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError)


class PackageError(Exception):
    """A file that can't be read as a package; the message says why."""


@dataclass(slots=True)
class Manifest:
    """What `package.json` says: name, version, versions of FHIR, versions of the packages it depends on by name."""

    name: str | None = None
    version: str | None = None
    fhir_versions: tuple[str, ...] = ()
    dependencies: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A JSON file of the package that can't be read, and why."""

    name: str
    reason: str


def manifest(path: Path) -> Manifest:
    """The manifest of the package; an empty one if there is none. Raises `PackageError`."""
    for name, data in _files(path):
        if name.name == "package.json" and len(name.parts) <= 2:
            try:
                found = orjson.loads(data)
            except ValueError as error:
                raise PackageError(f"{path}: {name} is not JSON") from error
            if isinstance(found, dict):
                return _manifest(found)
    return Manifest()


def resources(path: Path, max_nesting: int) -> Iterator[Json | Unreadable]:
    """The conformance resources in the package, one after the other. Raises `PackageError`, also midway."""
    for name, data in _files(path):
        if _ASIDE.intersection(name.parts[:-1]):
            continue
        data = data.removeprefix(_BYTE_ORDER_MARK)
        try:
            head = orjson.loads(data)
        except ValueError:
            yield Unreadable(str(name), "it is not JSON")
            continue
        if isinstance(head, dict) and head.get("resourceType") in TYPES:
            del head
            try:
                yield parse(data, max_depth=max_nesting)
            except FhirError as error:
                yield Unreadable(str(name), str(error))


def _manifest(found: Json) -> Manifest:
    versions, dependencies = found.get("fhirVersions", found.get("fhir-version-list")), found.get("dependencies")
    return Manifest(
        _text(found.get("name")),
        _text(found.get("version")),
        tuple(str(version) for version in versions) if isinstance(versions, list) else (),
        {str(name): str(version) for name, version in dependencies.items()} if isinstance(dependencies, dict) else {},
    )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _files(path: Path) -> Iterator[tuple[PurePosixPath, bytes]]:
    """The JSON files of the package."""
    if path.is_dir():
        for file in sorted(path.rglob("*.json")):
            if file.is_file():
                if file.stat().st_size > LARGEST_FILE:
                    raise PackageError(f"{file} has more than {LARGEST_FILE // 2**20} MB")
                yield PurePosixPath(file.relative_to(path).as_posix()), file.read_bytes()
        return
    try:
        with path.open("rb") as opened, tarfile.TarFile(fileobj=ForwardStream(opened)) as archive:
            yield from _members(path, archive)
    except TooLarge as error:
        raise PackageError(f"{path} is no package: {error}") from error
    except _DAMAGED as error:
        raise PackageError(f"{path} can't be read as a package: {error}") from error


def _members(path: Path, archive: tarfile.TarFile) -> Iterator[tuple[PurePosixPath, bytes]]:
    for number, member in enumerate(archive, 1):
        name = PurePosixPath(member.name)
        if name.is_absolute() or ".." in name.parts:
            raise PackageError(f"{path} is no package: it has a file at {member.name[:200]!r}")
        if not (member.isfile() or member.isdir()) or member.issparse():
            raise PackageError(f"{path} is no package: {member.name[:200]!r} is neither a file nor a folder")
        if number > MOST_FILES:
            raise PackageError(f"{path} is no package: it has more than {MOST_FILES} files")
        if not member.isfile() or name.suffix != ".json":
            continue
        if member.size > LARGEST_FILE:
            raise PackageError(f"{path} is no package: {member.name[:200]!r} has more than {LARGEST_FILE // 2**20} MB")
        content = archive.extractfile(member)
        if content is not None:
            yield name, content.read()
