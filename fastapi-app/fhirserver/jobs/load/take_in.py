"""One document into the database: exactly once, as its receipt is written in the same transaction."""

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

from fhirserver.bundles.process import process_bundle
from fhirserver.bundles.transaction import AlreadyLoaded
from fhirserver.fhir.outcomes import FhirError
from fhirserver.fhir.resource_json import parse
from fhirserver.interactions.context import Call, Server
from fhirserver.jobs.load.documents import Document, digest

_CONDITIONAL_REFERENCE = re.compile(rb'"reference"\s*:\s*"[A-Z][A-Za-z]+\?')
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
    """Load the document. In the first pass, what has conditional references waits until the others are in."""
    try:
        text = document.text()
    except (OSError, EOFError, ValueError) as error:
        return Taken(document.name, "failed", failures=[f"{document.name}: can't be decompressed: {error}"])
    if first_pass and _CONDITIONAL_REFERENCE.search(text):
        return Taken(document.name, "later")
    key = digest(text)
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
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
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
    """All of it in one transaction; where that fails and it needn't be one, entry by entry."""
    try:
        return Taken(name, "loaded", await _transaction(server, call, bundle, key))
    except AlreadyLoaded:
        return Taken(name, "already")
    except FhirError as error:
        entries = bundle.get("entry", [])
        if len(entries) > 1 and (bundle.get("type") == "batch" or "fullUrl" not in entries[0]):
            return await _each(server, call, name, entries, key)
        return Taken(name, _state(error), failures=[f"{name}: {_reasons(error)}"])


async def _each(server: Server, call: Call, name: str, entries: list[Any], key: bytes) -> Taken:
    taken = Taken(name, "loaded")
    later = False
    for index, entry in enumerate(entries):
        own_key = digest(key + index.to_bytes(4, "big"))
        try:
            taken.written += await _transaction(
                server, call, {"resourceType": "Bundle", "entry": [entry]}, own_key
            )
        except AlreadyLoaded:
            continue
        except FhirError as error:
            later = later or _state(error) == "later"
            taken.failures.append(f"{name}: entry {index}: {_reasons(error)}")
    if taken.failures:
        taken.state = "later" if later else "failed"
    else:
        await server.store.receipt(key)
    return taken


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
