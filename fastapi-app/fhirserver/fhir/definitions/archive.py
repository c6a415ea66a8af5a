"""The data file of the definitions: a zip of JSON members, each with its checksum in the manifest."""

import hashlib
import io
import json
import zipfile
import zlib
from pathlib import Path
from typing import Any

from fhirserver.fhir.outcomes import DefinitionsCorrupt

PACKAGED = Path(__file__).with_name("r4.zip")
FHIR_VERSION = "4.0.1"


class Archive:
    """An open data file. It is held in memory, so that threads and forked workers can share it."""

    def __init__(self, path: Path):
        """Raises DefinitionsCorrupt if the file is missing, no zip, or its members are not as listed."""
        self._path = path
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(path.read_bytes()))
        except OSError as error:
            raise self._corrupt(error.strerror or str(error)) from error
        except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
            raise self._corrupt(str(error)) from error
        manifest = self._parse("manifest.json", self._bytes("manifest.json"))
        try:
            version, self._checksums = manifest["fhirVersion"], dict(manifest["members"])
        except (KeyError, TypeError, ValueError) as error:
            raise self._corrupt("manifest.json is not a manifest") from error
        if version != FHIR_VERSION:
            raise self._corrupt(f"it is for FHIR {version}, not {FHIR_VERSION}")
        missing = self._checksums.keys() ^ (set(self._zip.namelist()) - {"manifest.json"})
        if missing:
            raise self._corrupt(f"{min(missing)} is in the file or its manifest, but not in both")

    def read(self, name: str) -> Any:
        """The JSON of a member. Raises DefinitionsCorrupt if it is missing or not what the manifest says."""
        data = self._bytes(name)
        if hashlib.sha256(data).hexdigest() != self._checksums.get(name):
            raise self._corrupt(f"the checksum of {name} is wrong")
        return self._parse(name, data)

    def verify(self) -> None:
        """Read every member. Raises DefinitionsCorrupt for the first that is damaged."""
        for name in self._checksums:
            self.read(name)

    def _bytes(self, name: str) -> bytes:
        try:
            return self._zip.read(name)
        except KeyError as error:
            raise self._corrupt(f"{name} is missing") from error
        except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError) as error:
            raise self._corrupt(f"{name}: {error}") from error

    def _parse(self, name: str, data: bytes) -> Any:
        try:
            return json.loads(data)
        except ValueError as error:
            raise self._corrupt(f"{name} is not JSON") from error

    def _corrupt(self, reason: str) -> DefinitionsCorrupt:
        line = " ".join(reason.split())
        return DefinitionsCorrupt(f"The FHIR definitions in {self._path} cannot be used: {line}")
