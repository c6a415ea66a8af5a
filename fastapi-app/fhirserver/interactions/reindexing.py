"""Indexing again what is stored. Content, version and time of a resource stay as they are.

Who writes a resource meanwhile is not waited for and not undone: the version that was read has to be the current one
when its index entry is replaced, and else nothing happens, as the writer's entry is newer.
"""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass

from fhirserver.fhir.outcomes import FhirError
from fhirserver.fhir.resource_json import parse
from fhirserver.interactions.compartments import patients_elsewhere
from fhirserver.interactions.context import Server
from fhirserver.interactions.index_store import Indexed, Reindexed
from fhirserver.search.keys import self_key, target_key

_BETWEEN_PAUSES = 20
_ADDRESS = re.compile(rb'"(https?://[^"\\\s]{1,500})/([A-Z][A-Za-z]{1,63})/([A-Za-z0-9\-.]{1,64})["/|]')


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a resource (`Type/id`) could not be indexed, or not in full."""

    resource: str
    reason: str


async def make_entries(
    server: Server, found: Sequence[Indexed], base_url: str
) -> tuple[list[Reindexed], list[Failure]]:
    """The index entries that the server now makes of these resources, and what went wrong with some of them.

    `base_url` is that of this server, where the resources don't tell.
    """
    entries, failures = [], []
    for position, indexed in enumerate(found):
        if position % _BETWEEN_PAUSES == 0:
            await asyncio.sleep(0)
        version = indexed.version
        name = f"{version.resource_type}/{version.id}"
        try:
            made = _made(server, indexed, base_url)
        except (FhirError, AttributeError, KeyError, TypeError, ValueError) as error:
            reason = str(error) if isinstance(error, FhirError) else "it does not have the structure of its type"
            failures.append(Failure(name, reason))
            continue
        entries.append(made)
        failures += [Failure(name, f"{code}: {reason}") for code, reason in made.entry.problems]
    return entries, failures


def _made(server: Server, indexed: Indexed, base_url: str) -> Reindexed:
    version, content = indexed.version, indexed.version.live
    resource = parse(content)
    own = _base_of(content, frozenset(indexed.targets)) or base_url
    entry = server.extractor.extract(resource, version.resource_type, own)
    return Reindexed(version, entry, patients_elsewhere(server, resource, content, version.bucket, own))


def _base_of(content: bytes, targets: frozenset[int]) -> str | None:
    """The base of this server when the resource was written, as it follows from its index entry: an absolute URL that
    led to a resource here. Nothing else tells, where clients decide how the server is called."""
    for base, resource_type, id in _ADDRESS.findall(content):
        address = f"{resource_type.decode()}/{id.decode()}"
        if self_key(*address.split("/")) in targets and target_key(f"{base.decode()}/{address}") not in targets:
            return str(base.decode())
    return None
