"""What is asked of an expansion, and how the concepts in it are presented.

https://hl7.org/fhir/R4/valueset-operation-expand.html
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fhirserver.fhir.datatypes.text import words_of
from fhirserver.fhir.terminology.concepts import Concept, Json, objects


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpansionRequest:
    """`value_set` is a canonical URL or a ValueSet. `count` None: all, as far as that is possible; 0: the total only.

    `text`: only concepts one of whose names has words that begin with all of its words. `designations`: `use` or
    language tokens (`system|code`) of those to show. Versions are by code system: `versions` where the value set says
    none, `checked_versions` that it must not contradict, `forced_versions` whatever it says.
    """

    value_set: str | Json
    text: str | None = None
    offset: int = 0
    count: int | None = None
    active_only: bool = False
    selectable_only: bool = False
    nested: bool = False
    with_definition: bool = False
    with_designations: bool = False
    designations: Sequence[str] = ()
    language: str | None = None
    excluded_systems: Sequence[str] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    checked_versions: Mapping[str, str] = field(default_factory=dict)
    forced_versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def words(self) -> tuple[str, ...]:
        """The words of `text`."""
        return words_of(self.text) if self.text else ()


def is_named(text: str, wanted: Sequence[str]) -> bool:
    """Whether each of these words begins a word of a `name_text`."""
    return all(f" {start}" in text for start in wanted)


def entry(concept: Concept, system: str, version: str | None, shown: Json, request: ExpansionRequest) -> Json:
    """The concept as an element of `expansion.contains`. `shown` is how the value set itself presents it."""
    designations = [*objects(shown.get("designation")), *concept.designations]
    display = shown.get("display") or concept.display
    if request.language:
        display = Concept(concept.code, display, designations=designations).display_in(request.language)
    made: dict[str, Any] = {"system": system}
    if concept.abstract:
        made["abstract"] = True
    if concept.inactive:
        made["inactive"] = True
    if version is not None:
        made["version"] = version
    made["code"] = concept.code
    if display is not None:
        made["display"] = display
    if request.with_designations or request.designations:
        chosen = [item for item in designations if _is_wanted(item, request.designations)]
        if chosen:
            made["designation"] = chosen
    return made


def _is_wanted(designation: Json, tokens: Sequence[str]) -> bool:
    """Whether one of the tokens names its language or its use; without tokens all are wanted."""
    if not tokens:
        return True
    use = designation.get("use")
    own = {designation.get("language"), f"urn:ietf:bcp:47|{designation.get('language')}"}
    if isinstance(use, dict):
        own |= {use.get("code"), f"{use.get('system')}|{use.get('code')}"}
    return not own.isdisjoint(tokens)


def nested(entries: Sequence[tuple[Json, Sequence[str]]]) -> list[Json]:
    """Entries, each with the codes of its parents, as a forest: each below the first of its parents that is there.

    All are of one code system. What is in a circle comes out on the top level.
    """
    by_code = {item["code"]: item for item, _ in entries}
    above = {
        item["code"]: next((code for code in parents if code in by_code and code != item["code"]), None)
        for item, parents in entries
    }
    rooted: dict[str | None, bool] = {None: True}
    for code in above:
        path: dict[str | None, None] = {}
        step: str | None = code
        while step not in rooted and step not in path:
            path[step] = None
            step = above[str(step)]
        rooted |= dict.fromkeys(path, rooted.get(step, False))
    roots = []
    for item, _ in entries:
        parent = above[item["code"]]
        if parent is None or not rooted[item["code"]]:
            roots.append(item)
        else:
            by_code[parent].setdefault("contains", []).append(item)
    return roots
