"""What R4 says about Bundles in words, or as invariants that would take time with the square of the entries.

https://hl7.org/fhir/R4/bundle.html and the invariant bdl-7
"""

from typing import Any

from fhirserver.fhir.datatypes.references import parse_reference
from fhirserver.fhir.validation.report import Place, Report, shown

_ONCE = frozenset({"self", "first", "previous", "prev", "next", "last"})
_WITH_BODY = ("POST", "PUT", "PATCH")


def check_bundle(value: Any, place: Place, report: Report) -> None:
    """The check of links, addresses, and of what the entries of each type of Bundle need."""
    if type(value) is not dict:
        return
    _check_links(value.get("link"), place, report)
    entries = value.get("entry")
    if type(entries) is not list:
        return
    kind = value.get("type")
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
        if kind in ("batch", "transaction"):
            _check_request(entry, at, report)
        elif kind == "searchset":
            _check_match(entry, resource, at, report)


def _check_links(links: Any, place: Place, report: Report) -> None:
    seen: set[str] = set()
    for index, link in enumerate(links if type(links) is list else ()):
        relation = link.get("relation") if type(link) is dict else None
        if relation in seen:
            report.add("duplicate", f"There is another link '{relation}'", (place, "link", index))
        if type(relation) is str and relation in _ONCE:
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


def _check_request(entry: dict[str, Any], place: Place, report: Report) -> None:
    request = entry.get("request")
    if type(request) is not dict or request.get("method") not in _WITH_BODY or "resource" in entry:
        return
    url = request.get("url")
    if type(url) is str and "$" not in url:
        report.add("required", f"{request['method']} needs a resource", place)


def _check_match(entry: dict[str, Any], resource: dict[str, Any] | None, place: Place, report: Report) -> None:
    search = entry.get("search")
    mode = search.get("mode") if type(search) is dict else None
    if resource is not None and (mode == "outcome") and resource.get("resourceType") != "OperationOutcome":
        report.add("value", "The resource of an outcome must be an OperationOutcome", (place, "resource", None))
