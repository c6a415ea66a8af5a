"""R4's own StructureDefinitions: types, profiles and extensions, read from the packaged data file when asked for."""

from pathlib import Path

from fhirserver.fhir.definitions.archive import Archive
from fhirserver.fhir.profiles.element_tree import Json

PACKAGED = Path(__file__).parents[1] / "definitions" / "structures.zip"


class BuiltInStructures:
    """What R4 comes with. Canonical URLs may have the version of R4, and no other.

    Any method may raise DefinitionsCorrupt if its part of the data file is damaged; `verify` reads all.
    """

    def __init__(self, archive: Archive):
        self._archive = archive
        self._index: dict[str, tuple[str, str, bool]] = {
            url: (member, type_name, is_profile)
            for url, (member, type_name, is_profile) in archive.read("index.json").items()
        }

    @classmethod
    def load(cls, path: Path | None = None) -> "BuiltInStructures":
        """Open the packaged data file, or another. Raises DefinitionsCorrupt."""
        return cls(Archive(path or PACKAGED))

    def verify(self) -> None:
        """Check the whole data file. Raises DefinitionsCorrupt."""
        self._archive.verify()

    def structure(self, url: str) -> Json | None:
        """A StructureDefinition, without what is for readers only; a few lack their snapshot."""
        address, _, version = url.partition("|")
        found = self._index.get(address)
        if found is None or version not in ("", "4.0", "4.0.1"):
            return None
        structure: Json = self._archive.read(found[0])
        return structure

    def profiles(self) -> dict[str, str]:
        """The type that each profile and extension is of, by URL."""
        return {url: type_name for url, (_, type_name, is_profile) in self._index.items() if is_profile}
