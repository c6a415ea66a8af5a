"""Locks keyed by search criteria, held until the transaction ends."""

from collections.abc import Sequence

import xxhash

from fhirserver.storage.statements import Statement, Statements

LOCK = Statement("lock", "SELECT pg_advisory_xact_lock(k) FROM unnest($1::bigint[]) AS k")


async def lock(statements: Statements, criteria: Sequence[str]) -> None:
    """Take one lock for each criterion, always in the same order, so that two transactions can't block each other."""
    keys = {xxhash.xxh3_64_intdigest(text.encode()) - 2**63 for text in criteria}
    await statements.rows(LOCK, sorted(keys))
