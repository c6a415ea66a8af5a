"""R4's own code systems, value sets and concept maps, read from the packaged data file when they are asked for.

Nothing here waits, so that the validation of resources can use it; what is stored on the server is not known here.
"""

from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from fhirserver.fhir.definitions.archive import Archive
from fhirserver.fhir.outcomes import Unprocessable
from fhirserver.fhir.terminology.code_system import CodeSystem, System
from fhirserver.fhir.terminology.compose import Contents, canonical, contents
from fhirserver.fhir.terminology.concepts import Json
from fhirserver.fhir.terminology.grammars import GRAMMARS
from fhirserver.fhir.terminology.selection import Selection, holds, holds_for

PACKAGED = Path(__file__).parents[1] / "definitions" / "terminology.zip"
_KEPT = 512


class BuiltIn:
    """What R4 comes with. Canonical URLs may carry a version; without one it is the newest.

    Any method may raise DefinitionsCorrupt if its part of the data file is damaged; `verify` reads all.
    """

    def __init__(self, archive: Archive):
        self._archive = archive
        self.code_system = lru_cache(_KEPT)(self._code_system)
        self.value_set = lru_cache(_KEPT)(self._value_set)
        self._contents = lru_cache(_KEPT)(self._read_contents)

    @classmethod
    def load(cls, path: Path | None = None) -> "BuiltIn":
        """Open the packaged data file, or another. Raises DefinitionsCorrupt."""
        return cls(Archive(path or PACKAGED))

    def verify(self) -> None:
        """Check the whole data file. Raises DefinitionsCorrupt."""
        self._archive.verify()

    def urls(self, resource_type: str) -> list[tuple[str, str | None]]:
        """URL and version of all resources of this type: CodeSystem, ValueSet or ConceptMap."""
        return [(url, version) for url, listed in self._index[resource_type].items() for version, _, _ in listed]

    def resource(self, resource_type: str, url: str) -> Json | None:
        """A resource by its canonical URL."""
        address, version = canonical(url)
        for own_version, member, place in reversed(self._index[resource_type].get(address, ())):
            if version in (None, own_version):
                resource: Json = self._archive.read(member)[place]
                return resource
        return None

    def concept_maps_of(self, system: str, *, as_target: bool) -> list[Json]:
        """All concept maps from a code system, or to it."""
        side = "target" if as_target else "source"
        urls = [url for url, systems in self._index["maps"].items() if system in systems[side]]
        return [found for url in urls if (found := self.resource("ConceptMap", url)) is not None]

    def contains(self, value_set: str, system: str | None, code: str) -> bool | None:
        """Whether a value set contains a code; of any of its code systems if `system` is None.

        None if that can't be told from what R4 comes with: the value set or the code system is not part of it.
        """
        try:
            parts = self._contents(value_set)
        except Unprocessable:
            return None
        if parts is None:
            return None
        found = [
            self._selects(url, version, selection, code)
            for (url, version), selection in parts.parts.items()
            if system in (None, url)
        ]
        return True if True in found else None if None in found else False

    def _selects(self, url: str, version: str | None, selection: Selection, code: str) -> bool | None:
        system = self.system(url, version)
        concept = system.concept(code) if system is not None else None
        if system is not None and concept is not None:
            return concept.code == code and holds(selection, concept, system)
        return False if system is not None and system.is_complete else holds_for(selection, code)

    def system(self, url: str, version: str | None = None) -> System | None:
        """A code system: one of R4's resources, or one whose codes are told by their form."""
        return self.code_system(url, version) or GRAMMARS.get(url)

    def _code_system(self, url: str, version: str | None = None) -> CodeSystem | None:
        resource = self.resource("CodeSystem", f"{url}|{version}" if version else url)
        return CodeSystem(resource) if resource is not None else None

    def _value_set(self, url: str) -> Json | None:
        return self.resource("ValueSet", url)

    def _read_contents(self, url: str) -> Contents | None:
        value_set = self.value_set(url)
        if value_set is None:
            return None
        return contents(value_set, self._imported)

    def _imported(self, url: str) -> Json:
        found = self.value_set(url)
        if found is None:
            raise Unprocessable(f"the value set '{url}' is not known", code="not-found")
        return found

    @cached_property
    def _index(self) -> dict[str, dict[str, Any]]:
        index: dict[str, Any] = self._archive.read("index.json")
        return index
