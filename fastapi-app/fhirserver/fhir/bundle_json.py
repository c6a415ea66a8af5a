"""Bundles put together from the bytes of the resources in them, without parsing those.

https://hl7.org/fhir/R4/bundle.html
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from fhirserver.fhir.resource_json import serialize


@dataclass(frozen=True, slots=True)
class BundleEntry:
    """One `Bundle.entry`: `resource` is JSON text; `rest` holds what else it has (search, request, response)."""

    full_url: str | None = None
    resource: bytes | None = None
    rest: dict[str, Any] = field(default_factory=dict)


def assemble(
    bundle_type: str,
    entries: Iterable[BundleEntry],
    *,
    links: Sequence[tuple[str, str]] = (),
    total: int | None = None,
    head: dict[str, Any] | None = None,
) -> bytes:
    """The Bundle as JSON text. `links` are (relation, url); `head` are elements that come before `type`."""
    start: dict[str, Any] = {"resourceType": "Bundle", **(head or {}), "type": bundle_type}
    if total is not None:
        start["total"] = total
    if links:
        start["link"] = [{"relation": relation, "url": url} for relation, url in links]
    parts = [_entry(entry) for entry in entries]
    text = serialize(start)
    if not parts:
        return text
    return b"".join((text[:-1], b',"entry":[', b",".join(parts), b"]}"))


def _entry(entry: BundleEntry) -> bytes:
    members = []
    if entry.full_url is not None:
        members.append(b'"fullUrl":' + serialize(entry.full_url))
    if entry.resource is not None:
        members.append(b'"resource":' + entry.resource)
    if entry.rest:
        members.append(serialize(entry.rest)[1:-1])
    return b"{" + b",".join(members) + b"}"
