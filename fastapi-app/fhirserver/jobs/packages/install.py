"""The conformance resources of a package into the database, as ordinary resources.

A resource is known by its canonical URL and version: one that is there and the same is left alone, one that is there
and differs becomes that of the package. Another version stands beside those that are there, under another id; except a
SearchParameter, of which the server has one for each URL: the newest, and an older one is left out. Resources that
break rules of R4 beyond its structure are taken in all the same, as published packages do have some.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Protocol

from fhirserver.fhir.datatypes.ids import is_id
from fhirserver.fhir.datatypes.versions import order_of_version
from fhirserver.fhir.outcomes import FhirError, InvalidResource, Issue
from fhirserver.fhir.resource_json import parse
from fhirserver.interactions.context import Call, Server
from fhirserver.interactions.current import Current
from fhirserver.interactions.search import search
from fhirserver.interactions.store import StoredResource
from fhirserver.interactions.update import update
from fhirserver.jobs.packages.archive import Manifest, PackageError, Unreadable, manifest, resources
from fhirserver.terminology.store import Stored

Json = dict[str, Any]
State = Literal["new", "changed", "unchanged", "older", "refused"]

FHIR = "4.0"
_LONGEST_ID = 64
_SHOWN = 5
_OWN = {"hl7.fhir.r4.core", "hl7.fhir.r4.expansions"}  # what the server comes with


class Canonicals(Protocol):
    """Finds what is stored by its canonical URL; each call is one statement."""

    async def stored(self, resource_type: str, parameter: str, uris: Sequence[str]) -> list[Stored]:
        """The current resources of a type that one of these URIs finds by a search parameter."""
        ...

    async def read_many(self, targets: Sequence[tuple[str, str]]) -> dict[tuple[str, str], StoredResource]:
        """The current versions of these (type, id), deletions included."""
        ...


@dataclass(slots=True)
class Report:
    """What became of the resources, by type. `refused` and `doubtful` are names with reasons: what was not taken in,
    and what was although it breaks rules of R4. `missing` are packages that it needs and that are not there."""

    package: Manifest
    states: dict[str, Counter[State]] = field(default_factory=dict)
    refused: list[tuple[str, str]] = field(default_factory=list)
    doubtful: list[tuple[str, str]] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    def count(self, resource_type: str, state: State) -> None:
        """One more of this type."""
        self.states.setdefault(resource_type, Counter())[state] += 1


async def install(current: Current, call: Call, store: Canonicals, path: Path) -> Report:
    """Store what is in the package at this path. Raises `PackageError`: for one that is damaged midway, what came
    before is stored; installing it again goes on from there."""
    report = Report(manifest(path))
    versions = report.package.fhir_versions
    if versions and not any(version.startswith(FHIR) for version in versions):
        raise PackageError(f"{path} is for FHIR {', '.join(versions)[:100]}, not for {FHIR}")
    for resource in resources(path, current.server.limits.max_nesting):
        if isinstance(resource, Unreadable):
            report.refused.append((resource.name, resource.reason))
            continue
        resource_type = str(resource["resourceType"])
        name = f"{resource_type} {resource.get('url', resource.get('id', 'without url and id'))}"
        try:
            # What was written just now may have changed how the server works.
            state, issues = await _take_in(await current.refresh(), call, store, resource_type, resource)
        except FhirError as error:
            if error.status >= 500:
                raise
            report.refused.append((name, _reasons(error.issues)))
            report.count(resource_type, "refused")
            continue
        report.count(resource_type, state)
        if issues:
            report.doubtful.append((name, _reasons(issues)))
    if not report.states and not report.refused:
        raise PackageError(f"{path} has none of the resources that are taken from packages")
    known = {package.name for package in await installed(current.server, call)} | _OWN
    report.missing = [f"{name} {wanted}" for name, wanted in report.package.dependencies.items() if name not in known]
    return report


async def installed(server: Server, call: Call) -> list[Manifest]:
    """The packages that are there: those whose ImplementationGuide is stored, by name and version."""
    asked = [("_count", "1000"), ("_elements", "packageId,version,fhirVersion")]
    found = parse(await search(server, call, "ImplementationGuide", asked, lenient=False), max_depth=500)
    guides = [entry["resource"] for entry in found.get("entry", ())]
    return sorted(
        (Manifest(guide["packageId"], guide.get("version"), tuple(guide["fhirVersion"])) for guide in guides),
        key=lambda package: (package.name or "", order_of_version(package.version)),
    )


async def _take_in(
    server: Server, call: Call, store: Canonicals, resource_type: str, resource: Json
) -> tuple[State, list[Issue]]:
    """Store it, if it is not there; its errors beyond structure. Raises `InvalidResource` and what writing raises."""
    id = resource.get("id")
    if not isinstance(id, str) or not is_id(id):
        raise InvalidResource("it has no id")
    there = await _same(store, resource_type, resource)
    taken = there.get(id)
    version = resource.get("version")
    same = [stored_id for stored_id, other in there.items() if _is_same(resource, other)]
    if not same and resource_type == "SearchParameter":
        same = list(there)
        newest = max((other.get("version") for other in there.values()), key=order_of_version, default=None)
        if order_of_version(newest) > order_of_version(version):
            return "older", []
    if same:
        id = id if id in same else same[0]
    if same and _content(there[id]) == _content(resource):
        return "unchanged", []
    if not same and (taken is not None or await _is_taken(store, resource_type, id)):
        id = _other_id(id, str(version or "other"))
        if await _is_taken(store, resource_type, id):
            raise InvalidResource(f"the ids {resource['id']} and {id} are taken by others")
    issues = [issue for issue in server.validator.validate(resource, resource_type) if issue.is_error]
    lowered = replace(server, validation=replace(server.validation, mode="structure")) if issues else server
    await update(lowered, call, resource_type, id, resource | {"id": id})
    return "changed" if same else "new", issues


async def _same(store: Canonicals, resource_type: str, resource: Json) -> Mapping[str, Json]:
    """What is stored with its URL or, of one without, with its id; by id."""
    url = resource.get("url")
    if isinstance(url, str):
        ids = [(resource_type, found.id) for found in await store.stored(resource_type, "url", [url])]
    else:
        ids = [(resource_type, str(resource["id"]))]
    found = await store.read_many(ids) if ids else {}
    return {id: parse(stored.live, max_depth=500) for (_, id), stored in found.items() if not stored.deleted}


def _is_same(resource: Json, other: Json) -> bool:
    """Whether they are by name the same: of one without URL, its id, which is that of the other, is its name."""
    return other.get("url") == resource.get("url") and other.get("version") == resource.get("version")


async def _is_taken(store: Canonicals, resource_type: str, id: str) -> bool:
    found = await store.read_many([(resource_type, id)])
    return any(not stored.deleted for stored in found.values())


def _other_id(id: str, version: str) -> str:
    suffix = "-" + "".join(c if c.isascii() and (c.isalnum() or c in "-.") else "-" for c in version)
    return id[: _LONGEST_ID - len(suffix)] + suffix if len(suffix) < _LONGEST_ID else suffix[1 : _LONGEST_ID + 1]


def _content(resource: Json) -> Json:
    """A resource without what the server gives it."""
    meta = {name: value for name, value in resource.get("meta", {}).items() if name not in ("versionId", "lastUpdated")}
    content = {name: value for name, value in resource.items() if name not in ("id", "meta")}
    return content | {"meta": meta} if meta else content


def _reasons(issues: Iterable[Issue]) -> str:
    listed = [
        f"{', '.join(issue.expression)}: {issue.diagnostics}" if issue.expression else issue.diagnostics
        for issue in issues
    ]
    more = len(listed) - _SHOWN
    return "; ".join(listed[:_SHOWN]) + (f"; and {more} more" if more > 0 else "")
