"""A batch: each entry is a request of its own, and none knows of the others.

https://hl7.org/fhir/R4/http.html#brules
"""

import asyncio
from collections.abc import Iterable

from fhirserver.bundles import answers
from fhirserver.bundles.dispatch import dispatch
from fhirserver.bundles.entries import EntryRequest, at_entry
from fhirserver.bundles.order import in_order
from fhirserver.fhir.bundle_json import BundleEntry, assemble
from fhirserver.fhir.outcomes import FhirError, Issue, operation_outcome
from fhirserver.interactions.context import Call, Server

_AT_ONCE = 4


async def batch(server: Server, call: Call, entries: list[EntryRequest | FhirError], prefer_return: str) -> bytes:
    """Carry out all entries, a few at a time, those of one method before those of the next."""
    done: dict[int, BundleEntry] = {}
    for index, entry in enumerate(entries):
        if isinstance(entry, FhirError):
            done[index] = _failed(entry, entry.issues)
    several = asyncio.Semaphore(_AT_ONCE)

    async def carry_out(entry: EntryRequest) -> None:
        async with several:
            try:
                done[entry.index] = await dispatch(server.latest(), call, entry, prefer_return)
            except FhirError as error:
                done[entry.index] = _failed(error, at_entry(error, entry))

    ordered = in_order(entry for entry in entries if isinstance(entry, EntryRequest))
    for method in dict.fromkeys(entry.method for entry in ordered):
        await asyncio.gather(*(carry_out(entry) for entry in ordered if entry.method == method))
    return assemble("batch-response", [done[index] for index in range(len(entries))])


def _failed(error: FhirError, issues: Iterable[Issue]) -> BundleEntry:
    return answers.of_error(f"{error.status}", operation_outcome(issues))
