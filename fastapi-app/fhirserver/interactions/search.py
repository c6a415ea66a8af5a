"""https://hl7.org/fhir/R4/search.html"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from urllib.parse import urlencode

from fhirserver.fhir.bundle_json import BundleEntry, assemble
from fhirserver.fhir.outcomes import InvalidRequest, Issue, NotFound, operation_outcome
from fhirserver.fhir.resource_json import parse, serialize
from fhirserver.fhir.shaping import selected, summarised, text_only, without_text
from fhirserver.interactions.compartments import routed
from fhirserver.interactions.contained import contained_matches
from fhirserver.interactions.context import Call, Server
from fhirserver.interactions.explain import explanation
from fhirserver.interactions.includes import included
from fhirserver.interactions.named_queries import with_named_query
from fhirserver.interactions.pending import settled
from fhirserver.interactions.permission import require, require_any, visible
from fhirserver.interactions.store import StoredResource
from fhirserver.interactions.versions import require_id, require_type
from fhirserver.search.query.parse import parse_query
from fhirserver.search.request import SearchRequest


async def search(
    server: Server,
    call: Call,
    resource_type: str,
    params: Sequence[tuple[str, str]],
    lenient: bool,
    compartment: tuple[str, str] | None = None,
) -> bytes:
    """One page of what matches, and what it includes, as a Bundle of type searchset.

    `resource_type` is empty to search several types; `compartment` is the (type, id) whose compartment is searched.
    `params` are those of URL and body. With `lenient`, an unknown parameter is left out of the self link and a
    warning is added; else it is an `InvalidRequest`. The total is given where it costs nothing, or is asked for.
    """
    if resource_type:
        require_type(server, resource_type)
        require(call, "search", resource_type)
    else:
        require_any(server, call, "search")
    kind = "search-compartment" if compartment is not None else "search-type" if resource_type else "search-system"
    if compartment is not None:
        require_compartment(server, *compartment)
    request = parse_query(
        await with_named_query(server, call, resource_type, params),
        resource_type,
        server.definitions,
        server.zone,
        call.base_url,
        lenient=lenient,
        now=server.clock(),
        compartment=compartment,
    )
    limits = server.limits
    asked = await settled(server, call, request.bounded(limits.default_count, limits.max_count))
    asked = await routed(server, asked, compartment)
    request = visible(server, call, asked)
    outcome = list(request.ignored)
    if request.explain:
        if request != replace(asked, restricted=True):
            raise InvalidRequest(
                "_explain is for those who may search everything, also what labels and Consents keep back;"
                " where they do, break the glass (X-Purpose-Of-Use)",
                code="forbidden",
                expression="_explain",
            )
        outcome += await explanation(server, request)
    if request.count == 0 or request.summary == "count":
        counted = await server.store.count(request, estimate=request.total == "estimate")
        call.trail.listed(kind, request.path, params, ())
        return _bundle(server, call, request, (), (), outcome, counted, None, None)
    page = await server.store.search(request)
    total = await _total(server, request, len(page.matches), page.next is not None)
    if request.summary == "text" and (request.includes or request.revincludes):
        raise InvalidRequest("_include and _revinclude do not go with _summary=text", expression="_summary")
    others = await included(server, call, request, page.matches)
    call.trail.listed(kind, request.path, params, [*page.matches, *others])
    return _bundle(
        server,
        call,
        request,
        [_shaped(server, request, version, request.elements) for version in page.matches],
        [_shaped(server, request, version, ()) for version in others],
        outcome,
        total,
        page.next,
        page.previous,
    )


def require_compartment(server: Server, code: str, id: str) -> None:
    """`NotFound` unless R4 has such a compartment, `InvalidRequest` unless this is an id."""
    if code not in server.definitions.compartments:
        raise NotFound(f"R4 has no compartment of a {code[:80]}", code="not-supported")
    require_id(id)


def _shaped(server: Server, request: SearchRequest, version: StoredResource, elements: Sequence[str]) -> StoredResource:
    """The version with the part of its content that was asked for; `elements` are those of `_elements`."""
    if request.summary in (None, "false") and not elements:
        return version
    resource = parse(version.live)
    if request.summary == "true":
        shaped = summarised(resource, server.definitions)
    elif request.summary == "text":
        shaped = text_only(resource, server.definitions)
    elif request.summary == "data":
        shaped = without_text(resource)
    else:
        shaped = selected(resource, elements, server.definitions)
    return replace(version, content=serialize(shaped))


async def _total(server: Server, request: SearchRequest, found: int, more: bool) -> int | None:
    if request.cursor is None and not more:
        return found
    if request.total == "none":
        return None
    return await server.store.count(request, estimate=request.total == "estimate")


def _bundle(
    server: Server,
    call: Call,
    request: SearchRequest,
    matches: Iterable[StoredResource],
    others: Iterable[StoredResource],
    outcome: Sequence[Issue],
    total: int | None,
    next_page: str | None,
    previous_page: str | None,
) -> bytes:
    links = [("self", _link(call, request, request.cursor))]
    if previous_page is not None:
        links.append(("previous", _link(call, request, previous_page)))
    if next_page is not None:
        links.append(("next", _link(call, request, next_page)))
    entries = [entry for version in matches for entry in _matches(server, call, request, version)]
    entries += [_entry(call, version, "include") for version in others]
    if outcome:
        entries.append(BundleEntry(None, serialize(operation_outcome(outcome)), {"search": {"mode": "outcome"}}))
    return assemble("searchset", entries, links=links, total=total)


def _link(call: Call, request: SearchRequest, cursor: str | None) -> str:
    params = [*request.applied, *([("_cursor", cursor)] if cursor is not None else [])]
    address = f"{call.base_url}/{request.path}".rstrip("/")
    return f"{address}?{urlencode(params, safe=':,|/$')}" if params else address


def _matches(server: Server, call: Call, request: SearchRequest, version: StoredResource) -> Sequence[BundleEntry]:
    """The entries for a match: it or, where that is asked for, what matches in it."""
    if request.contained is not None:
        found = list(contained_matches(server, call, request.contained, version))
        if found:
            return found
    return [_entry(call, version, "match")]


def _entry(call: Call, version: StoredResource, mode: str) -> BundleEntry:
    return BundleEntry(
        f"{call.base_url}/{version.resource_type}/{version.id}", version.content, {"search": {"mode": mode}}
    )
