"""`_include` and `_revinclude`: resources that come along with the matches.

https://hl7.org/fhir/R4/search.html#revinclude
"""

from collections.abc import Iterable, Sequence

from fhirserver.fhir.outcomes import TooCostly
from fhirserver.fhir.resource_json import parse
from fhirserver.interactions.context import Call, Server
from fhirserver.interactions.permission import read_many, visible
from fhirserver.interactions.store import StoredResource
from fhirserver.search.request import Include, SearchRequest

_LEVELS = 10


async def included(
    server: Server, call: Call, request: SearchRequest, matches: Sequence[StoredResource]
) -> list[StoredResource]:
    """What the matches refer to, and what refers to them, each once, matches excepted.

    Includes with `:iterate` are applied to what was included too, until nothing new comes. `TooCostly` if more come
    along than the server's limit.
    """
    if not request.includes and not request.revincludes:
        return []
    seen = {(version.resource_type, version.id) for version in matches}
    others: list[StoredResource] = []
    level: Sequence[StoredResource] = matches
    for depth in range(_LEVELS):
        forward = [include for include in request.includes if include.iterate or depth == 0]
        backward = [include for include in request.revincludes if include.iterate or depth == 0]
        found = [
            *await _targets(server, call, forward, level, seen),
            *await _sources(server, call, backward, level, seen),
        ]
        if not found:
            break
        others += found
        if len(others) > server.limits.max_includes:
            raise TooCostly(f"more than {server.limits.max_includes} resources would be included")
        level = found
    return others


async def _targets(
    server: Server,
    call: Call,
    includes: Sequence[Include],
    sources: Iterable[StoredResource],
    seen: set[tuple[str, str]],
) -> list[StoredResource]:
    """What these resources refer to by the parameters of the includes."""
    wanted: dict[tuple[str, str], None] = {}
    for source in sources:
        applied = [include for include in includes if include.resource_type in (source.resource_type, "*")]
        if not applied or source.content is None:
            continue
        resource = parse(source.content)
        for include in applied:
            for target in server.extractor.references(resource, source.resource_type, include.parameter, call.base_url):
                if include.target_type in (None, target[0]) and target not in seen:
                    wanted[target] = None
    if not wanted:
        return []
    found = await read_many(server, call, "search", list(wanted))
    return _fresh((found[target] for target in wanted if target in found), seen)


async def _sources(
    server: Server,
    call: Call,
    includes: Sequence[Include],
    targets: Iterable[StoredResource],
    seen: set[tuple[str, str]],
) -> list[StoredResource]:
    """What refers to these resources by the parameters of the includes."""
    addresses = [(target.resource_type, target.id) for target in targets]
    found: list[StoredResource] = []
    for include in includes:
        request = server.extractor.referring(include, addresses, server.limits.max_includes - len(found) + 1)
        if request is None:
            continue
        found += _fresh((await server.store.search(visible(server, call, request))).matches, seen)
    return found


def _fresh(versions: Iterable[StoredResource], seen: set[tuple[str, str]]) -> list[StoredResource]:
    fresh = []
    for version in versions:
        address = (version.resource_type, version.id)
        if version.content is not None and version.permitted and address not in seen:
            seen.add(address)
            fresh.append(version)
    return fresh
