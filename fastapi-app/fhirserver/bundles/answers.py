"""`Bundle.entry` of an answer: what became of each request.

https://hl7.org/fhir/R4/bundle.html#transaction-response (`Bundle.entry.response`)
"""

from typing import Any

from fhirserver.fhir.bundle_json import BundleEntry
from fhirserver.fhir.outcomes import Issue, operation_outcome
from fhirserver.interactions.context import Call
from fhirserver.interactions.store import StoredResource
from fhirserver.interactions.versions import Written, instant
from fhirserver.operations.answer import Accepted


def of_write(call: Call, written: Written, prefer_return: str) -> BundleEntry:
    """After a create or update."""
    version = written.stored
    response = _response("201 Created" if written.created else "200 OK", version)
    response["location"] = f"{version.resource_type}/{version.id}/_history/{version.version_id}"
    if prefer_return == "OperationOutcome":
        did = "created" if written.created else "updated" if written.changed else "left as it is"
        response["outcome"] = operation_outcome(
            [Issue("information", "informational", f"{version.resource_type}/{version.id} {did}")]
        )
    return BundleEntry(
        f"{call.base_url}/{version.resource_type}/{version.id}",
        version.content if prefer_return == "representation" else None,
        {"response": response},
    )


def of_delete(version: StoredResource | None) -> BundleEntry:
    """After a delete; None if there was nothing to delete."""
    return BundleEntry(
        rest={"response": {"status": "204 No Content"} if version is None else _response("204 No Content", version)}
    )


def of_read(call: Call, version: StoredResource, body: bool) -> BundleEntry:
    """After a read; without the resource for HEAD."""
    return BundleEntry(
        f"{call.base_url}/{version.resource_type}/{version.id}",
        version.content if body else None,
        {"response": _response("200 OK", version)},
    )


def not_modified(version: StoredResource) -> BundleEntry:
    """After a read whose If-None-Match names the current version."""
    return BundleEntry(rest={"response": _response("304 Not Modified", version)})


def of_bundle(bundle: bytes, body: bool) -> BundleEntry:
    """After a search or a history."""
    return BundleEntry(None, bundle if body else None, {"response": {"status": "200 OK"}})


def of_accepted(accepted: Accepted) -> BundleEntry:
    """After an operation that a job carries out."""
    return BundleEntry(None, accepted.body, {"response": {"status": "202 Accepted", "location": accepted.address}})


def of_error(status: str, outcome: dict[str, Any]) -> BundleEntry:
    """After an entry of a batch that failed."""
    return BundleEntry(rest={"response": {"status": status, "outcome": outcome}})


def _response(status: str, version: StoredResource) -> dict[str, Any]:
    return {
        "status": status,
        "etag": f'W/"{version.version_id}"',
        "lastModified": instant(version.last_updated),
    }
