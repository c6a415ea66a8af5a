"""What searches know of the database that they run on."""

from time import monotonic
from typing import Any

import asyncpg

from fhirserver.storage.compile.shares import Statistics

_SECONDS = 300.0
_SECONDS_UNTIL_THERE_ARE_ANY = 10.0
_COLUMNS = 3
# A key that is not among the most common ones is taken to be so much rarer than the rarest of these.
_RARER = 10

_STATISTICS = (
    "SELECT attname AS column, reltuples AS rows, most_common_vals::text::text[] AS common,"
    " most_common_freqs AS shares, histogram_bounds::text::text[] AS bounds,"
    " most_common_elems::text::text[] AS elements,"
    " most_common_elem_freqs AS element_shares"
    " FROM pg_stats JOIN pg_namespace ON nspname = schemaname"
    " JOIN pg_class ON relnamespace = pg_namespace.oid AND relname = tablename"
    " WHERE pg_class.oid = 'resource'::regclass AND attname IN ('id', 'resource_type', 'keys') AND reltuples > 0"
)


class Survey:
    """Whether it is a cluster, and the statistics of `resource`, which are read again every five minutes.

    A cluster has statistics of shards only: there are none of the whole then.
    """

    def __init__(self) -> None:
        self.on_cluster = False
        self._statistics: Statistics | None = None
        self._until = 0.0

    async def statistics(self, driver: "asyncpg.Connection[Any]") -> Statistics | None:
        """The statistics; None if there are none, as before the first ANALYZE."""
        if not self.on_cluster and monotonic() >= self._until:
            self._until = monotonic() + _SECONDS  # others go on with those of before meanwhile
            columns = {row["column"]: row for row in await driver.fetch(_STATISTICS)}
            self._statistics = _statistics(**columns) if len(columns) == _COLUMNS else None
            if self._statistics is None:
                self._until = monotonic() + _SECONDS_UNTIL_THERE_ARE_ANY
        return self._statistics


def _statistics(keys: Any, id: Any, resource_type: Any) -> Statistics | None:
    if keys["elements"] is None or id["bounds"] is None:
        return None
    types = dict(zip(resource_type["common"] or (), resource_type["shares"] or (), strict=False))
    # After the shares of the elements come the least, the greatest and that of NULL.
    shares = dict(zip(map(int, keys["elements"]), keys["element_shares"], strict=False))
    return Statistics(keys["rows"], types, shares, min(shares.values()) / _RARER, id["bounds"])
