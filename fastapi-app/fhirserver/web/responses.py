"""Answers: resources as they are stored, with the headers that R4 asks for. Headers are built as raw bytes.

https://hl7.org/fhir/R4/http.html#versions, #ops and #cread
"""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache

from starlette.responses import Response

from fhirserver.fhir.outcomes import Issue, operation_outcome
from fhirserver.fhir.resource_json import pretty, serialize
from fhirserver.interactions.preconditions import is_unchanged
from fhirserver.interactions.store import StoredResource
from fhirserver.interactions.versions import Written
from fhirserver.operations.answer import Accepted
from fhirserver.web.negotiation import FHIR_JSON
from fhirserver.web.preferences import Return
from fhirserver.web.scope import Scope, header

Header = tuple[bytes, bytes]

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class RawResponse(Response):
    """A response whose headers are bytes: Starlette's own spends more time on them than on the rest."""

    def __init__(self, status: int, body: bytes, headers: list[Header]) -> None:
        self.status_code = status
        self.body = body
        self.raw_headers = headers
        self.background = None


def json_response(
    status: int, body: bytes, headers: list[Header] | None = None, media_type: str = FHIR_JSON
) -> RawResponse:
    """JSON text with its content type and length and these further headers."""
    return RawResponse(
        status,
        body,
        [_content_type(media_type), (b"content-length", b"%d" % len(body)), *(headers or ())],
    )


def resource_response(stored: StoredResource, media_type: str, is_pretty: bool) -> RawResponse:
    """A version as the answer to a read: the stored bytes, its ETag and Last-Modified."""
    body = stored.live
    return json_response(200, pretty(body) if is_pretty else body, version_headers(stored), media_type)


def bundle_response(bundle: bytes, media_type: str, is_pretty: bool) -> RawResponse:
    """A Bundle: the answer to search, history, batch and transaction."""
    return json_response(200, pretty(bundle) if is_pretty else bundle, None, media_type)


def accepted_response(accepted: Accepted, media_type: str, is_pretty: bool) -> RawResponse:
    """The answer to what a job will do: 202, and where the job is told of."""
    body = pretty(accepted.body) if is_pretty else accepted.body
    return json_response(202, body, [(b"content-location", accepted.address.encode())], media_type)


def version_headers(stored: StoredResource) -> list[Header]:
    """ETag and Last-Modified of a version."""
    return [
        (b"etag", b'W/"%d"' % stored.version_id),
        (b"last-modified", http_date(stored.last_updated)),
    ]


def not_modified(scope: Scope, stored: StoredResource) -> RawResponse | None:
    """304 if If-None-Match names this version or, without that header, If-Modified-Since is not before it."""
    since = header(scope, b"if-modified-since")
    if is_unchanged(stored, header(scope, b"if-none-match"), _end_of_second(since) if since is not None else None):
        return RawResponse(304, b"", version_headers(stored))
    return None


def _end_of_second(text: str) -> datetime | None:
    """The last instant that this HTTP date can mean; None if it is none (RFC 9110: then it is ignored)."""
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return moment.replace(microsecond=999_999, tzinfo=moment.tzinfo or UTC)


def written_response(
    written: Written, base_url: str, returned: Return | None, media_type: str, is_pretty: bool
) -> RawResponse:
    """The answer to create and update: 201 for what is new, else 200, with the body that Prefer asks for."""
    stored = written.stored
    address = f"{stored.resource_type}/{stored.id}"
    location = f"{base_url}/{address}/_history/{stored.version_id}".encode()
    headers = [*version_headers(stored), (b"location", location)]
    status = 201 if written.created else 200
    if returned == "minimal":
        return RawResponse(status, b"", [*headers, (b"content-length", b"0")])
    if returned == "OperationOutcome":
        did = "created" if written.created else "updated" if written.changed else "left as it is"
        body = serialize(operation_outcome([information(f"{address} {did}; version {stored.version_id}")]))
    else:
        body = stored.live
        headers.append((b"content-location", location))
    return json_response(status, pretty(body) if is_pretty else body, headers, media_type)


def deleted_response(
    stored: StoredResource | None, returned: Return | None, media_type: str, is_pretty: bool
) -> RawResponse:
    """The answer to delete: 204, or 200 with an OperationOutcome if Prefer asks for one."""
    headers = version_headers(stored) if stored is not None else []
    if returned != "OperationOutcome":
        return RawResponse(204, b"", headers)
    did = f"{stored.resource_type}/{stored.id} deleted" if stored is not None else "nothing to delete"
    body = serialize(operation_outcome([information(did)]))
    return json_response(200, pretty(body) if is_pretty else body, headers, media_type)


def information(text: str) -> Issue:
    """An issue that says that all went well."""
    return Issue("information", "informational", text)


def http_date(moment: datetime) -> bytes:
    """`Sat, 31 Jan 2026 09:30:00 GMT`. `moment` is in UTC."""
    return b"%b, %02d %b %d %02d:%02d:%02d GMT" % (
        _DAYS[moment.weekday()].encode(),
        moment.day,
        _MONTHS[moment.month - 1].encode(),
        moment.year,
        moment.hour,
        moment.minute,
        moment.second,
    )


@lru_cache(maxsize=16)
def _content_type(media_type: str) -> Header:
    return (b"content-type", f"{media_type}; charset=utf-8".encode())
