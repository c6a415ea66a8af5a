"""What Consents deny, kept so that all processes can hear of it: a small table that every node has.

What a Consent denied that denies nothing any more stays there without content, so that its end is heard of.
"""

from collections.abc import Mapping, Sequence

from fhirserver.interactions.store import NewVersion
from fhirserver.storage.repositories.changes import count
from fhirserver.storage.statements import Statement, Statements

KEPT = Statement("consents_kept", "SELECT id FROM consent_denial WHERE id = ANY($1::text[]) AND content IS NOT NULL")
KEEP = Statement(
    "keep_consent",
    "INSERT INTO consent_denial (id, content, since) VALUES ($1, $2, $3)"
    " ON CONFLICT (id) DO UPDATE SET content = excluded.content, since = excluded.since",
)
# One statement, so that the count and what it counts go together.
DENIALS = Statement(
    "consent_denials",
    "SELECT c.number, d.id, d.content FROM conformance_change c LEFT JOIN consent_denial d ON d.since > $1"
    " WHERE c.resource_type = 'Consent'",
)


async def announce(statements: Statements, changes: Sequence[NewVersion]) -> None:
    """Keep what these Consents deny. It counts as a change only if there is something, or was."""
    kept = {row["id"] for row in await statements.rows(KEPT, [change.version.id for change in changes])}
    affected = [change for change in changes if change.denial is not None or change.version.id in kept]
    if affected:
        number = await count(statements, "Consent")
        for change in affected:
            await statements.run(KEEP, change.version.id, change.denial, number)


async def denials(statements: Statements, after: int) -> tuple[int, Mapping[str, bytes | None]]:
    """The number of changes, and what changed after the one with the number `after`."""
    rows = await statements.rows(DENIALS, after)
    return rows[0]["number"], {row["id"]: row["content"] for row in rows if row["id"] is not None}
