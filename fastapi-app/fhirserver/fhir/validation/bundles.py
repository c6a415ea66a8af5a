"""What R4 says about Bundles in words, or as invariants that would be slow on many entries, or not tell which it is.

https://hl7.org/fhir/R4/bundle.html and the invariants bdl-3, bdl-4 and bdl-7
"""

from typing import Any

from fhirserver.fhir.datatypes.references import parse_reference
from fhirserver.fhir.validation.report import Place, Report, shown

_ONCE = frozenset({"self", "first", "previous", "prev", "next", "last"})
_WITH_REQUESTS = frozenset({"batch", "transaction", "history"})
_WITH_RESPONSES = frozenset({"batch-response", "transaction-response", "history"})
_KINDS = _WITH_REQUESTS | _WITH_RESPONSES | {"document", "message", "searchset", "collection"}
_WITH_BODY = ("POST", "PUT", "PATCH")


def check_bundle(value: Any, place: Place, report: Report) -> None:
    """The check of links, addresses, and of what the entries of each type of Bundle need."""
    if type(value) is not dict:
        return
    _check_links(value.get("link"), place, report)
    entries = value.get("entry")
    if type(entries) is not list:
        return
    kind = str(value.get("type"))
    addresses: set[tuple[str, str | None]] = set()
    for index, entry in enumerate(entries):
        if type(entry) is not dict:
            continue
        at = (place, "entry", index)
        resource = entry.get("resource")
        resource = resource if type(resource) is dict else None
        full_url = entry.get("fullUrl")
        if type(full_url) is str:
            _check_address(full_url, resource, at, report)
            address = (full_url, _version(resource))
            if kind != "history" and address in addresses:
                report.add("duplicate", "Another entry has the same fullUrl (bdl-7)", (at, "fullUrl", None))
            addresses.add(address)
        _check_exchange(entry, kind, at, report)
        if kind == "searchset":
            _check_match(entry, resource, at, report)


def _check_links(links: Any, place: Place, report: Report) -> None:
    seen: set[str] = set()
    for index, link in enumerate(links if type(links) is list else ()):
        relation = link.get("relation") if type(link) is dict else None
        if type(relation) is not str or relation not in _ONCE:
            continue
        if relation in seen:
            report.add("duplicate", f"There is another link '{relation}'", (place, "link", index))
        seen.add(relation)


def _check_address(full_url: str, resource: dict[str, Any] | None, place: Place, report: Report) -> None:
    target = parse_reference(full_url)
    at = (place, "fullUrl", None)
    if target is None or target.kind not in ("absolute", "urn"):
        report.add("value", f"fullUrl must be an absolute URL, not {shown(full_url)}", at)
        return
    id = resource.get("id") if resource is not None else None
    if resource is None or target.id is None or target.resource_type != resource.get("resourceType"):
        return
    if type(id) is str and id != target.id:
        report.add("value", f"fullUrl must end with the id of the resource ({shown(id)})", at)


def _version(resource: dict[str, Any] | None) -> str | None:
    meta = resource.get("meta") if resource is not None else None
    version = meta.get("versionId") if type(meta) is dict else None
    return version if type(version) is str else None


def _check_exchange(entry: dict[str, Any], kind: str, place: Place, report: Report) -> None:
    """What is asked, or was answered, stands in those Bundles that are for it, and only there."""
    for name, kinds, key in (("request", _WITH_REQUESTS, "bdl-3"), ("response", _WITH_RESPONSES, "bdl-4")):
        if kind in kinds and name not in entry:
            report.add("required", f"{name} is missing ({key})", place)
        elif name in entry and kind in _KINDS - kinds:
            report.add("invariant", f"{name} must not be in a Bundle of type {kind} ({key})", (place, name, None))
    request = entry.get("request")
    if type(request) is not dict or request.get("method") not in _WITH_BODY or "resource" in entry:
        return
    if kind not in ("batch", "transaction"):
        return
    url = request.get("url")
    if type(url) is str and "$" not in url:
        report.add("required", f"{request['method']} needs a resource", place)


def _check_match(entry: dict[str, Any], resource: dict[str, Any] | None, place: Place, report: Report) -> None:
    search = entry.get("search")
    mode = search.get("mode") if type(search) is dict else None
    if resource is not None and (mode == "outcome") and resource.get("resourceType") != "OperationOutcome":
        report.add("value", "The resource of an outcome must be an OperationOutcome", (place, "resource", None))
