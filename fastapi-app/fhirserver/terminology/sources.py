"""Which value sets, code systems and concept maps there are, and what is in them.

What a canonical URL means is asked of the database again after a second, so that all processes see what others write;
what this process writes it sees at once (`forget`). Resources are kept by id and version, up to a size; so what is
asked for again costs no statement, or one that reads no content.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

import orjson

from fhirserver.fhir.datatypes.versions import order_of_version
from fhirserver.fhir.outcomes import NotFound, Unprocessable
from fhirserver.fhir.resource_json import parse
from fhirserver.fhir.terminology.built_in import BuiltIn
from fhirserver.fhir.terminology.code_system import CodeSystem, System
from fhirserver.fhir.terminology.compose import Contents, SystemKey, canonical, contents, imports
from fhirserver.fhir.terminology.concepts import Json
from fhirserver.fhir.terminology.grammars import GRAMMARS
from fhirserver.fhir.terminology.implicit import implicit_value_set
from fhirserver.terminology.store import LoadedSystem, Stored, TerminologyStore

FRESH_SECONDS = 1.0
_KEPT_BYTES = 32 * 1024 * 1024
_KEPT_ANSWERS = 20_000
_KEPT_CONTENTS = 512
_LARGE = 256 * 1024
_MOST_IMPORTS = 1_000
_TYPES = frozenset(("CodeSystem", "ConceptMap", "ValueSet"))

KnownSystem = System | LoadedSystem


@dataclass(frozen=True, slots=True)
class Version:
    """A version of a stored resource."""

    resource_type: str
    id: str
    version_id: int


Identity = Version | str
"""What stands behind a canonical URL: a stored version, or a URL that R4 itself or a code system defines."""


class NotKnown(NotFound):
    """A value set, code system or concept map that nothing here defines: a remote server might."""


class Sources:
    """`now` is a clock in seconds that never goes back."""

    def __init__(self, store: TerminologyStore, built_in: BuiltIn, now: Callable[[], float]):
        self.store = store
        self.built_in = built_in
        self._now = now
        self._writes = 0
        self._stored: dict[tuple[str, str, str], tuple[float, tuple[Stored, ...]]] = {}
        self._loaded: dict[str, tuple[float, tuple[LoadedSystem, ...]]] = {}
        self._resources = _Resources(store)
        self._contents: OrderedDict[str, tuple[Mapping[str, Identity | None], Contents]] = OrderedDict()

    def forget(self, resource_types: Iterable[str]) -> None:
        """Resources of these types were written by this process."""
        types = _TYPES.intersection(resource_types)
        if types:
            self._writes += 1
            for key in [key for key in self._stored if key[0] in types]:
                del self._stored[key]

    async def ask_for(self, value_sets: Sequence[str]) -> None:
        """Find out with one statement what stands behind all of these, as they will be asked for one by one."""
        await self._find("ValueSet", "url", [canonical(text)[0] for text in value_sets])

    async def value_set(self, url: str) -> Json | None:
        """A value set by its canonical URL."""
        identity = (await self._identify("ValueSet", [url]))[url]
        return None if identity is None else await self._value_set(identity)

    async def resource(self, resource_type: str, id: str) -> Json:
        """A stored resource. Raises `NotFound`, also for a deleted one."""
        found = await self._resources.of([Version(resource_type, id, -1)])
        if not found:
            raise NotFound(f"{resource_type}/{id} is not known")
        return _json(next(iter(found.values())))

    async def contents(self, value_set: str | Json) -> Contents:
        """What a value set contains. Raises `NotFound` if it is not known, `Unprocessable` if it can't be evaluated."""
        if isinstance(value_set, dict):
            known = await self._imported(value_set)
            return contents(value_set, lambda url: _required(known, url))
        kept = self._contents.get(value_set)
        if kept is not None:
            if await self._identify("ValueSet", list(kept[0])) == kept[0]:
                self._contents.move_to_end(value_set)
                return kept[1]
            del self._contents[value_set]
        resource = await self.value_set(value_set)
        if resource is None:
            raise NotKnown(f"the value set '{value_set[:200]}' is not known")
        known = await self._imported(resource)
        found = contents(resource, lambda url: _required(known, url))
        self._contents[value_set] = await self._identify("ValueSet", [value_set, *known]), found
        if len(self._contents) > _KEPT_CONTENTS:
            self._contents.popitem(last=False)
        return found

    async def code_systems(self, keys: Iterable[SystemKey]) -> dict[SystemKey, KnownSystem]:
        """Those of these code systems (URL, version or None) that are known."""
        wanted = list(dict.fromkeys(keys))
        urls = list(dict.fromkeys(url for url, _ in wanted))
        stored = await self._stored_systems(urls)
        loaded = await self._loaded_systems(urls)
        found: dict[SystemKey, KnownSystem] = {}
        for url, version in wanted:
            candidates: list[KnownSystem] = [*stored.get(url, ()), *loaded[url]]
            chosen = newest([system for system in candidates if _is_version(system.version, version)])
            system = chosen or self.built_in.code_system(url, version) or GRAMMARS.get(url)
            if system is not None:
                found[url, version] = system
        return found

    async def all_code_systems(self) -> list[tuple[str, str | None]]:
        """URL and version of every code system that is known."""
        found = {
            *await self.store.stored_code_systems(),
            *((system.url, system.version) for system in await self.store.loaded()),
            *self.built_in.urls("CodeSystem"),
            *((url, None) for url in GRAMMARS),
        }
        return sorted(found, key=lambda system: (system[0], system[1] or ""))

    async def concept_map(self, url: str) -> Json | None:
        """A concept map by its canonical URL."""
        address, version = canonical(url)
        stored = await self._maps("url", address)
        matching = [item for item in stored if _is_version(item.get("version"), version)]
        return max(matching, key=_rank, default=None) or self.built_in.resource("ConceptMap", url)

    async def concept_maps_of(self, system: str, *, as_target: bool) -> list[Json]:
        """All concept maps from (or to) a code system."""
        stored = await self._maps("target-system" if as_target else "source-system", system)
        urls = {item.get("url") for item in stored}
        return [
            *stored,
            *(item for item in self.built_in.concept_maps_of(system, as_target=as_target) if item["url"] not in urls),
        ]

    async def _maps(self, parameter: str, uri: str) -> list[Json]:
        stored = (await self._find("ConceptMap", parameter, [uri]))[uri]
        found = await self._resources.of([Version("ConceptMap", item.id, item.version_id) for item in stored])
        return [_json(resource) for resource in found.values()]

    async def _identify(self, resource_type: str, canonicals: Sequence[str]) -> dict[str, Identity | None]:
        """What stands behind each of these."""
        stored = await self._find(resource_type, "url", [canonical(text)[0] for text in canonicals])
        found: dict[str, Identity | None] = {}
        for text in canonicals:
            url, version = canonical(text)
            candidates = [Version(resource_type, item.id, item.version_id) for item in stored[url]]
            found[text] = await self._chosen(candidates, version)
            if found[text] is None and (self.built_in.value_set(text) or await self._implied(text)):
                found[text] = text
        return found

    async def _chosen(self, candidates: Sequence[Version], version: str | None) -> Version | None:
        if len(candidates) < 2 and version is None:
            return next(iter(candidates), None)
        resources = await self._resources.of(candidates)
        matching = [
            (resource, identity)
            for identity, resource in resources.items()
            if _is_version(_json(resource).get("version"), version)
        ]
        return max(matching, key=lambda pair: _rank(_json(pair[0])))[1] if matching else None

    async def _implied(self, text: str) -> Json | None:
        value_set = implicit_value_set(text)
        if value_set is None:
            return None
        include = value_set["compose"]["include"][0]
        key = include["system"], include.get("version")
        return value_set if await self.code_systems([key]) else None

    async def _value_set(self, identity: Identity) -> Json | None:
        if isinstance(identity, str):
            return self.built_in.value_set(identity) or implicit_value_set(identity)
        found = await self._resources.of([identity])
        return next((_json(resource) for resource in found.values()), None)

    async def _imported(self, value_set: Json) -> dict[str, Json]:
        """All value sets that this one imports, directly or not, by their canonicals."""
        url = value_set.get("url")
        found: dict[str, Json] = {url: value_set} if isinstance(url, str) else {}
        waiting = [url for url in dict.fromkeys(imports(value_set)) if url not in found]
        while waiting:
            if len(found) + len(waiting) > _MOST_IMPORTS:
                raise Unprocessable("the value set is made of too many others", code="too-costly")
            identities = await self._identify("ValueSet", waiting)
            for url, identity in identities.items():
                resource = None if identity is None else await self._value_set(identity)
                if resource is not None:
                    found[url] = resource
            known = [found[url] for url in waiting if url in found]
            waiting = [url for url in dict.fromkeys(url for item in known for url in imports(item)) if url not in found]
        return found

    async def _stored_systems(self, urls: Sequence[str]) -> dict[str, list[CodeSystem]]:
        """The stored code systems that have concepts, by URL."""
        stored = await self._find("CodeSystem", "url", urls)
        versions = [Version("CodeSystem", item.id, item.version_id) for listed in stored.values() for item in listed]
        found: dict[str, list[CodeSystem]] = {}
        for system in (await self._resources.of(versions)).values():
            if isinstance(system, CodeSystem) and len(system) and system.content != "supplement":
                found.setdefault(system.url, []).append(system)
        return found

    async def _loaded_systems(self, urls: Sequence[str]) -> dict[str, tuple[LoadedSystem, ...]]:
        now = self._now()
        answers = {url: known[1] for url in urls if (known := self._loaded.get(url)) is not None and known[0] >= now}
        missing = [url for url in urls if url not in answers]
        if missing:
            _shrink(self._loaded)
            loaded = await self.store.loaded(missing)
            for url in missing:
                answers[url] = tuple(system for system in loaded if system.url == url)
                self._loaded[url] = now + FRESH_SECONDS, answers[url]
        return answers

    async def _find(self, resource_type: str, parameter: str, uris: Sequence[str]) -> dict[str, tuple[Stored, ...]]:
        now = self._now()
        known = self._stored
        keys = {uri: (resource_type, parameter, uri) for uri in uris}
        answers = {uri: kept[1] for uri, key in keys.items() if (kept := known.get(key)) is not None and kept[0] >= now}
        missing = [uri for uri in keys if uri not in answers]
        if missing:
            _shrink(known)
            writes = self._writes
            found = await self.store.stored(resource_type, parameter, missing)
            # What was written meanwhile may not be in it: then it is good for this answer only.
            until = now + FRESH_SECONDS if writes == self._writes else -inf
            for uri in missing:
                answers[uri] = tuple(item for item in found if item.uri == uri)
                known[keys[uri]] = until, answers[uri]
        return answers


