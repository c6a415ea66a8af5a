"""https://hl7.org/fhir/R4/http.html#history"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import urlencode

from fhirserver.fhir.bundle_json import BundleEntry, assemble
from fhirserver.fhir.datatypes.dates import date_interval
from fhirserver.fhir.datatypes.ids import embedded_bucket
from fhirserver.fhir.outcomes import InvalidRequest, NotFound
from fhirserver.interactions.context import Call, Server
from fhirserver.interactions.permission import matches, read_current, read_many, require, require_any, within
from fhirserver.interactions.store import HistoryPage, HistoryRequest, StoredResource
from fhirserver.interactions.versions import instant, require_id, require_type
from fhirserver.search.query.tree import NOTHING
from fhirserver.search.rewrite.restrict import buckets_of

_IGNORED = frozenset({"_format", "_pretty"})
_PAGES_AT_ONCE = 10
_LAST_SECOND = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp()


async def history(
    server: Server,
    call: Call,
    resource_type: str | None,
    id: str | None,
    params: Sequence[tuple[str, str]],
) -> bytes:
    """The versions of a resource, a type or everything, newest first, as a Bundle of type history.

    `params` are those of the URL: `_count`, `_since`, `_at`, and `_cursor` of a next link. `NotFound` if the
    resource never existed. A call that may not see everything sees the versions that it may see of the resources that
    it may see now; its pages can be shorter than `_count`.
    """
    if resource_type is not None:
        require_type(server, resource_type)
    if id is not None:
        require_id(id)
    request = _request(server, resource_type, id, params)
    if resource_type is not None and id is not None:
        page = await _of_resource(server, call, request, resource_type, id)
    else:
        page = await _of_many(server, call, _narrowed(server, call, request))
    path = "/".join(part for part in (resource_type, id, "_history") if part)
    address = f"{call.base_url}/{path}"
    kind = "history-instance" if id else "history-type" if resource_type else "history-system"
    call.trail.listed(kind, path, params, page.versions if request.count else (), id)
    applied = [(name, value) for name, value in params if name not in _IGNORED]
    links = [("self", _url(address, applied))]
    if page.next is not None:
        rest = [(name, value) for name, value in applied if name != "_cursor"]
        links.append(("next", _url(address, [*rest, ("_cursor", page.next)])))
    return assemble(
        "history",
        [_entry(call, version) for version in page.versions] if request.count else (),
        links=links,
    )


async def _of_resource(server: Server, call: Call, request: HistoryRequest, resource_type: str, id: str) -> HistoryPage:
    is_restricted = require(call, "read", resource_type) is not None
    if is_restricted:
        now = await read_current(server, call, "read", resource_type, id)
        if now is None or not now.permitted:
            raise NotFound(f"{resource_type}/{id} is not known")
    page = await server.store.history(request)
    if is_restricted:
        versions = [one for one in page.versions if one.deleted or matches(server, call, "read", one)]
        return replace(page, versions=versions)
    if not page.versions and await read_current(server, call, "read", resource_type, id) is None:
        raise NotFound(f"{resource_type}/{id} is not known")
    return page


def _narrowed(server: Server, call: Call, request: HistoryRequest) -> HistoryRequest:
    """The types of which something may be seen, and where that lives. `Forbidden` if there are none."""
    if request.resource_type is not None:
        tree = require(call, "search", request.resource_type)
        return replace(request, buckets=buckets_of(tree) if tree is not None else None)
    trees = {name: call.policy.restriction("search", name) for name in server.definitions.resource_types}
    require_any(server, call, "search")
    if not any(trees.values()):
        return request
    seen = {name: tree for name, tree in trees.items() if tree != NOTHING}
    places = [buckets_of(tree) if tree is not None else None for tree in seen.values()]
    known = [place for place in places if place is not None]
    buckets = frozenset().union(*known) if len(known) == len(places) else None
    return replace(request, types=tuple(seen), buckets=buckets)


async def _of_many(server: Server, call: Call, request: HistoryRequest) -> HistoryPage:
    """The first page on which something may be seen, of a few that are looked at."""
    for _ in range(_PAGES_AT_ONCE):
        page = await server.store.history(request)
        versions = await _seen(server, call, page.versions)
        if versions or page.next is None:
            break
        request = replace(request, cursor=page.next)
    return HistoryPage(versions, page.next)


async def _seen(server: Server, call: Call, versions: Sequence[StoredResource]) -> Sequence[StoredResource]:
    restricted = {(one.resource_type, one.id) for one in versions if within(call, "search")(one.resource_type)}
    if not restricted:
        return versions
    now = await read_many(server, call, "search", list(restricted))
    return [
        one
        for one in versions
        if (one.resource_type, one.id) not in restricted
        or (now[one.resource_type, one.id].permitted and (one.deleted or matches(server, call, "search", one)))
    ]


def _url(address: str, params: Sequence[tuple[str, str]]) -> str:
    return f"{address}?{urlencode(params)}" if params else address


def _entry(call: Call, version: StoredResource) -> BundleEntry:
    address = f"{version.resource_type}/{version.id}"
    if version.deleted:
        method, url, status = "DELETE", address, "204"
    elif version.version_id == 1 and embedded_bucket(version.id) is not None:
        method, url, status = "POST", version.resource_type, "201"
    else:
        method, url, status = "PUT", address, "201" if version.version_id == 1 else "200"
    response = {
        "status": status,
        "etag": f'W/"{version.version_id}"',
        "lastModified": instant(version.last_updated),
    }
    return BundleEntry(
        f"{call.base_url}/{address}",
        version.content,
        {"request": {"method": method, "url": url}, "response": response},
    )


def _request(
    server: Server, resource_type: str | None, id: str | None, params: Sequence[tuple[str, str]]
) -> HistoryRequest:
    count = server.limits.default_count
    since: datetime | None = None
    at: tuple[datetime, datetime] | None = None
    cursor: str | None = None
    for name, value in params:
        if name == "_count":
            if not (value.isascii() and value.isdigit()):
                raise InvalidRequest(
                    f"_count is a whole number from 0, not {value[:80]!r}", code="value", expression=name
                )
            count = min(int(value), server.limits.max_count) if len(value) < 10 else server.limits.max_count
        elif name == "_since":
            since = _interval(server, name, value)[0]
        elif name == "_at":
            at = _interval(server, name, value)
        elif name == "_cursor":
            cursor = value
        elif name not in _IGNORED:
            raise InvalidRequest(
                f"history has no parameter '{name[:80]}'; it has _count, _since, _at",
                code="not-supported",
                expression=name[:80],
            )
    return HistoryRequest(resource_type, id, count, since, at, cursor)


def _interval(server: Server, name: str, value: str) -> tuple[datetime, datetime]:
    try:
        low, high = date_interval(value, server.zone)
        return datetime.fromtimestamp(low, UTC), datetime.fromtimestamp(min(high, _LAST_SECOND), UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidRequest(
            f"{name} takes a date or time, not {value[:80]!r}", code="value", expression=name
        ) from error
