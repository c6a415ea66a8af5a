"""A transaction: all entries or none.

https://hl7.org/fhir/R4/http.html#trules. The entries are checked and resolved first, then everything is written
by a number of statements that does not grow with their number, then the reads are answered, then it is committed.
"""

import asyncio
from collections.abc import Sequence

from fhirserver.access.scopes import Permission
from fhirserver.bundles import answers
from fhirserver.bundles.dispatch import dispatch
from fhirserver.bundles.entries import EntryRequest, at_entry
from fhirserver.bundles.order import in_order
from fhirserver.bundles.plan import Plan, make_plan
from fhirserver.bundles.references import rewrite
from fhirserver.bundles.room import Room
from fhirserver.fhir.bundle_json import BundleEntry, assemble
from fhirserver.fhir.outcomes import (
    Conflict,
    FhirError,
    Forbidden,
    InvalidRequest,
    InvalidResource,
    Issue,
)
from fhirserver.fhir.validation.report import Question
from fhirserver.interactions.conditional import require_free
from fhirserver.interactions.context import Call, Server
from fhirserver.interactions.integrity import write
from fhirserver.interactions.permission import read_many, require, require_deletable
from fhirserver.interactions.preconditions import require_match, require_none_match
from fhirserver.interactions.questions import answered
from fhirserver.interactions.retrying import retried
from fhirserver.interactions.store import NewVersion, StoredResource, WriteConflict
from fhirserver.interactions.update import require_body_id
from fhirserver.interactions.validation import errors, examine, unchecked
from fhirserver.interactions.versions import Written, deletion, next_version, require_id, require_type
from fhirserver.operations.registry import available

_PERMISSIONS: dict[str, Permission] = {"POST": "create", "PUT": "update", "DELETE": "delete"}
_ENTRIES_BETWEEN_PAUSES = 50
_MAX_ISSUES = 100


class AlreadyLoaded(Exception):
    """The input with this receipt was taken in before."""


async def transaction(
    server: Server,
    call: Call,
    entries: Sequence[EntryRequest | FhirError],
    prefer_return: str,
    receipt: bytes | None = None,
) -> bytes:
    """Carry out the entries; the transaction-response Bundle. Raises the errors of all entries that are wrong.

    When another writer is in the way, or the database was away before the commit, the whole is tried again.
    """
    requests = await _checked(server, call, entries)

    async def attempt() -> bytes:
        call.trail.anew()
        async with server.store.transaction() as session:
            if receipt is not None and not await session.receipt(receipt):
                raise AlreadyLoaded
            answered = await _carry_out(server.latest().using(session), call, requests, prefer_return)
        return assemble("transaction-response", [answered[index] for index in range(len(requests))])

    try:
        return await retried(server, attempt)
    except WriteConflict as error:
        raise Conflict("the transaction collides with others again and again") from error


async def _checked(server: Server, call: Call, entries: Sequence[EntryRequest | FhirError]) -> list[EntryRequest]:
    """The entries, if all of them are right by themselves."""
    issues: list[Issue] = []
    asked: list[tuple[EntryRequest, Question]] = []
    requests = []
    worst: type[FhirError] = InvalidResource
    for index, entry in enumerate(entries):
        if index % _ENTRIES_BETWEEN_PAUSES == 0:
            await asyncio.sleep(0)
        try:
            if isinstance(entry, FhirError):
                raise entry
            if entry.operation is not None:
                _require_harmless(server, entry, entry.operation)
            if entry.writes:
                asked += [(entry, question) for question in _check_write(server, call, entry)]
            requests.append(entry)
        except FhirError as error:
            issues += error.issues if isinstance(entry, FhirError) else at_entry(error, entry)
            if error.status == 403:
                worst = Forbidden
            elif error.status == 400 and worst is not Forbidden:
                worst = InvalidRequest
    told = await answered(server.terminology, [question for _, question in asked])
    for (entry, _), issue in zip(asked, told, strict=True):
        if found := errors([issue]):
            issues += at_entry(InvalidResource(found), entry)
    if issues:
        raise worst(issues[:_MAX_ISSUES])
    return requests


def _check_write(server: Server, call: Call, entry: EntryRequest) -> list[Question]:
    """Raises what is wrong with a writing entry; what only terminology can tell."""
    questions: list[Question] = []
    require_type(server, entry.resource_type)
    require(call, _PERMISSIONS[entry.method], entry.resource_type)
    if entry.resource is not None:
        issues, questions = examine(server, call, entry.resource_type, entry.resource, in_transaction=True)
        if issues:
            raise InvalidResource(issues)
    if entry.method != "POST" and entry.query is None:
        require_id(entry.path[1])
        if entry.method == "PUT":
            require_body_id(entry.body, entry.path[1])
    return questions


