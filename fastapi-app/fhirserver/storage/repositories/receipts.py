"""Receipts: which inputs of `fhirserver load` were taken in, noted in the transaction that took them in."""

from collections.abc import Sequence

from fhirserver.storage.statements import Statement, Statements

_BUCKETS = 4096

NOTE = Statement("receipt", "INSERT INTO load_receipt (bucket, digest) VALUES ($1, $2) ON CONFLICT DO NOTHING")
NOTED = Statement(
    "receipts", "SELECT digest FROM load_receipt WHERE bucket = ANY($1::int[]) AND digest = ANY($2::bytea[])"
)


def _bucket(digest: bytes) -> int:
    return int.from_bytes(digest[:2], "big") % _BUCKETS


async def note(statements: Statements, digest: bytes) -> bool:
    """Note the digest; False if it is noted already."""
    return await statements.run(NOTE, _bucket(digest), digest) == 1


async def noted(statements: Statements, digests: Sequence[bytes]) -> set[bytes]:
    """Those of these digests that are noted."""
    rows = await statements.rows(NOTED, [_bucket(digest) for digest in digests], list(digests))
    return {row["digest"] for row in rows}
