"""Where the input comes from: files, folders and archives of JSON and NDJSON, as a stream of documents."""

import gzip
import hashlib
import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_JSON = (".json", ".json.gz")
_LINES = (".ndjson", ".ndjson.gz", ".jsonl", ".jsonl.gz")
_ZIP = (".zip",)
_TAR = (".tgz", ".tar.gz", ".tar", ".tar.xz")
_SUFFIXES = (*_JSON, *_LINES, *_ZIP, *_TAR)
_LINES_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Document:
    """One input: a JSON text, or some lines of NDJSON. `data` is still compressed if `compressed`."""

    name: str
    data: bytes
    lines: bool
    compressed: bool

    def text(self) -> bytes:
        """The JSON, or the lines. `OSError` or `EOFError` if the compressed data is damaged."""
        return gzip.decompress(self.data) if self.compressed else self.data


def digest(data: bytes) -> bytes:
    """What a receipt knows a document by."""
    return hashlib.sha256(data).digest()


def files(paths: Iterable[Path]) -> list[Path]:
    """The files to read, in order: the named ones, and those below the named folders that look like input.

    `FileNotFoundError` if a path does not exist, `ValueError` if a named file has an unknown ending.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            below = (file for file in path.rglob("*") if file.is_file() and file.name.endswith(_SUFFIXES))
            found += sorted(below, key=lambda file: (file.parent, file.name))
        elif not path.exists():
            raise FileNotFoundError(f"{path} does not exist")
        elif not path.name.endswith(_SUFFIXES):
            raise ValueError(f"{path}: the ending is none of {', '.join(_SUFFIXES)}")
        else:
            found.append(path)
    return list(dict.fromkeys(found))


def documents(file: Path) -> Iterator[Document]:
    """The documents in one file."""
    if file.name.endswith(_ZIP):
        with zipfile.ZipFile(file) as archive:
            for name in archive.namelist():
                if name.endswith((*_JSON, *_LINES)):
                    with archive.open(name) as stream:
                        yield from _of_stream(f"{file}:{name}", name, stream)
    elif file.name.endswith(_TAR):
        with tarfile.open(file) as archive_of:
            for member in archive_of:
                stream_of = archive_of.extractfile(member) if member.name.endswith((*_JSON, *_LINES)) else None
                if stream_of is not None:
                    yield from _of_stream(f"{file}:{member.name}", member.name, stream_of)
    else:
        with file.open("rb") as stream:
            yield from _of_stream(str(file), file.name, stream)


def _of_stream(name: str, file_name: str, stream: IO[bytes]) -> Iterator[Document]:
    compressed = file_name.endswith(".gz")
    if not file_name.endswith(_LINES):
        yield Document(name, stream.read(), False, compressed)
        return
    lines: list[bytes] = []
    first = 1
    number = 0
    for number, line in enumerate(gzip.GzipFile(fileobj=stream) if compressed else stream, 1):
        lines.append(line)
        if len(lines) == _LINES_AT_ONCE:
            yield Document(f"{name}:{first}-{number}", b"".join(lines), True, False)
            lines, first = [], number + 1
    if lines:
        yield Document(f"{name}:{first}-{number}", b"".join(lines), True, False)
