"""https://hl7.org/fhir/R4/resource-operation-meta.html, -meta-add.html and -meta-delete.html"""

from collections.abc import Callable
from typing import Any

from fhirserver.fhir.resource_json import parse
from fhirserver.interactions.context import Call, Server
from fhirserver.interactions.read import read
from fhirserver.interactions.update import update
from fhirserver.operations.answer import parameters
from fhirserver.operations.invocation import Invocation

_LISTS = ("profile", "security", "tag")
_Change = Callable[[list[Any], list[Any]], list[Any]]


async def meta(server: Server, call: Call, invocation: Invocation) -> bytes:
    """The meta of a resource."""
    return _answer(await _current(server, call, invocation))


async def add(server: Server, call: Call, invocation: Invocation) -> bytes:
    """Add profiles, security labels and tags that the resource does not have yet."""
    return await _change(
        server,
        call,
        invocation,
        lambda have, given: have + [item for item in given if not _contains(have, item)],
    )


async def delete(server: Server, call: Call, invocation: Invocation) -> bytes:
    """Take away those profiles, security labels and tags that are given."""
    return await _change(
        server,
        call,
        invocation,
        lambda have, given: [item for item in have if not _contains(given, item)],
    )


async def _change(server: Server, call: Call, invocation: Invocation, change: _Change) -> bytes:
    resource = await _current(server, call, invocation)
    given = invocation.arguments.one("meta")
    changed = dict(resource["meta"])
    for name in _LISTS:
        changed[name] = change(changed.get(name, []), given.get(name, []))
        if not changed[name]:
            del changed[name]
    if changed == resource["meta"]:
        return _answer(resource)
    if_match = f'W/"{resource["meta"]["versionId"]}"'
    written = await update(
        server, call, resource["resourceType"], resource["id"], resource | {"meta": changed}, if_match
    )
    return _answer(parse(written.stored.live))


async def _current(server: Server, call: Call, invocation: Invocation) -> dict[str, Any]:
    return parse((await read(server, call, str(invocation.resource_type), str(invocation.id))).live)


def _contains(items: list[Any], wanted: Any) -> bool:
    """Whether one of them is the same profile, or a coding of the same system and code."""
    return any(_identity(item) == _identity(wanted) for item in items)


def _identity(item: Any) -> Any:
    return (item.get("system"), item.get("code")) if isinstance(item, dict) else item


def _answer(resource: dict[str, Any]) -> bytes:
    return parameters([("return", "valueMeta", resource["meta"])])
