"""Locks keyed by words, held until the transaction ends."""

from collections.abc import Sequence

import xxhash

from fhirserver.storage.statements import Statement, Statements

LOCK = Statement(
    "lock",
    "SELECT CASE WHEN s THEN pg_advisory_xact_lock_shared(k) ELSE pg_advisory_xact_lock(k) END"
    " FROM unnest($1::bigint[], $2::boolean[]) AS t(k, s)",
)


async def lock(statements: Statements, criteria: Sequence[str], shared: Sequence[str] = ()) -> None:
    """Take one lock for each criterion, always in the same order, so that two transactions can't block each other."""
    keys = dict.fromkeys(map(_key, shared), True) | dict.fromkeys(map(_key, criteria), False)
    ordered = sorted(keys)
    await statements.rows(LOCK, ordered, [keys[key] for key in ordered])


def _key(text: str) -> int:
    return xxhash.xxh3_64_intdigest(text.encode()) - 2**63