def _require_harmless(server: Server, entry: EntryRequest, code: str) -> None:
    """Refuse an operation that changes something: what it does can't be planned with the rest."""
    if any(operation.changes for operation in available(server.definitions).get(code, ())):
        raise InvalidRequest(f"${code} can't be called in a transaction; a batch may", expression="url")


async def _carry_out(
    server: Server, call: Call, requests: list[EntryRequest], prefer_return: str
) -> dict[int, BundleEntry]:
    plan = await make_plan(server, call, requests)
    current = await _current(server, call, requests, plan)
    answered: dict[int, BundleEntry] = {}
    changes: dict[tuple[str, str], NewVersion] = {}
    for position, entry in enumerate(in_order(requests)):
        if position % _ENTRIES_BETWEEN_PAUSES == 0:
            await asyncio.sleep(0)
        if not entry.writes:
            continue
        try:
            if entry.method == "DELETE" and entry.index in plan.addresses:
                address = plan.addresses[entry.index]
                await require_deletable(server, call, current.get(address), *address)
            answered[entry.index] = _plan_entry(server, call, entry, plan, current, changes, prefer_return)
        except FhirError as error:
            raise type(error)(at_entry(error, entry)) from error
    if changes:
        entries = {address: index for index, address in plan.addresses.items()}
        await write(server, call, list(changes.values()), lambda address: f"Bundle.entry[{entries[address]}]")
    room = Room()
    for entry in requests:
        if not entry.writes:
            try:
                room.require()
                answered[entry.index] = room.take(await dispatch(server, call, entry, prefer_return))
            except FhirError as error:
                raise type(error)(at_entry(error, entry)) from error
    return answered


async def _current(
    server: Server, call: Call, requests: list[EntryRequest], plan: Plan
) -> dict[tuple[str, str], StoredResource]:
    """What is stored under the addresses that are not new, read for what is to be done with it."""
    targets: dict[Permission, list[tuple[str, str]]] = {}
    for entry in requests:
        if entry.index in plan.addresses and entry.index not in plan.fresh:
            address = plan.addresses[entry.index]
            permission: Permission = "search" if entry.method == "POST" else _PERMISSIONS[entry.method]
            if call.policy.restriction(permission, address[0]) is None:
                permission = "read"  # nobody will look at `permitted`, so one statement reads all of them
            targets.setdefault(permission, []).append(address)
    found: dict[tuple[str, str], StoredResource] = {}
    for permission, addresses in targets.items():
        found |= await read_many(server, call, permission, addresses)
    return found


def _plan_entry(
    server: Server,
    call: Call,
    entry: EntryRequest,
    plan: Plan,
    current: dict[tuple[str, str], StoredResource],
    changes: dict[tuple[str, str], NewVersion],
    prefer_return: str,
) -> BundleEntry:
    """Add to `changes` what a writing entry does; the answer it will have."""
    address = plan.addresses.get(entry.index)
    if address is None:  # a conditional delete without a match
        return answers.of_delete(None)
    previous = current.get(address)
    if entry.method == "POST" and previous is not None:
        call.trail.read("create", previous)
        return answers.of_write(call, Written(previous, created=False, changed=False), prefer_return)
    if entry.index in plan.follows:
        created = changes[address].version
        return answers.of_write(call, Written(created, created=False, changed=False), prefer_return)
    if entry.method == "PUT" and entry.query is not None:
        if entry.body.get("id", address[1]) != address[1]:
            raise InvalidRequest(f"the criteria match {'/'.join(address)}, the body has another id", expression="id")
        if entry.index not in plan.matched:
            require_free(call, previous)
    if entry.method == "DELETE":
        require_match(entry.if_match, previous)
        if previous is None or previous.deleted:
            return answers.of_delete(previous)
        changes[address] = deletion(server, call, previous)
        return answers.of_delete(changes[address].version)
    with unchecked(server, entry.resource_type, entry.body):
        resource = rewrite(entry.body, plan.identities.seen_from(entry.full_url), plan.conditional, server.definitions)
    permission: Permission = "create" if entry.index in plan.fresh else "update"
    change = next_version(server, call, permission, *address, resource, previous)
    require_match(entry.if_match, previous)
    require_none_match(entry.if_none_match, previous)
    changes[address] = change
    written = Written(change.version, created=previous is None or previous.deleted)
    return answers.of_write(call, written, prefer_return)
