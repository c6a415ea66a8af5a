"""One entry of a batch, or a GET of a transaction, carried out as the request of its own that it stands for."""

from datetime import UTC, datetime

from fhirserver.bundles import answers
from fhirserver.bundles.entries import EntryRequest
from fhirserver.fhir.bundle_json import BundleEntry
from fhirserver.fhir.datatypes.dates import date_interval
from fhirserver.fhir.outcomes import InvalidRequest, UnsupportedOperation
from fhirserver.interactions.conditional import conditional_delete, conditional_update
from fhirserver.interactions.context import Call, Server
from fhirserver.interactions.create import create
from fhirserver.interactions.delete import delete
from fhirserver.interactions.history import history
from fhirserver.interactions.preconditions import is_unchanged
from fhirserver.interactions.read import read
from fhirserver.interactions.search import search
from fhirserver.interactions.store import StoredResource
from fhirserver.interactions.update import update
from fhirserver.interactions.vread import vread
from fhirserver.operations.answer import Accepted
from fhirserver.operations.registry import invoke
from fhirserver.search.query.parameters import query_parameters


async def dispatch(server: Server, call: Call, entry: EntryRequest, prefer_return: str) -> BundleEntry:
    """Carry out the entry, and say what became of it. Raises what the interaction raises."""
    if entry.operation is not None:
        answer = await _operation(server, call, entry, entry.operation)
        call.trail.done("operation", 200, *addressed(entry))
        return answer
    if entry.method in ("GET", "HEAD"):
        return await _get(server, call, entry)
    if entry.method == "POST":
        written = await create(server, call, entry.resource_type, entry.body, entry.if_none_exist)
        return answers.of_write(call, written, prefer_return)
    if entry.method == "PUT":
        if entry.query is not None:
            written = await conditional_update(
                server, call, entry.resource_type, entry.query, entry.body, entry.if_match
            )
        else:
            written = await update(
                server,
                call,
                entry.resource_type,
                entry.path[1],
                entry.body,
                entry.if_match,
                entry.if_none_match,
            )
        return answers.of_write(call, written, prefer_return)
    if entry.query is not None:
        return answers.of_delete(await conditional_delete(server, call, entry.resource_type, entry.query))
    return answers.of_delete(await delete(server, call, entry.resource_type, entry.path[1], entry.if_match))


def kind_of(entry: EntryRequest) -> str:
    """What the entry asks for, as the audit log calls it."""
    if entry.operation is not None:
        return "operation"
    if entry.method in ("POST", "PUT", "DELETE"):
        return {"POST": "create", "PUT": "update", "DELETE": "delete"}[entry.method]
    match entry.path:
        case (_, _, "_history", _):
            return "vread"
        case (*_, "_history"):
            return ("history-system", "history-type", "history-instance")[len(entry.path) - 1]
        case (_, _):
            return "read"
    return "search-type" if entry.path else "search-system"


def addressed(entry: EntryRequest) -> tuple[str | None, str | None, str | None]:
    """Type and id at the address of the entry, and the address itself if it asks by parameters."""
    path = [part for part in entry.path if not part.startswith(("_", "$"))]
    asks = entry.query is not None or entry.operation is not None or kind_of(entry).startswith(("search", "history"))
    address = "/".join(entry.path) + (f"?{entry.query}" if entry.query else "")
    return path[0] if path else None, path[1] if len(path) > 1 else None, address if asks else None


async def _operation(server: Server, call: Call, entry: EntryRequest, code: str) -> BundleEntry:
    is_get = entry.method in ("GET", "HEAD")
    target = (*entry.path[:-1], None, None)
    answer = await invoke(
        server,
        call,
        code,
        target[0],
        target[1],
        query_parameters(entry.query or ""),
        entry.resource,
        is_get=is_get,
    )
    if isinstance(answer, Accepted):
        return answers.of_accepted(answer)
    return answers.of_bundle(answer, entry.method != "HEAD")


async def _get(server: Server, call: Call, entry: EntryRequest) -> BundleEntry:
    body = entry.method == "GET"
    params = query_parameters(entry.query or "")
    match entry.path:
        case ("metadata",):
            raise UnsupportedOperation("metadata is not read within a Bundle", expression=f"{entry.place}.request.url")
        case ("_history",):
            return answers.of_bundle(await history(server, call, None, None, params), body)
        case ():
            return answers.of_bundle(await search(server, call, "", params, lenient=True), body)
        case (resource_type,):
            return answers.of_bundle(await search(server, call, resource_type, params, lenient=True), body)
        case (resource_type, "_history"):
            return answers.of_bundle(await history(server, call, resource_type, None, params), body)
        case (resource_type, id):
            return _read_answer(call, entry, await read(server, call, resource_type, id), body)
        case (resource_type, id, "_history"):
            return answers.of_bundle(await history(server, call, resource_type, id, params), body)
        case (resource_type, id, "_history", version_id):
            return _read_answer(call, entry, await vread(server, call, resource_type, id, version_id), body)
        case (compartment, id, resource_type):
            name = "" if resource_type == "*" else resource_type
            return answers.of_bundle(await search(server, call, name, params, True, (compartment, id)), body)
    raise InvalidRequest("nothing is known at this address", expression=f"{entry.place}.request.url")


def _read_answer(call: Call, entry: EntryRequest, version: StoredResource, body: bool) -> BundleEntry:
    if is_unchanged(version, entry.if_none_match, _since(entry)):
        return answers.not_modified(version)
    return answers.of_read(call, version, body)


def _since(entry: EntryRequest) -> datetime | None:
    if entry.if_modified_since is None:
        return None
    try:
        return datetime.fromtimestamp(date_interval(entry.if_modified_since, UTC)[0], UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidRequest(
            f"ifModifiedSince is an instant, not {entry.if_modified_since[:80]!r}",
            code="value",
            expression=f"{entry.place}.request.ifModifiedSince",
        ) from error