class _Resources:
    """Stored resources by version: CodeSystem objects, and the JSON of others. The least used ones are given up."""

    def __init__(self, store: TerminologyStore):
        self._store = store
        self._kept: OrderedDict[Version, tuple[int, Json | CodeSystem]] = OrderedDict()
        self._size = 0

    async def of(self, versions: Sequence[Version]) -> dict[Version, Json | CodeSystem]:
        """These versions, or newer ones, by their own identity; without those that are deleted."""
        found: dict[Version, Json | CodeSystem] = {}
        missing: list[tuple[str, str]] = []
        for version in versions:
            kept = self._kept.get(version)
            if kept is None:
                missing.append((version.resource_type, version.id))
            else:
                self._kept.move_to_end(version)
                found[version] = kept[1]
        if missing:
            for (resource_type, id), stored in (await self._store.read_many(missing)).items():
                if stored.content is not None:
                    version = Version(resource_type, id, stored.version_id)
                    found[version] = await self._read(version, stored.content)
        return found

    async def _read(self, version: Version, content: bytes) -> Json | CodeSystem:
        kept = self._kept.get(version)
        if kept is not None:
            return kept[1]
        read = _read(content) if len(content) < _LARGE else await asyncio.to_thread(_read, content)
        if version not in self._kept:
            self._kept[version] = len(content), read
            self._size += len(content)
            while self._size > _KEPT_BYTES and len(self._kept) > 1:
                self._size -= self._kept.popitem(last=False)[1][0]
        return read


