"""Concepts of code systems, and what is told about them.

https://hl7.org/fhir/R4/codesystem.html
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fhirserver.fhir.datatypes.text import words_of

Json = dict[str, Any]

PROPERTIES = "http://hl7.org/fhir/concept-properties#"
_INACTIVE_STATUS = frozenset(("inactive", "retired"))


@dataclass(frozen=True, slots=True)
class Concept:
    """A concept. `parents` are the codes of those directly above it.

    `designations` and `properties` are elements of R4's JSON: `{"language": …, "use": …, "value": …}` and
    `{"code": …, "valueCode": …}`.
    """

    code: str
    display: str | None = None
    definition: str | None = None
    designations: Sequence[Json] = ()
    properties: Sequence[Json] = ()
    parents: Sequence[str] = ()
    inactive: bool = False
    abstract: bool = False

    def values(self, name: str) -> list[str]:
        """The values of a property as text. `concept` and `code`, `display`, `definition` and `parent` are some too."""
        if name in ("concept", "code"):
            return [self.code]
        if name == "display":
            return [self.display] if self.display is not None else []
        if name == "definition":
            return [self.definition] if self.definition is not None else []
        if name == "parent" and self.parents:
            return list(self.parents)
        return [text for item in self.properties if item.get("code") == name for text in (property_text(item),) if text]

    def display_in(self, language: str | None) -> str | None:
        """The display in a language (`es`, `es-MX`), or as the code system has it if there is none."""
        if language:
            found = designation_in(self.designations, language)
            if found is not None:
                return str(found["value"])
        return self.display

    def names(self) -> list[str]:
        """Display and designations."""
        names = [self.display] if self.display is not None else []
        return [*names, *(str(item["value"]) for item in self.designations if "value" in item)]


def name_text(concept: Concept) -> str:
    """All words of the concept's code, display and designations, each with a blank before it."""
    return "".join(f" {word}" for name in (concept.code, *concept.names()) for word in words_of(name))


def objects(value: Any) -> list[Json]:
    """The objects of what should be a list of them: resources may have been stored without any check."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def texts(value: Any) -> list[str]:
    """The strings of what should be a list of them."""
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def property_text(item: Mapping[str, Any]) -> str | None:
    """The value of a property as filters compare it: the code of a Coding, `true`, `2.50`."""
    for name, value in item.items():
        if name.startswith("value"):
            if isinstance(value, dict):
                return str(value.get("code", ""))
            if isinstance(value, bool):
                return "true" if value else "false"
            return str(value)
    return None


def designation_in(designations: Sequence[Json], language: str) -> Json | None:
    """The first designation in this language, or in a variant of it; else in the language it is a variant of."""
    wanted = language.casefold()
    ranked = [
        (rank, item)
        for item in designations
        if "value" in item and (rank := _closeness(str(item.get("language", "")).casefold(), wanted)) is not None
    ]
    return min(ranked, key=lambda pair: pair[0])[1] if ranked else None


def _closeness(tag: str, wanted: str) -> int | None:
    if tag == wanted:
        return 0
    if tag.startswith(wanted + "-"):
        return 1
    return 2 if tag == wanted.partition("-")[0] else None


class Meanings:
    """Which of the properties that a code system defines have a meaning of R4's own (`CodeSystem.property.uri`)."""

    def __init__(self, definitions: Sequence[Json]):
        self._codes = {
            name: frozenset(
                {name} | {str(item["code"]) for item in definitions if item.get("uri") == PROPERTIES + name}
            )
            for name in ("inactive", "status", "notSelectable", "parent", "child")
        }

    def links(self, name: str, properties: Sequence[Json]) -> list[str]:
        """The codes that the properties with the meaning `parent` or `child` name."""
        return [text for item in properties if item.get("code") in self._codes[name] and (text := property_text(item))]

    def is_inactive(self, properties: Sequence[Json]) -> bool:
        """Whether a concept with these properties is not to be used any more."""
        return any(
            (item.get("code") in self._codes["inactive"] and property_text(item) == "true")
            or (item.get("code") in self._codes["status"] and property_text(item) in _INACTIVE_STATUS)
            for item in properties
        )

    def is_abstract(self, properties: Sequence[Json]) -> bool:
        """Whether a concept with these properties groups others, and is not to be selected itself."""
        return any(
            item.get("code") in self._codes["notSelectable"] and property_text(item) == "true" for item in properties
        )
