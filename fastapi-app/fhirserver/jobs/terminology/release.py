"""The files of a release: a folder, a zip file, or a single file; and what a reader makes of them."""

import csv
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import TextIOWrapper
from pathlib import Path
from typing import IO

from fhirserver.fhir.terminology.concepts import Concept, Json


class ReleaseError(Exception):
    """Files that can't be read as what they should be; the message says what is wrong with which."""


@dataclass(slots=True)
class Options:
    """What a release may not say itself. `languages`: of displays and designations, the first one preferred."""

    system: str | None = None
    version: str | None = None
    languages: tuple[str, ...] = ("en",)


@dataclass(slots=True)
class CodeSystemRelease:
    """A code system: the CodeSystem resource without concepts, and the concepts with the codes of their parents."""

    header: Json
    concepts: Iterator[Concept]
    kinds: dict[str, str] = field(default_factory=dict)
    """URIs of properties, by code."""


class Release:
    """Names are paths within the release, with `/`. Raises `ReleaseError` if there is nothing at the path."""

    def __init__(self, path: Path):
        self.path = path
        self._zip: zipfile.ZipFile | None = None
        if path.is_dir():
            files = sorted(file for file in path.rglob("*") if file.is_file())
            self.names = [file.relative_to(path).as_posix() for file in files]
        elif zipfile.is_zipfile(path):
            self._zip = zipfile.ZipFile(path)
            self.names = sorted(name for name in self._zip.namelist() if not name.endswith("/"))
        elif path.is_file():
            self.names = [path.name]
        else:
            raise ReleaseError(f"{path} does not exist")

    def find(self, pattern: str) -> list[str]:
        """The names that a regular expression matches, without their folders."""
        matches = re.compile(pattern).fullmatch
        return [name for name in self.names if matches(name.rpartition("/")[2])]

    @contextmanager
    def text(self, name: str) -> Iterator[IO[str]]:
        """A file as text in UTF-8, with line ends as they are."""
        if self._zip is not None:
            with self._zip.open(name) as binary:
                yield TextIOWrapper(binary, "utf-8-sig", newline="")
        else:
            file = self.path / name if self.path.is_dir() else self.path
            with file.open(encoding="utf-8-sig", newline="") as text:
                yield text

    def rows(self, name: str, *columns: str, delimiter: str = ",") -> Iterator[dict[str, str]]:
        """The rows of a table with a heading, by column. `ReleaseError` if it lacks one of these columns."""
        with self.text(name) as text:
            try:
                reader = (
                    csv.DictReader(text, delimiter=delimiter, quoting=csv.QUOTE_NONE)
                    if delimiter == "\t"
                    else csv.DictReader(text, delimiter=delimiter, strict=True)
                )
                missing = set(columns) - set(reader.fieldnames or ())
                if missing:
                    raise ReleaseError(f"{name} has no column {', '.join(sorted(missing))}")
                for row in reader:
                    yield {key: value for key, value in row.items() if isinstance(key, str) and value is not None}
            except (csv.Error, UnicodeDecodeError) as error:
                raise ReleaseError(f"{name}: {error}") from error