def _read(content: bytes) -> Json | CodeSystem:
    # Only decimals need the exact reader, which is many times slower.
    resource: Json = parse(content, max_depth=250) if b'"valueDecimal"' in content else orjson.loads(content)
    return CodeSystem(resource) if resource.get("resourceType") == "CodeSystem" else resource


def _json(resource: Json | CodeSystem) -> Json:
    return resource.header if isinstance(resource, CodeSystem) else resource


def _required(known: Mapping[str, Json], url: str) -> Json:
    if url not in known:
        raise Unprocessable(f"the value set '{url[:200]}' is not known", code="not-found")
    return known[url]


def _is_version(version: str | None, wanted: str | None) -> bool:
    """Whether a version is the wanted one; an edition of SNOMED CT stands for all of its versions."""
    return wanted is None or version == wanted or (version or "").startswith(f"{wanted}/")


def newest(systems: Sequence[KnownSystem]) -> KnownSystem | None:
    """The one with the highest version; of the same version the first."""
    return max(systems, key=lambda system: order_of_version(system.version), default=None)


def _rank(resource: Json) -> tuple[bool, tuple[tuple[int, int, str], ...]]:
    return resource.get("status") != "retired", order_of_version(resource.get("version"))


def _shrink(answers: dict[Any, Any]) -> None:
    if len(answers) > _KEPT_ANSWERS:
        answers.clear()
