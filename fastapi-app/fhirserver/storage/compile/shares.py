"""What share of all rows a search matches, as far as PostgreSQL's statistics of `keys` tell (decisions/0013)."""

from bisect import bisect_left
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, prod

from fhirserver.search.query.tree import And, KeyMatch, Node, Or, RangeMatch, StringMatch


@dataclass(frozen=True, slots=True)
class Statistics:
    """The number of rows of a table, the shares of its types and of its most common keys, that of any other key, and
    ids that cut the table into equal parts."""

    rows: float
    types: Mapping[str, float]
    shares: Mapping[int, float]
    rare: float
    ids: Sequence[str]

    def share(self, keys: Collection[int]) -> float:
        """The share of rows that have one of these keys; too high where some have several."""
        return min(1.0, sum(self.shares.get(key, self.rare) for key in keys))

    def bound(self, position: str | None, part: float, *, down: bool) -> str | None:
        """The id with this part of all rows between it and a position, or the end of the order that is gone through;
        None if that is all there is, or nearly."""
        last = len(self.ids) - 1
        steps = max(1, ceil(part * last))
        if down:
            start = last if position is None else bisect_left(self.ids, position) - 1
            return self.ids[start - steps] if start - steps > 0 else None
        start = 0 if position is None else bisect_left(self.ids, position)
        return self.ids[start + steps] if start + steps < last else None


def likely(node: Node, statistics: Statistics) -> float | None:
    """The share of rows that match, if clauses are independent of each other; None if nothing tells."""
    match node:
        case KeyMatch(keys=keys):
            return statistics.share(keys)
        case RangeMatch(among=among) | StringMatch(among=among) if among:
            return statistics.share(among)
        case And(parts=parts) | Or(parts=parts):
            shares = [likely(part, statistics) for part in parts]
            known = [share for share in shares if share is not None]
            if len(known) < len(shares):
                return None
            return prod(known) if isinstance(node, And) else min(1.0, sum(known))
    return None


def at_most(node: Node, statistics: Statistics) -> float:
    """The share of rows that have the keys without which none matches."""
    match node:
        case And(parts=parts):
            return min((at_most(part, statistics) for part in parts), default=1.0)
        case Or(parts=parts):
            return min(1.0, sum(at_most(part, statistics) for part in parts))
    found = likely(node, statistics)
    return 1.0 if found is None else found
