"""A transaction: all entries or none.

https://hl7.org/fhir/R4/http.html#trules. The entries are checked and resolved first, then everything is written
by a number of statements that does not grow with their number, then the reads are answered, then it is committed.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from fhirserver.bundles import answers
from fhirserver.bundles.dispatch import dispatch
from fhirserver.bundles.entries import EntryRequest, at_entry
from fhirserver.bundles.order import in_order, require_distinct
from fhirserver.bundles.references import Identities, conditional_references, rewrite
from fhirserver.fhir.bundle_json import BundleEntry, assemble
from fhirserver.fhir.datatypes.ids import home_bucket
from fhirserver.fhir.outcomes import (
    Conflict,
    FhirError,
    InvalidRequest,
    InvalidResource,
    Issue,
    MultipleMatches,
    RolledBack,
)
from fhirserver.interactions.context import Call, Server
from fhirserver.interactions.create import assign_id
from fhirserver.interactions.criteria import criteria_request
from fhirserver.interactions.preconditions import require_match, require_none_match
from fhirserver.interactions.store import NewVersion, StoredResource, WriteConflict
from fhirserver.interactions.update import require_body_id
from fhirserver.interactions.versions import Written, check, deletion, next_version, require_id, require_type

_ATTEMPTS = 8
_ENTRIES_BETWEEN_PAUSES = 50
_MAX_ISSUES = 100


class AlreadyLoaded(Exception):
    """The input with this receipt was taken in before."""


@dataclass(slots=True)
class _Plan:
    """What is decided about the entries while the transaction runs."""

    addresses: dict[int, tuple[str, str]] = field(default_factory=dict)  # entry → (type, id) that it writes
    matched: dict[int, tuple[str, str] | None] = field(default_factory=dict)  # conditional entry → its match
    conditional: dict[str, str] = field(default_factory=dict)  # "Type?criteria" → "Type/id"


async def transaction(
    server: Server,
    call: Call,
    entries: Sequence[EntryRequest | FhirError],
    prefer_return: str,
    receipt: bytes | None = None,
) -> bytes:
    """Carry out the entries; the transaction-response Bundle. Raises the errors of all entries that are wrong.

    When another writer is in the way, the whole is tried again.
    """
    requests = await _checked(server, entries)
    for attempt in range(_ATTEMPTS):
        try:
            async with server.store.transaction() as session:
                if receipt is not None and not await session.receipt(receipt):
                    raise AlreadyLoaded
                answered = await _carry_out(server.using(session), call, requests, prefer_return)
            return assemble("transaction-response", [answered[index] for index in range(len(requests))])
        except (WriteConflict, RolledBack):
            await asyncio.sleep(0.01 * 2**attempt)
    raise Conflict("the transaction collides with others again and again")


async def _checked(server: Server, entries: Sequence[EntryRequest | FhirError]) -> list[EntryRequest]:
    """The entries, if all of them are right by themselves."""
    issues: list[Issue] = []
    requests = []
    worst: type[FhirError] = InvalidResource
    for index, entry in enumerate(entries):
        if index % _ENTRIES_BETWEEN_PAUSES == 0:
            await asyncio.sleep(0)
        try:
            if isinstance(entry, FhirError):
                raise entry
            if entry.path and entry.method in ("POST", "PUT", "DELETE"):
                require_type(server, entry.resource_type)
            if entry.resource is not None:
                check(server, entry.resource_type, entry.resource)
            if entry.method in ("PUT", "DELETE") and entry.query is None:
                require_id(entry.path[1])
                if entry.method == "PUT":
                    require_body_id(entry.body, entry.path[1])
            requests.append(entry)
        except FhirError as error:
            issues += at_entry(error, index)
            if error.status == 400:
                worst = InvalidRequest
    if issues:
        raise worst(issues[:_MAX_ISSUES])
    return requests


async def _carry_out(
    server: Server, call: Call, requests: list[EntryRequest], prefer_return: str
) -> dict[int, BundleEntry]:
    plan = _Plan()
    await _resolve_criteria(server, call, requests, plan)
    identities = _identify(server, call, requests, plan)
    require_distinct((entry, *plan.addresses[entry.index]) for entry in requests if entry.index in plan.addresses)
    current = await _current(server, requests, plan)
    answered: dict[int, BundleEntry] = {}
    changes: list[NewVersion] = []
    for position, entry in enumerate(in_order(requests)):
        if position % _ENTRIES_BETWEEN_PAUSES == 0:
            await asyncio.sleep(0)
        if entry.method in ("GET", "HEAD"):
            continue
        try:
            answered[entry.index] = _plan_entry(server, call, entry, plan, identities, current, changes, prefer_return)
        except FhirError as error:
            raise type(error)(at_entry(error, entry.index)) from error
    if changes:
        await server.store.write(changes)
    for entry in requests:
        if entry.method in ("GET", "HEAD"):
            try:
                answered[entry.index] = await dispatch(server, call, entry, prefer_return)
            except FhirError as error:
                raise type(error)(at_entry(error, entry.index)) from error
    return answered


async def _resolve_criteria(server: Server, call: Call, requests: list[EntryRequest], plan: _Plan) -> None:
    """Find what the conditional references and the conditional entries stand for, all with few statements."""
    references = conditional_references(requests)
    conditional = [
        (entry, str(entry.if_none_exist if entry.method == "POST" else entry.query))
        for entry in requests
        if (entry.method == "POST" and entry.if_none_exist is not None)
        or (entry.method in ("PUT", "DELETE") and entry.query is not None)
    ]
    if not references and not conditional:
        return
    searches = []
    for entry, query in conditional:
        try:
            searches.append(criteria_request(server, call, entry.resource_type, query))
        except FhirError as error:
            raise type(error)(at_entry(error, entry.index)) from error
    if searches:
        await server.store.lock([str(search) for search in searches])
    for reference, place in references.items():
        try:
            searches.append(criteria_request(server, call, reference.partition("?")[0], reference))
        except FhirError as error:
            raise InvalidRequest(error.issues[0].diagnostics, expression=place) from error
    found = await server.store.find(searches)
    for (entry, query), matches in zip(conditional, found, strict=False):
        if len(matches) > 1:
            raise MultipleMatches(f"several {entry.resource_type} match '{query[:200]}'", expression=entry.place)
        plan.matched[entry.index] = matches[0] if matches else None
    for (reference, place), matches in zip(references.items(), found[len(conditional) :], strict=True):
        if len(matches) != 1:
            problem = f"{'several resources match' if matches else 'nothing matches'} '{reference[:200]}'"
            if matches:
                raise MultipleMatches(problem, expression=place)
            raise InvalidRequest(problem, expression=place, code="not-found")
        plan.conditional[reference] = "/".join(matches[0])


def _identify(server: Server, call: Call, requests: list[EntryRequest], plan: _Plan) -> Identities:
    """Give each entry that writes its id, patients first: the others' ids tell their patient's bucket."""
    identities = Identities()

    def settle(entry: EntryRequest, id: str) -> None:
        plan.addresses[entry.index] = (entry.resource_type, id)
        identities.add(entry.full_url, f"{entry.resource_type}/{id}")

    later = []
    for entry in requests:
        match = plan.matched.get(entry.index)
        if match is not None:
            settle(entry, match[1])
        elif entry.method == "PUT" or (entry.method == "DELETE" and entry.query is None):
            id = entry.path[1] if entry.query is None else entry.body.get("id")
            settle(entry, id if isinstance(id, str) else server.new_id(server.random_bucket()))
        elif entry.method == "POST":
            if entry.resource_type == "Patient":
                settle(entry, server.new_id(server.random_bucket()))
            else:
                later.append(entry)
    for entry in later:
        settle(entry, _id_beside_patient(server, call, entry, identities, plan))
    return identities


def _id_beside_patient(server: Server, call: Call, entry: EntryRequest, identities: Identities, plan: _Plan) -> str:
    element = server.definitions.placing_element(entry.resource_type)
    reference = entry.body.get(element) if element is not None else None
    text = reference.get("reference") if isinstance(reference, dict) else None
    if not isinstance(text, str):
        return server.new_id(server.random_bucket())
    address = identities.seen_from(entry.full_url).get(text) or plan.conditional.get(text) or text
    if address is not text:
        resource_type, _, id = address.partition("/")
        return server.new_id(home_bucket(id) if resource_type == "Patient" else server.random_bucket())
    return assign_id(server, call, entry.resource_type, entry.body)


async def _current(server: Server, requests: list[EntryRequest], plan: _Plan) -> dict[tuple[str, str], StoredResource]:
    """What is stored under the addresses that are not new."""
    targets = [
        plan.addresses[entry.index]
        for entry in requests
        if entry.index in plan.addresses and (entry.method != "POST" or plan.matched.get(entry.index))
    ]
    return await server.store.read_many(targets) if targets else {}


def _plan_entry(
    server: Server,
    call: Call,
    entry: EntryRequest,
    plan: _Plan,
    identities: Identities,
    current: dict[tuple[str, str], StoredResource],
    changes: list[NewVersion],
    prefer_return: str,
) -> BundleEntry:
    """Add to `changes` what a writing entry does; the answer it will have."""
    address = plan.addresses.get(entry.index)
    if address is None:  # a conditional delete without a match
        return answers.of_delete(None)
    previous = current.get(address)
    if entry.method == "POST" and previous is not None:
        return answers.of_write(call, Written(previous, created=False, changed=False), prefer_return)
    if entry.method == "PUT" and entry.body.get("id", address[1]) != address[1]:
        raise InvalidRequest(f"the criteria match {'/'.join(address)}, the body has another id", expression="id")
    require_match(entry.if_match, previous)
    if entry.method == "DELETE":
        if previous is None or previous.deleted:
            return answers.of_delete(previous)
        change = deletion(server, previous)
        changes.append(change)
        return answers.of_delete(change.version)
    require_none_match(entry.if_none_match, previous)
    resource = rewrite(entry.body, identities.seen_from(entry.full_url), plan.conditional, server.definitions)
    change = next_version(server, call, *address, resource, previous)
    changes.append(change)
    return answers.of_write(call, Written(change.version, created=previous is None or previous.deleted), prefer_return)
