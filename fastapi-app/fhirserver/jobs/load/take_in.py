"""One document into the database: exactly once, as its receipt is written in the same transaction."""

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

from fhirserver.bundles.process import process_bundle
from fhirserver.bundles.transaction import AlreadyLoaded
from fhirserver.fhir.outcomes import FhirError
from fhirserver.fhir.resource_json import parse, serialize
from fhirserver.interactions.context import Call, Server
from fhirserver.jobs.load.documents import Document, digest

_CONDITIONAL_REFERENCE = re.compile(rb'"reference"\s*:\s*"[A-Z][A-Za-z]+\?')
_TRANSACTION = re.compile(rb'"type"\s*:\s*"transaction"')
_HEAD = 4096
_EXECUTED = ("transaction", "batch")


@dataclass(slots=True)
class Taken:
    """What became of a document. `later`: it refers to something that is not stored yet, so it is worth trying again.

    `written` counts the resources by type, `failures` says what was not taken in and why.
    """

    name: str
    state: Literal["loaded", "already", "later", "failed"]
    written: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)


async def take_in(server: Server, call: Call, document: Document, first_pass: bool) -> Taken:
    """Load the document. In the first pass, a transaction with conditional references waits for the others."""
    try:
        text = document.text()
    except (OSError, EOFError, ValueError) as error:
        return Taken(document.name, "failed", failures=[f"{document.name}: can't be decompressed: {error}"])
    if first_pass and _TRANSACTION.search(text, 0, _HEAD) and _CONDITIONAL_REFERENCE.search(text):
        return Taken(document.name, "later")
    key = digest(text)
    if await server.store.receipts([key]):
        return Taken(document.name, "already")
    if document.lines:
        return await _lines(server, call, document.name, text, key)
    try:
        resource = parse(text, max_depth=server.limits.max_nesting)
    except FhirError as error:
        return Taken(document.name, "failed", failures=[f"{document.name}: {error}"])
    if resource.get("resourceType") != "Bundle" or resource.get("type") not in _EXECUTED:
        resource = {"resourceType": "Bundle", "type": "transaction", "entry": [_entry(resource)]}
    return await _bundle(server, call, document.name, resource, key)


async def _lines(server: Server, call: Call, name: str, text: bytes, key: bytes) -> Taken:
    taken = Taken(name, "loaded")
    entries = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                entries.append(_entry(parse(line, max_depth=server.limits.max_nesting)))
            except FhirError as error:
                taken.failures.append(f"{name}: line {number} of these: {error}")
    if not entries:
        taken.state = "failed" if taken.failures else "loaded"
        return taken
    bundle = {"resourceType": "Bundle", "type": "batch", "entry": entries}
    done = await _bundle(server, call, name, bundle, key)
    done.failures = taken.failures + done.failures
    return done


def _entry(resource: dict[str, Any]) -> dict[str, Any]:
    """A transaction entry that stores the resource, under its own id if it has one."""
    resource_type, id = resource.get("resourceType"), resource.get("id")
    if id is None:
        return {"resource": resource, "request": {"method": "POST", "url": str(resource_type)}}
    return {"resource": resource, "request": {"method": "PUT", "url": f"{resource_type}/{id}"}}


async def _bundle(server: Server, call: Call, name: str, bundle: dict[str, Any], key: bytes) -> Taken:
    """A transaction as it is; a batch in two, so that its conditional references find its own resources."""
    entries = bundle.get("entry", [])
    if bundle.get("type") == "batch" and isinstance(entries, list):
        return await _batch(server, call, name, entries, key)
    try:
        return Taken(name, "loaded", await _transaction(server, call, bundle, key))
    except AlreadyLoaded:
        return Taken(name, "already")
    except FhirError as error:
        return Taken(name, _state(error), failures=[f"{name}: {_reasons(error)}"])


async def _batch(server: Server, call: Call, name: str, entries: list[Any], key: bytes) -> Taken:
    """As few transactions as can be; where one fails, its entries one by one, as none depends on another."""
    plain: list[tuple[int, Any]] = []
    conditional: list[tuple[int, Any]] = []
    for item in enumerate(entries):
        (conditional if _CONDITIONAL_REFERENCE.search(serialize(item[1])) else plain).append(item)
    taken = Taken(name, "already")
    for number, part in enumerate((plain, conditional)):
        if not part:
            continue
        own_key = digest(key + b"part" + bytes([number]))
        bundle = {"resourceType": "Bundle", "entry": [entry for _, entry in part]}
        try:
            taken.written += await _transaction(server, call, bundle, own_key)
            taken.state = "loaded"
        except AlreadyLoaded:
            continue
        except FhirError:
            await _each(server, call, taken, part, key)
    if not taken.failures:
        await server.store.receipt(key)
    return taken


async def _each(server: Server, call: Call, taken: Taken, part: list[tuple[int, Any]], key: bytes) -> None:
    later = False
    for index, entry in part:
        own_key = digest(key + index.to_bytes(4, "big"))
        try:
            bundle = {"resourceType": "Bundle", "entry": [entry]}
            taken.written += await _transaction(server, call, bundle, own_key)
        except AlreadyLoaded:
            continue
        except FhirError as error:
            later = later or _state(error) == "later"
            taken.failures.append(f"{taken.name}: entry {index}: {_reasons(error)}")
    if taken.failures:
        taken.state = "later" if later else "failed"
    elif taken.written:
        taken.state = "loaded"


async def _transaction(server: Server, call: Call, bundle: dict[str, Any], key: bytes) -> Counter[str]:
    answer = await process_bundle(server, call, {**bundle, "type": "transaction"}, receipt=key)
    return Counter(
        entry["response"]["location"].partition("/")[0]
        for entry in orjson.loads(answer).get("entry", ())
        if entry["response"]["status"].startswith(("200", "201")) and "location" in entry["response"]
    )


def _state(error: FhirError) -> Literal["later", "failed"]:
    return "later" if all(issue.code in ("not-found", "transient") for issue in error.issues) else "failed"


def _reasons(error: FhirError) -> str:
    shown = "; ".join(
        f"{', '.join(issue.expression)}: {issue.diagnostics}" if issue.expression else issue.diagnostics
        for issue in error.issues[:5]
    )
    more = len(error.issues) - 5
    return f"{shown}; and {more} more" if more > 0 else shown
