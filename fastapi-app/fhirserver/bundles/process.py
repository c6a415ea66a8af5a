"""The interaction on the base: a Bundle of type batch or transaction.

https://hl7.org/fhir/R4/http.html#transaction
"""

from typing import Any

from fhirserver.bundles.batch import batch
from fhirserver.bundles.entries import read_entries
from fhirserver.bundles.transaction import transaction
from fhirserver.fhir.outcomes import FhirError, InvalidRequest, InvalidResource
from fhirserver.interactions.context import Call, Server
from fhirserver.interactions.validation import check_bundle


async def process_bundle(
    server: Server,
    call: Call,
    bundle: dict[str, Any],
    prefer_return: str = "minimal",
    receipt: bytes | None = None,
    text: bytes | None = None,
) -> bytes:
    """Carry out the Bundle; the answer is a Bundle of type batch-response or transaction-response.

    `prefer_return` is that of the Prefer header. With a `receipt`, the digest of an input, a transaction is carried
    out only if that input was not taken in before (`AlreadyLoaded`). Raises `InvalidRequest` for a body that is no
    such Bundle; for a transaction the errors of the entries that are wrong, with their places. `text` is the JSON that
    the Bundle came in: the issues of a batch get their positions in it.
    """
    if bundle.get("resourceType") != "Bundle":
        raise InvalidRequest("the base takes a Bundle of type batch or transaction", expression="resourceType")
    kind = bundle.get("type")
    if kind not in ("transaction", "batch"):
        raise InvalidRequest(f"Bundle.type is batch or transaction, not {str(kind)[:80]!r}", expression="Bundle.type")
    entries = read_entries(bundle, call.base_url)
    for index, issues in check_bundle(server, call, bundle).items():
        if not isinstance(entries[index], FhirError):
            entries[index] = InvalidResource(issues)
    if kind == "transaction":
        return await transaction(server, call, entries, prefer_return, receipt)
    return await batch(server, call, entries, prefer_return, text)
