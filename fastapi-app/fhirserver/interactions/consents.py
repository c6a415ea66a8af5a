"""What Consents deny: from what is kept of them in the database to the trees that policies give."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import tzinfo
from typing import Protocol

from fhirserver.access.consents import Denial, Denials, read_denial, refusal_of_all
from fhirserver.fhir.definitions import Definitions
from fhirserver.interactions.context import Server
from fhirserver.observability.logging import get_logger

_log = get_logger("fhirserver.access")


class DenialStore(Protocol):
    """Where it is kept."""

    async def denials(self, after: int) -> tuple[int, Mapping[str, bytes | None]]:
        """The number of changes, and what changed after the one with the number `after`, by the id of the Consent."""
        ...


class Consents:
    """Follows the Consents that deny something."""

    resource_types = ("Consent",)

    def __init__(self, r4: Definitions, store: DenialStore, zone: tzinfo):
        self._r4 = r4
        self._store = store
        self._zone = zone

    async def apply(self, server: Server) -> Server:
        """The server that carries out what Consents deny now."""
        before = server.denials or Denials(self._r4, self._zone)
        number, changes = await self._store.denials(before.number)
        read = {id: self._read(id, content) for id, content in changes.items()}
        return replace(server, denials=before.changed(read, number))

    def _read(self, id: str, content: bytes | None) -> Denial | None:
        if content is None:
            return None
        try:
            return read_denial(content, self._zone)
        except Exception as error:  # a Consent that can't be read keeps everything, and does not hold up the others
            _log.error("a Consent can't be read", consent=id, error=type(error).__name__)
            return refusal_of_all(content)
