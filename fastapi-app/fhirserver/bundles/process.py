"""The interaction on the base: a Bundle of type batch or transaction.

https://hl7.org/fhir/R4/http.html#transaction
"""

from typing import Any

from fhirserver.bundles.batch import batch
from fhirserver.bundles.entries import read_entries
from fhirserver.bundles.transaction import transaction
from fhirserver.fhir.outcomes import InvalidRequest
from fhirserver.interactions.context import Call, Server


async def process_bundle(
    server: Server,
    call: Call,
    bundle: dict[str, Any],
    prefer_return: str = "minimal",
    receipt: bytes | None = None,
) -> bytes:
    """Carry out the Bundle; the answer is a Bundle of type batch-response or transaction-response.

    `prefer_return` is that of the Prefer header. With a `receipt`, the digest of an input, a transaction is carried
    out only if that input was not taken in before (`AlreadyLoaded`). Raises `InvalidRequest` for a body that is no
    such Bundle; for a transaction the error of the entry that failed, with its place.
    """
    if bundle.get("resourceType") != "Bundle":
        raise InvalidRequest("the base takes a Bundle of type batch or transaction", expression="resourceType")
    entries = read_entries(bundle, call.base_url)
    if bundle.get("type") == "transaction":
        return await transaction(server, call, entries, prefer_return, receipt)
    if bundle.get("type") == "batch":
        return await batch(server, call, entries, prefer_return)
    raise InvalidRequest(
        f"Bundle.type is batch or transaction, not {str(bundle.get('type'))[:80]!r}", expression="Bundle.type"
    )
