"""The codes of a value set, page by page: what is in memory is listed, what is in tables is asked for by one statement.

https://hl7.org/fhir/R4/valueset-operation-expand.html and https://hl7.org/fhir/R4/valueset.html#expansion
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from fhirserver.fhir.outcomes import Unprocessable
from fhirserver.fhir.terminology.code_system import CodeSystem, System
from fhirserver.fhir.terminology.compose import Contents, SystemKey, canonical
from fhirserver.fhir.terminology.concepts import Concept, Json, name_text, objects
from fhirserver.fhir.terminology.expansion import ExpansionRequest, entry, is_named, nested
from fhirserver.fhir.terminology.selection import (
    Or,
    Selection,
    holds,
    holds_for,
    listed_codes,
    presentations,
)
from fhirserver.interactions.versions import instant
from fhirserver.terminology.sources import KnownSystem, Sources
from fhirserver.terminology.store import LoadedSystem, Wanted

MOST_CODES = 10_000
_COUNTED = 1_000
_METADATA = ("id", "url", "identifier", "version", "name", "title", "status", "experimental", "date", "publisher")


@dataclass(slots=True)
class Segment:
    """What a value set contains of one code system. `concepts` are listed already, or None for those in a table."""

    key: SystemKey
    system: KnownSystem | None
    selection: Selection
    concepts: list[Concept] | None
    pinned: str | None = None


async def segments(sources: Sources, contents: Contents, request: ExpansionRequest) -> list[Segment]:
    """The contents, code system by code system, in the order of the value set.

    Raises `Unprocessable` for a code system that is needed but not known, or that has no end.
    """
    keys = {key: _versioned(key, request) for key in contents.parts if not _is_excluded(key, request)}
    systems = await sources.code_systems(keys.values())
    merged: dict[Any, Segment] = {}
    for key, wanted in keys.items():
        system = systems.get(wanted)
        selection = contents.parts[key]
        same = merged.get(id(system) if system is not None else wanted)
        if same is not None:
            same.selection = Or([same.selection, selection])
        else:
            merged[id(system) if system is not None else wanted] = Segment(wanted, system, selection, None, key[1])
    active_only = request.active_only or not contents.inactive
    for segment in merged.values():
        if isinstance(segment.system, LoadedSystem):
            concepts = await _listed_in_table(sources, segment.system, segment.selection)
        else:
            concepts = _in_memory(segment.key, segment.system, segment.selection)
        if concepts is not None:
            segment.concepts = [
                concept
                for concept in concepts
                if not (active_only and concept.inactive) and not (request.selectable_only and concept.abstract)
            ]
            if request.words:
                known = segment.system.name_texts if isinstance(segment.system, CodeSystem) else {}
                segment.concepts = _named(segment.concepts, known, request.words)
    return list(merged.values())


def _in_memory(key: SystemKey, system: System | None, selection: Selection) -> list[Concept]:
    codes = listed_codes(selection)
    if codes is not None:
        return [concept for code in codes if (concept := _listed(code, system, selection)) is not None]
    if system is None:
        version = f" of version {key[1]}" if key[1] else ""
        raise Unprocessable(f"the code system '{key[0]}'{version} is not known here", code="not-found")
    concepts = system.concepts()
    if concepts is None:
        raise Unprocessable(f"there is no end of the codes of '{key[0]}'", code="too-costly")
    return [concept for concept in concepts if holds(selection, concept, system)]


async def _listed_in_table(sources: Sources, system: LoadedSystem, selection: Selection) -> list[Concept] | None:
    """The codes that the value set lists one by one, in its order; None if it doesn't list them."""
    codes = listed_codes(selection)
    if codes is None:
        return None
    found = await sources.store.decide(system, selection, codes)
    return [found[code][0] for code in codes if code in found and found[code][1]]


def _named(concepts: list[Concept], known: Mapping[str, str], wanted: Sequence[str]) -> list[Concept]:
    """Those with names that have words beginning with the wanted ones, the shortest display first."""
    found = [item for item in concepts if is_named(known.get(item.code) or name_text(item), wanted)]
    return sorted(found, key=lambda concept: len(concept.display or ""))


def _listed(code: str, system: System | None, selection: Selection) -> Concept | None:
    """A code that the value set lists. One that a complete code system does not have is no code."""
    concept = system.concept(code) if system is not None else None
    if concept is not None and system is not None:
        return concept if holds(selection, concept, system) else None
    if system is not None and system.is_complete:
        return None
    return Concept(code) if holds_for(selection, code) else None


