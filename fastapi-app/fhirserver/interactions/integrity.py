"""Referential integrity: what is referred to has to be there, and stays as long as it is referred to.

https://hl7.org/fhir/R4/http.html#transaction-integrity. Off unless `Validation.integrity` says otherwise. Who writes
references holds locks that can be shared, on what they lead to, until the commit; who deletes holds one alone: so what
was there when it was looked at is there at the end.
"""

from collections.abc import Callable, Iterable, Sequence

from fhirserver.fhir.outcomes import Conflict, InvalidResource, Issue
from fhirserver.fhir.resource_json import parse
from fhirserver.interactions.context import Call, Server
from fhirserver.interactions.retrying import retried
from fhirserver.interactions.store import NewVersion
from fhirserver.search.keys import self_key

Address = tuple[str, str]

# Resources share locks: a transaction may write references to many thousands.
_LOCKS = 256
_MAX_ISSUES = 100


async def write(
    server: Server,
    call: Call,
    changes: Sequence[NewVersion],
    place_of: Callable[[Address], str] | None = None,
) -> None:
    """Write these versions, all or none, as `Session.write` does.

    With referential integrity it raises `InvalidResource` for references to what is not there, and `Conflict` if what
    is to be deleted is referred to. `place_of` gives the entry of a Bundle that a version comes from.
    """
    if not server.validation.integrity:
        await server.store.write(changes, call.trail.changing(changes))
        return
    references = list(_references(server, call, changes))
    deleted = [_address(change) for change in changes if change.version.deleted]

    async def attempt() -> None:
        async with server.store.transaction() as session:
            await session.lock([_lock(address) for address in deleted], [_lock(target) for _, target, _ in references])
            await session.write(changes, call.trail.changing(changes))
            targets = dict.fromkeys(target for _, target, _ in references)
            found = await session.read_many(list(targets), lambda _: None) if targets else {}
            there = {address for address, stored in found.items() if not stored.deleted}
            missing = [reference for reference in references if reference[1] not in there]
            if missing:
                raise InvalidResource([_issue(*reference, place_of) for reference in missing[:_MAX_ISSUES]])
            referrers = (
                await session.find([server.extractor.referrers(*address) for address in deleted]) if deleted else []
            )
            needed = [address for address, matches in zip(deleted, referrers, strict=True) if matches]
            if needed:
                raise Conflict([_conflict(address, place_of) for address in needed[:_MAX_ISSUES]])

    await retried(server, attempt, follows=False)


def _references(server: Server, call: Call, changes: Sequence[NewVersion]) -> Iterable[tuple[Address, Address, str]]:
    """Who refers to what at which place."""
    for change in changes:
        if change.version.content is not None:
            resource = parse(change.version.live)
            for target, place in server.extractor.local_references(resource, call.base_url):
                yield _address(change), target, place


def _address(change: NewVersion) -> Address:
    return change.version.resource_type, change.version.id


def _lock(address: Address) -> str:
    return f"integrity {self_key(*address) % _LOCKS}"


def _issue(source: Address, target: Address, place: str, place_of: Callable[[Address], str] | None) -> Issue:
    if place_of is not None:
        place = f"{place_of(source)}.resource{place[len(source[0]) :]}"
    return Issue("error", "not-found", f"{'/'.join(target)} is not there", (place,))


def _conflict(address: Address, place_of: Callable[[Address], str] | None) -> Issue:
    place = (place_of(address),) if place_of is not None else ()
    return Issue("error", "conflict", f"{'/'.join(address)} can't be deleted: other resources refer to it", place)
