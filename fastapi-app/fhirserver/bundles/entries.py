"""What each entry of a batch or transaction asks for, read from `Bundle.entry.request`.

https://hl7.org/fhir/R4/http.html#transaction
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from fhirserver.fhir.outcomes import FhirError, InvalidRequest, Issue

METHODS = ("DELETE", "POST", "PUT", "GET", "HEAD")
_WITH_BODY = ("POST", "PUT")
_WRITING = (*_WITH_BODY, "DELETE")


@dataclass(frozen=True, slots=True)
class EntryRequest:
    """One entry: its position, and its request taken apart.

    `path` are the segments of the URL below the base (`["Patient", "1"]`), `query` what follows the `?`
    (None without one), `resource` the body.
    """

    index: int
    method: str
    path: tuple[str, ...]
    query: str | None
    full_url: str | None
    resource: dict[str, Any] | None
    if_match: str | None = None
    if_none_match: str | None = None
    if_none_exist: str | None = None
    if_modified_since: str | None = None

    @property
    def place(self) -> str:
        """Where the entry stands, as a FHIRPath."""
        return f"Bundle.entry[{self.index}]"

    @property
    def resource_type(self) -> str:
        """The type in the URL; empty for the base itself."""
        return self.path[0] if self.path else ""

    @property
    def operation(self) -> str | None:
        """The code of the operation that is called; None if none is."""
        return self.path[-1][1:] if self.path and self.path[-1].startswith("$") else None

    @property
    def writes(self) -> bool:
        """Whether it is a create, an update or a delete."""
        return self.method in _WRITING and self.operation is None

    @property
    def body(self) -> dict[str, Any]:
        """The resource of a POST or PUT, which `read_entries` has made sure of."""
        if self.resource is None:
            raise InvalidRequest(f"{self.method} needs a resource", expression=f"{self.place}.resource")
        return self.resource


def read_entries(bundle: dict[str, Any], base_url: str) -> list[EntryRequest | FhirError]:
    """The entries in their order; for one that makes no sense, the error that says why."""
    entries = bundle.get("entry", [])
    if not isinstance(entries, list):
        raise InvalidRequest("Bundle.entry is a list", expression="Bundle.entry", code="structure")
    return [_read_entry(index, entry, base_url) for index, entry in enumerate(entries)]


def at_entry(error: FhirError, entry: EntryRequest) -> list[Issue]:
    """The issues of an error in this entry, with places that start at the Bundle."""
    return [
        Issue(
            issue.severity,
            issue.code,
            issue.diagnostics,
            tuple(_below(entry, place) for place in issue.expression) or (entry.place,),
        )
        for issue in error.issues
    ]


def _below(entry: EntryRequest, place: str) -> str:
    """A place in the entry's resource, or the name of a parameter of its criteria, as a place in the Bundle."""
    head, _, rest = place.partition(".")
    if head == "Bundle" and rest:
        return place
    if entry.resource is not None and place in ("id", "resourceType"):
        return f"{entry.place}.resource.{place}"
    if entry.resource is not None and head == entry.resource_type:
        return f"{entry.place}.resource.{rest}" if rest else f"{entry.place}.resource"
    return f"{entry.place}.request.{'url' if entry.if_none_exist is None else 'ifNoneExist'}"


def _read_entry(index: int, entry: Any, base_url: str) -> EntryRequest | FhirError:
    place = f"Bundle.entry[{index}]"

    def wrong(problem: str, element: str = "") -> FhirError:
        return InvalidRequest(problem, expression=place + element)

    if not isinstance(entry, dict):
        return wrong("an entry is an object")
    request = entry.get("request")
    if not isinstance(request, dict):
        return wrong("an entry of a batch or transaction has a request", ".request")
    strings = ("method", "url", "ifMatch", "ifNoneMatch", "ifNoneExist", "ifModifiedSince")
    if not all(isinstance(request.get(name, ""), str) for name in strings):
        return wrong("the elements of a request are strings", ".request")
    method = request.get("method", "")
    if method not in METHODS:
        return wrong(f"method is one of {', '.join(METHODS)}, not {method[:20]!r}", ".request.method")
    url = request.get("url", "")
    full_url = entry.get("fullUrl")
    if full_url is not None and not isinstance(full_url, str):
        return wrong("fullUrl is a string", ".fullUrl")
    resource = entry.get("resource")
    if resource is not None and not isinstance(resource, dict):
        return wrong("a resource is an object", ".resource")
    path, query = _split(url, base_url)
    calls = bool(path) and path[-1].startswith("$")
    if method in _WITH_BODY and resource is None and not calls:
        return wrong(f"{method} needs a resource", ".resource")
    if not url or not _fits(method, path, query):
        return wrong(f"{method} can't be applied to {url[:200]!r}", ".request.url")
    return EntryRequest(
        index,
        method,
        path,
        query,
        full_url,
        resource if method in _WITH_BODY else None,
        request.get("ifMatch"),
        request.get("ifNoneMatch"),
        request.get("ifNoneExist"),
        request.get("ifModifiedSince"),
    )


def _split(url: str, base_url: str) -> tuple[tuple[str, ...], str | None]:
    if url.startswith(base_url + "/"):
        url = url[len(base_url) :]
    path, mark, query = url.partition("?")
    segments: Sequence[str] = [unquote(segment) for segment in path.split("/") if segment]
    return tuple(segments), query if mark else None


def _fits(method: str, path: tuple[str, ...], query: str | None) -> bool:
    """Whether the form of the URL goes with the method; whether type and id exist is seen later."""
    if method in ("GET", "HEAD"):
        return bool(path) or query is not None
    if method == "POST" and path and path[-1].startswith("$"):
        return len(path) <= 3
    if method == "POST":
        return len(path) == 1
    return len(path) == 2 if query is None else len(path) == 1