async def expand(sources: Sources, request: ExpansionRequest, value_set: Json, now: datetime) -> Json:
    """The value set with a page of its expansion, or with all of it. Raises `Unprocessable`, `NotFound`."""
    contents = await sources.contents(request.value_set)
    parts = await segments(sources, contents, request)
    page = _Page(sources, request, not contents.inactive)
    for segment in parts:
        await page.add(segment)
    if request.count is None and (page.total is None or page.total - request.offset > MOST_CODES):
        raise Unprocessable(
            f"the expansion has more than {MOST_CODES} codes: ask for pages of it with count and offset, or filter it",
            code="too-costly",
        )
    expansion: Json = {
        "identifier": f"urn:uuid:{uuid5(NAMESPACE_URL, f'{now.timestamp()} {request!r}')}",
        "timestamp": instant(now),
    }
    if page.total is not None:
        expansion["total"] = page.total
    if request.offset or request.count is not None:
        expansion["offset"] = request.offset
    expansion["parameter"] = _parameters(request, parts)
    if page.entries:
        expansion["contains"] = page.entries
    kept = value_set if request.with_definition else {name: value_set[name] for name in _METADATA if name in value_set}
    return {"resourceType": "ValueSet", **kept, "status": value_set.get("status", "active"), "expansion": expansion}


@dataclass(slots=True)
class _Page:
    """The entries from `offset` on, up to `count`. `total` is None if there are too many to count them."""

    sources: Sources
    request: ExpansionRequest
    active_only: bool
    total: int | None = 0
    entries: list[Json] = field(default_factory=list)

    @property
    def room(self) -> int:
        return min(MOST_CODES if self.request.count is None else self.request.count, MOST_CODES) - len(self.entries)

    async def add(self, segment: Segment) -> None:
        """The next code system."""
        if self.total is None:  # the page was filled before
            return
        offset = max(self.request.offset - self.total, 0)
        size: int | None
        if isinstance(segment.system, LoadedSystem) and segment.concepts is None:
            found, size = await self._from_table(segment, segment.system, offset)
        else:
            concepts = segment.concepts or []
            found, size = concepts[offset : offset + self.room], len(concepts)
        shown = presentations(segment.selection)
        entries = [
            (entry(concept, segment.key[0], segment.pinned, shown.get(concept.code, {}), self.request), concept.parents)
            for concept in found
        ]
        whole = self.request.nested and self.request.count is None and not self.request.offset
        self.entries += nested(entries) if whole else [item for item, _ in entries]
        self.total = None if size is None else self.total + size

    async def _from_table(
        self, segment: Segment, system: LoadedSystem, offset: int
    ) -> tuple[list[Concept], int | None]:
        request, store = self.request, self.sources.store
        wanted = Wanted(
            system,
            segment.selection,
            request.words,
            request.active_only or self.active_only,
            request.selectable_only,
        )
        found = await store.select(wanted, offset, self.room) if self.room else []
        if found and len(found) < self.room:
            return found, offset + len(found)
        if request.count == 0 or (found == [] and offset):
            return found, await store.count(wanted)
        counted = await store.count(wanted, offset + _COUNTED + 1)
        return found, counted if counted != offset + _COUNTED + 1 else None


def contained(value_set: Json) -> Iterator[Json]:
    """All entries of an expansion that stand for a code, at any level."""
    waiting = [value_set.get("expansion")]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            if "code" in item:
                yield item
            waiting += objects(item.get("contains"))


def _versioned(key: SystemKey, request: ExpansionRequest) -> SystemKey:
    """The code system in the version that is to be used. `Unprocessable` if the value set must not say another."""
    url, version = key
    if url in request.forced_versions:
        return url, request.forced_versions[url]
    checked = request.checked_versions.get(url)
    if checked is not None and version not in (None, checked):
        raise Unprocessable(f"the value set is of version {version} of '{url}', not of {checked}", code="business-rule")
    return url, version or checked or request.versions.get(url)


def _is_excluded(key: SystemKey, request: ExpansionRequest) -> bool:
    return any(key[0] == url and version in (None, key[1]) for url, version in map(canonical, request.excluded_systems))


def _parameters(request: ExpansionRequest, parts: list[Segment]) -> list[Json]:
    """What the expansion depends on. https://hl7.org/fhir/R4/valueset-definitions.html#ValueSet.expansion.parameter"""
    said: list[Json] = []
    if request.text:
        said.append({"name": "filter", "valueString": request.text})
    for name, number in (("offset", request.offset or None), ("count", request.count)):
        if number is not None:
            said.append({"name": name, "valueInteger": number})
    for name, flag in (
        ("activeOnly", request.active_only),
        ("excludeNotForUI", request.selectable_only),
        ("includeDesignations", request.with_designations),
        ("excludeNested", not request.nested),
    ):
        if flag:
            said.append({"name": name, "valueBoolean": True})
    said += [{"name": "designation", "valueString": token} for token in request.designations]
    if request.language:
        said.append({"name": "displayLanguage", "valueCode": request.language})
    said += [{"name": "exclude-system", "valueUri": url} for url in request.excluded_systems]
    said += _versions("system-version", request.versions)
    said += _versions("check-system-version", request.checked_versions)
    said += _versions("force-system-version", request.forced_versions)
    for segment in parts:
        if segment.system is not None:
            version = f"|{segment.system.version}" if segment.system.version else ""
            said.append({"name": "version", "valueUri": segment.key[0] + version})
            if not segment.system.is_complete:
                said.append({"name": "fragment", "valueUri": segment.key[0] + version})
    return said


def _versions(name: str, versions: Mapping[str, str]) -> list[Json]:
    return [{"name": name, "valueUri": f"{url}|{version}"} for url, version in versions.items()]
