"""A batch: each entry is a request of its own, and none knows of the others.

https://hl7.org/fhir/R4/http.html#brules
"""

import asyncio
from collections.abc import Mapping, Sequence
from itertools import islice

from fhirserver.bundles import answers
from fhirserver.bundles.dispatch import addressed, dispatch, kind_of
from fhirserver.bundles.entries import EntryRequest, at_entry
from fhirserver.bundles.order import in_order
from fhirserver.bundles.room import Room
from fhirserver.fhir.bundle_json import BundleEntry, assemble
from fhirserver.fhir.outcomes import FhirError, Issue, operation_outcome
from fhirserver.fhir.validation.positions import located
from fhirserver.interactions.context import Call, Server

_AT_ONCE = 4


async def batch(
    server: Server,
    call: Call,
    entries: list[EntryRequest | FhirError],
    prefer_return: str,
    text: bytes | None = None,
) -> bytes:
    """Carry out all entries, a few at a time, those of one method before those of the next.

    The issues of those that fail get their positions in `text`, the JSON that the Bundle came in.
    """
    done: dict[int, BundleEntry] = {}
    failed: dict[int, tuple[int, Sequence[Issue]]] = {}
    for index, entry in enumerate(entries):
        if isinstance(entry, FhirError):
            failed[index] = entry.status, entry.issues
    several, room = asyncio.Semaphore(_AT_ONCE), Room()

    async def carry_out(entry: EntryRequest) -> None:
        async with several:
            try:
                if not entry.writes:
                    room.require()
                done[entry.index] = room.take(await dispatch(server.latest(), call, entry, prefer_return))
            except FhirError as error:
                failed[entry.index] = error.status, at_entry(error, entry)
                call.trail.done(kind_of(entry), error.status, *addressed(entry))

    ordered = in_order(entry for entry in entries if isinstance(entry, EntryRequest))
    for method in dict.fromkeys(entry.method for entry in ordered):
        await asyncio.gather(*(carry_out(entry) for entry in ordered if entry.method == method))
    done |= _refusals(failed, text)
    return assemble("batch-response", [done[index] for index in range(len(entries))])


def _refusals(failed: Mapping[int, tuple[int, Sequence[Issue]]], text: bytes | None) -> dict[int, BundleEntry]:
    issues = [issue for _, listed in failed.values() for issue in listed]
    told = iter(located(issues, text) if text is not None else issues)
    return {
        index: answers.of_error(f"{status}", operation_outcome(list(islice(told, len(listed)))))
        for index, (status, listed) in failed.items()
    }
