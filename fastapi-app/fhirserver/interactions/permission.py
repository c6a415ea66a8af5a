"""Where the policy of a call meets the interactions. Nothing here decides who may do what: `access/policy.py` does.

What may not be seen does not exist: it is not found, not counted, and leads nowhere. What may be seen but not written
is `Forbidden`. A permission that a caller has for no resource of a type is `Forbidden` at once, as that tells nothing
about the resources.

The store takes no search that was not restricted (`visible`), and reads nothing without being told within what.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from fhirserver.access.scopes import Permission
from fhirserver.fhir.outcomes import Forbidden, NotFound
from fhirserver.fhir.resource_json import parse
from fhirserver.interactions.context import Call, Server
from fhirserver.interactions.store import NewVersion, StoredResource
from fhirserver.search.evaluate import Candidate, holds
from fhirserver.search.query.tree import NOTHING, Node
from fhirserver.search.request import SearchRequest
from fhirserver.search.rewrite.restrict import Within, restrict


def within(call: Call, permission: Permission) -> Within:
    """What of each type the call has this permission for."""
    policy = call.policy
    return lambda resource_type: policy.restriction(permission, resource_type)


def require(call: Call, permission: Permission, resource_type: str) -> Node | None:
    """What of this type the call has the permission for; `Forbidden` if it is nothing."""
    tree = call.policy.restriction(permission, resource_type)
    if tree == NOTHING:
        raise Forbidden(f"{call.caller.name} has no permission to {permission} {resource_type}")
    return tree


def require_any(server: Server, call: Call, permission: Permission) -> None:
    """`Forbidden` if the call has the permission for nothing at all."""
    if all(call.policy.restriction(permission, name) == NOTHING for name in server.definitions.resource_types):
        raise Forbidden(f"{call.caller.name} has no permission to {permission} anything")


def visible(server: Server, call: Call, request: SearchRequest) -> SearchRequest:
    """The search among what the call may find."""
    return restrict(request, within(call, "search"), server.definitions.resource_types)


async def read_current(
    server: Server, call: Call, permission: Permission, resource_type: str, id: str
) -> StoredResource | None:
    """The current version; its `permitted` tells whether the call has the permission for it. Raises `Forbidden`."""
    tree = require(call, permission, resource_type)
    stored = await server.store.read(resource_type, id, tree)
    if stored is None or tree is None or not stored.deleted:
        return stored
    [settled] = await _settled(server, call, permission, [stored])
    return settled


async def read_many(
    server: Server, call: Call, permission: Permission, targets: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], StoredResource]:
    """The current versions of these (type, id), each with its `permitted`."""
    found = await server.store.read_many(targets, within(call, permission))
    unsettled = [
        stored
        for stored in found.values()
        if stored.deleted and call.policy.restriction(permission, stored.resource_type) is not None
    ]
    for stored in await _settled(server, call, permission, unsettled):
        found[stored.resource_type, stored.id] = stored
    return found


async def _settled(
    server: Server, call: Call, permission: Permission, deletions: Sequence[StoredResource]
) -> Iterable[StoredResource]:
    """Deletions have no content to be judged by: what was deleted is permitted if its last version was."""
    if not deletions:
        return ()
    last = await server.store.read_versions(
        [(version.resource_type, version.id, version.version_id - 1, version.bucket) for version in deletions]
    )
    permitted = {
        (version.resource_type, version.id)
        for version in last
        if version.content is not None and matches(server, call, permission, version)
    }
    return [replace(version, permitted=(version.resource_type, version.id) in permitted) for version in deletions]


def matches(server: Server, call: Call, permission: Permission, version: StoredResource) -> bool:
    """Whether the call has the permission for this version by what stands in it. It has content."""
    tree = call.policy.restriction(permission, version.resource_type)
    if tree is None or tree == NOTHING:
        return tree is None
    entry = server.extractor.extract(parse(version.live), version.resource_type, call.base_url)
    return holds(tree, Candidate(version.resource_type, version.id, version.last_updated, version.bucket, entry))


def require_states(call: Call, permission: Permission, change: NewVersion) -> None:
    """`Forbidden` unless the call has the permission for what is there (`previous`) and for what is to be there."""
    version = change.version
    tree = require(call, permission, version.resource_type)
    if tree is None:
        return
    old_is_permitted = change.previous is None or change.previous.permitted
    new_is_permitted = change.entry is None or holds(
        tree, Candidate(version.resource_type, version.id, version.last_updated, version.bucket, change.entry)
    )
    if not old_is_permitted or not new_is_permitted:
        state = "this" if old_is_permitted else "that"
        raise Forbidden(f"{call.caller.name} has no permission to {permission} {state} {version.resource_type}")


async def require_deletable(
    server: Server, call: Call, stored: StoredResource | None, resource_type: str, id: str
) -> None:
    """For a call that may not delete everything: `NotFound` for what it may not see, `Forbidden` for what it may.

    `stored` was read for `delete`.
    """
    if require(call, "delete", resource_type) is None or (stored is not None and stored.permitted):
        return
    if stored is not None and call.policy.restriction("read", resource_type) != NOTHING:
        seen = await read_current(server, call, "read", resource_type, id)
        if seen is not None and seen.permitted:
            raise Forbidden(f"{call.caller.name} has no permission to delete that {resource_type}")
    raise NotFound(f"{resource_type}/{id} is not known")
