"""A release into the tables: read once, to know the hierarchy; then each concept with all that is above it is stored.

A CodeSystem resource without concepts is stored too, so that the code system is found like any other.
"""

import asyncio
import pickle
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import IO, Protocol

from fhirserver.fhir.datatypes.ids import is_id
from fhirserver.fhir.terminology.compose import canonical
from fhirserver.fhir.terminology.concepts import Concept, Json
from fhirserver.interactions.context import Call, Server
from fhirserver.interactions.delete import delete
from fhirserver.interactions.update import update
from fhirserver.interactions.validation import check
from fhirserver.jobs.terminology import icd10, loinc, snomed, tables
from fhirserver.jobs.terminology.release import CodeSystemRelease, Options, Release, ReleaseError
from fhirserver.terminology.sources import FRESH_SECONDS
from fhirserver.terminology.store import LoadedSystem, PlacedConcept

_BATCH = 5_000
_DEEPEST = 5_000

Reader = Callable[[Release, Options], CodeSystemRelease]

READERS: Mapping[str, Sequence[tuple[Callable[[Release], bool], Reader]]] = {
    "snomed": [(snomed.is_snomed, snomed.read)],
    "loinc": [(loinc.is_loinc, loinc.read)],
    "icd10": [(icd10.is_order_file, icd10.read_order_file), (icd10.is_claml, icd10.read_claml)],
    "fhir": [(tables.is_resource, tables.read_resource)],
    "csv": [(tables.is_table, tables.read_table)],
}
"""By kind: how releases are recognised, and how they are read."""


class ConceptTables(Protocol):
    """Where code systems are stored."""

    async def start_loading(self, header: Json) -> int:
        """Begin a code system, by its CodeSystem resource without concepts; its key."""
        ...

    async def add_concepts(self, key: int, batch: Sequence[PlacedConcept]) -> None:
        """Add concepts to it."""
        ...

    async def finish_loading(self, key: int, header: Json, size: int) -> None:
        """Let all see it, in the place of the one with the same URL and version."""
        ...

    async def loaded(self, urls: Sequence[str] | None = None) -> list[LoadedSystem]:
        """The loaded code systems with these URLs, or all."""
        ...

    async def remove(self, url: str, version: str | None) -> int:
        """Take a code system away, or one version of it; how many versions that were."""
        ...

    async def clean(self) -> None:
        """Remove the concepts of code systems that are no more."""
        ...


def open_release(path: Path, kind: str | None, options: Options) -> CodeSystemRelease:
    """The code system in a file or folder. Raises `ReleaseError` if it is none that can be read."""
    release = Release(path)
    for name, readers in READERS.items():
        if kind in (None, name):
            for recognised, read in readers:
                if recognised(release):
                    return read(release, options)
    what = f"a release of kind {kind}" if kind else f"a release of any kind ({', '.join(READERS)})"
    raise ReleaseError(f"{path} is not {what}")


async def load(
    server: Server,
    call: Call,
    store: ConceptTables,
    release: CodeSystemRelease,
    progress: Callable[[int], None],
    grace: float = 2 * FRESH_SECONDS,
) -> LoadedSystem:
    """Store a code system. `progress` hears of every batch. Raises `ReleaseError`, `InvalidResource`.

    What it replaces goes after `grace` seconds, when nobody can be using it any more.
    """
    with tempfile.TemporaryFile() as spool:
        parents, properties = _spool(release.concepts, spool)
        header = release.header | {"id": _id(release.header), "count": len(parents)}
        header["property"] = _property_definitions(header, properties)
        header = {name: value for name, value in header.items() if value != []}
        await check(server, call, "CodeSystem", header)
        key = await store.start_loading(header)
        concepts = _placed(spool, parents)
        while batch := list(islice(concepts, _BATCH)):
            await store.add_concepts(key, batch)
            progress(len(batch))
    await store.finish_loading(key, header, len(parents))
    await update(server, call, "CodeSystem", str(header["id"]), header)
    await asyncio.sleep(grace)
    await store.clean()
    return LoadedSystem(key, str(header["url"]), header.get("version"), header, len(parents))


async def remove(server: Server, call: Call, store: ConceptTables, system: str) -> int:
    """Take a code system (URL, or URL|version) away, with its resource; how many versions that were."""
    url, version = canonical(system)
    for found in await store.loaded([url]):
        if version in (None, found.version):
            await delete(server, call, "CodeSystem", str(found.header["id"]))
    removed = await store.remove(url, version)
    await store.clean()
    return removed


def _spool(concepts: Iterator[Concept], spool: IO[bytes]) -> tuple[dict[str, Sequence[str]], dict[str, str]]:
    """Put all concepts aside; the parents of each code, and the types of all properties."""
    parents: dict[str, Sequence[str]] = {}
    properties: dict[str, str] = {}
    for concept in concepts:
        if not concept.code:
            raise ReleaseError(f"concept {len(parents) + 1} ('{concept.display}') has no code")
        if concept.code in parents:
            raise ReleaseError(f"the code '{concept.code}' is there twice")
        parents[concept.code] = tuple(concept.parents)
        for item in concept.properties:
            kind = next((name for name in item if name.startswith("value")), "valueString")
            properties.setdefault(str(item["code"]), kind[5].lower() + kind[6:])
        pickle.dump(concept, spool)
    if not parents:
        raise ReleaseError("there is no concept in it")
    spool.seek(0)
    return parents, properties


def _placed(spool: IO[bytes], parents: Mapping[str, Sequence[str]]) -> Iterator[PlacedConcept]:
    for ordinal in range(len(parents)):
        concept: Concept = pickle.load(spool)  # noqa: S301 - this process has written it  # nosec B301
        yield PlacedConcept(ordinal, concept, _above(concept.code, parents))


def _above(code: str, parents: Mapping[str, Sequence[str]]) -> list[str]:
    """All that is above a code, without itself."""
    found: dict[str, None] = {}
    waiting = list(parents.get(code, ()))
    while waiting:
        other = waiting.pop()
        if other not in found and other != code:
            found[other] = None
            waiting += parents.get(other, ())
        if len(found) > _DEEPEST:
            raise ReleaseError(f"more than {_DEEPEST} concepts are above '{code}'")
    return list(found)


def _id(header: Json) -> str:
    """The id of the CodeSystem resource: its name and version."""
    version = str(header.get("version", "")).replace("http://snomed.info/sct/", "")
    text = f"{header.get('name', 'CodeSystem')}-{version}".rstrip("-")
    id = "".join(c if c.isascii() and (c.isalnum() or c in "-.") else "-" for c in text)[:64]
    return id if is_id(id) else "CodeSystem"


def _property_definitions(header: Json, properties: Mapping[str, str]) -> list[Json]:
    known = list(header.get("property", ()))
    codes = {item.get("code") for item in known}
    return known + [{"code": code, "type": kind} for code, kind in properties.items() if code not in codes]
