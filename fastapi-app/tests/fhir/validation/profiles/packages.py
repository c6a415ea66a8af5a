"""FHIR packages for tests: their examples, and a validator that knows their profiles and codes."""

import json
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fhirserver.fhir.definitions.archive import Archive
from fhirserver.fhir.profiles.built_in import BuiltInStructures
from fhirserver.fhir.profiles.structures import Structures, pack
from fhirserver.fhir.terminology import BuiltIn
from fhirserver.fhir.terminology.built_in import PACKAGED
from fhirserver.fhir.validation.validator import Validator

Json = dict[str, Any]
_CODES = ("CodeSystem", "ValueSet")


@dataclass
class Package:
    """`structures` by URL; `examples` by the names of their files."""

    structures: dict[str, Json] = field(default_factory=dict)
    codes: dict[tuple[str, str], Json] = field(default_factory=dict)
    examples: dict[str, bytes] = field(default_factory=dict)
    stored: list[bytes] = field(default_factory=list)


def read_package(path: Path) -> Package:
    """The content of a package."""
    package = Package()
    with tarfile.open(path) as archive:
        for member in archive:
            file = archive.extractfile(member) if member.name.endswith(".json") else None
            folder, _, name = member.name.rpartition("/")
            folder = folder.rpartition("/")[2]
            if file is None or folder not in ("package", "example") or name in ("package.json", ".index.json"):
                continue
            data = file.read()
            if folder == "example":
                package.examples[name] = data
                continue
            resource = json.loads(data)
            if resource.get("resourceType") == "StructureDefinition":
                package.structures[resource["url"]] = resource
                package.stored.append(data)
            elif resource.get("resourceType") in _CODES and "url" in resource:
                package.codes[resource["resourceType"], resource["url"]] = resource
    return package


class _Codes(BuiltIn):
    """What R4 comes with, and packages."""

    def __init__(self, packages: Iterable[Package]):
        super().__init__(Archive(PACKAGED))
        self._own = {key: resource for package in packages for key, resource in package.codes.items()}

    def resource(self, resource_type: str, url: str) -> Json | None:
        own = self._own.get((resource_type, url.partition("|")[0]))
        return own if own is not None else super().resource(resource_type, url)


def validator_of(validator: Validator, *packages: Package) -> Validator:
    """One that knows these packages."""
    packed = [found for package in packages for data in package.stored if (found := pack(data)) is not None]
    structures = Structures(BuiltInStructures.load(), packed)
    return validator.with_structures(structures.structure, _Codes(packages).contains)
