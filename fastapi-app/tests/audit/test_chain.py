"""What was done to the tables by whoever has the database → what `fhirserver audit verify` says of it."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from api.building import observation

from fhirserver.audit.chain import Chain, Head
from fhirserver.storage.audit_log import PostgresAuditLog

from .conftest import Audited, start

AT = "resource_type = 'AuditEvent' AND audit_stream = $1 AND audit_sequence"


@pytest.fixture
async def clean(dsn: str, empty: None) -> AsyncIterator[Audited]:
    """A process on tables without events. It has written six events into one stream, and the head of it is noted."""
    process = await start(dsn)
    await process.rows("TRUNCATE audit_stream")
    async with process.client() as client:
        for _ in range(6):
            await client.get("/fhir/Patient/1")
    await process.opened.events.note_heads()
    yield process
    await process.close()


async def stream_of(process: Audited) -> int:
    [row] = await process.rows("SELECT audit_stream, count(*) FROM resource WHERE audit_stream > 0 GROUP BY 1")
    assert row[1] == 6
    return int(row[0])


async def said(process: Audited, kept: tuple[tuple[int, Head], ...] = (), chain: Chain | None = None) -> list[str]:
    log = process.opened.audit_log()
    if chain is not None:
        log = PostgresAuditLog(process.opened.pool, lambda *_: None, chain)
    return [str(problem) async for _, found in log.problems(kept) for problem in found]


# what is done, and what is said of it; {n} is the number of the stream
TAMPERED = [
    ([], []),  # nothing
    ([f"UPDATE resource SET content = replace(content::text, '\"4\"', '\"0\"')::json WHERE {AT} = 3"], ["event 3: AuditEvent/… was changed"]),
    ([f"UPDATE resource SET content = content::text::jsonb::text::json WHERE {AT} = 3"], ["event 3: AuditEvent/… was changed"]),  # written otherwise
    ([f"UPDATE resource SET last_updated = '2020-01-01T00:00:00Z' WHERE {AT} = 3"], ["event 3: AuditEvent/… was changed"]),
    ([f"UPDATE resource SET id = id || 'x' WHERE {AT} = 3"], ["event 3: AuditEvent/… was changed"]),
    ([f"UPDATE resource SET audit_hash = sha256('') WHERE {AT} = 3"], ["event 3: AuditEvent/… was changed", "event 4: AuditEvent/… was changed"]),
    ([f"DELETE FROM resource WHERE {AT} = 1"], ["event 2: events 1 to 1 before it are missing"]),
    ([f"DELETE FROM resource WHERE {AT} IN (3, 4)"], ["event 5: events 3 to 4 before it are missing"]),
    ([f"DELETE FROM resource WHERE {AT} > 4"], ["event 4: the events after it, to 6, are missing"]),
    ([f"DELETE FROM resource WHERE {AT} > 0"], ["event 0: the events after it, to 6, are missing"]),
    ([f"UPDATE resource SET audit_sequence = 9 - audit_sequence WHERE {AT} IN (4, 5)"], ["event 4: AuditEvent/… was changed", "event 5: AuditEvent/… was changed", "event 6: AuditEvent/… was changed"]),  # swapped
    ([f"UPDATE resource SET content = NULL, deleted = true WHERE {AT} = 2"], ["event 2: AuditEvent/… has lost its content"]),
    ([f"UPDATE resource SET audit_sequence = 5 WHERE {AT} = 6"], ["event 5: there is more than one", "event 5: the events after it, to 6, are missing"]),
    ([f"UPDATE resource SET audit_stream = NULL WHERE {AT} = 6"], ["event 5: the events after it, to 6, are missing", "AuditEvent/… is no event of any stream"]),
    ([f"UPDATE resource SET audit_stream = 99 WHERE {AT} = 6"], ["event 5: the events after it, to 6, are missing", "AuditEvent/… is no event of any stream"]),
    (["UPDATE audit_stream SET hash = sha256('') WHERE number = $1"], ["event 6: it is not the event that was noted as the last one"]),
    (["UPDATE audit_stream SET number = number + 1 WHERE number = $1"], None),
    (["UPDATE audit_stream SET first_hash = sha256('') WHERE number = $1"], ["event 0: its beginning was changed"]),
]  # fmt: skip


@pytest.mark.parametrize(("statements", "expected"), TAMPERED, ids=[str(row[0]) for row in TAMPERED])
async def test_verify_tells_of(statements: list[str], expected: list[str] | None, clean: Audited) -> None:
    number = await stream_of(clean)
    for statement in statements:
        await clean.rows(statement, number)
    found = await said(clean)
    if expected is None:
        assert found
        return
    assert len(found) == len(expected)
    for text, wanted in zip(found, expected, strict=True):
        for part in wanted.split("…"):
            assert part in text


async def test_a_tail_that_was_removed_with_its_head_is_missed_by_who_kept_the_head(clean: Audited) -> None:
    number = await stream_of(clean)
    [stream] = await clean.opened.audit_log().streams()
    [hash] = await clean.rows("SELECT audit_hash FROM resource WHERE audit_stream = $1 AND audit_sequence = 4", number)
    await clean.rows(f"DELETE FROM resource WHERE {AT} > 4", number)
    await clean.rows("UPDATE audit_stream SET sequence = 4, hash = $2 WHERE number = $1", number, hash[0])
    assert await said(clean) == []
    assert await said(clean, ((number, stream.head),)) == [
        f"stream {number}, event 4: the events after it, to 6, are missing"
    ]


async def test_a_stream_that_was_removed_is_missed_by_who_kept_its_head(clean: Audited) -> None:
    number = await stream_of(clean)
    [stream] = await clean.opened.audit_log().streams()
    await clean.rows(f"DELETE FROM resource WHERE {AT} > 0", number)
    await clean.rows("DELETE FROM audit_stream WHERE number = $1", number)
    assert await said(clean, ((number, stream.head),)) == [f"stream {number}, event 0: the whole stream is missing"]


async def test_a_chain_made_anew_without_the_key_is_told(dsn: str, empty: None) -> None:
    process = await start(dsn, key="only the operator knows")
    await process.rows("TRUNCATE audit_stream")
    async with process.client() as client:
        await client.get("/fhir/Patient/1")
        await client.get("/fhir/Patient/2")
    await process.opened.events.note_heads()
    assert await said(process) == []
    plain, head = Chain(None), Chain(None).start(1)
    for row in await process.rows(
        "SELECT id, last_updated, content::text FROM resource WHERE audit_stream = 1 ORDER BY audit_sequence"
    ):
        head = plain.next(1, head, row[0], row[1], row[2].encode())
        await process.rows("UPDATE resource SET audit_hash = $2 WHERE id = $1 RETURNING 1", row[0], head.hash)
    await process.rows("UPDATE audit_stream SET first_hash = $1, hash = $2", plain.start(1).hash, head.hash)
    assert await said(process)
    assert await said(process, chain=plain) == ["stream 1, event 0: it was made with another key"]
    await process.close()


async def test_the_chain_holds_after_old_events_were_let_go_of(clean: Audited) -> None:
    number = await stream_of(clean)
    log = clean.opened.audit_log()
    [fourth] = await clean.rows(f"SELECT last_updated FROM resource WHERE {AT} = 4", number)
    assert await log.expire(fourth[0]) == 3
    assert await said(clean) == []
    await clean.rows(f"DELETE FROM resource WHERE {AT} = 4", number)
    assert await said(clean) == [f"stream {number}, event 5: events 4 to 4 before it are missing"]
    assert await log.expire(fourth[0] + timedelta(days=1)) == 2
    assert await said(clean) == []
    async with clean.client() as client:
        await client.get("/fhir/Patient/1")
    assert await said(clean) == []
    assert len(await clean.rows("SELECT 1 FROM resource WHERE audit_stream = $1", number)) == 1


async def test_who_writes_at_the_same_time_has_a_stream_of_its_own(clean: Audited) -> None:
    async with clean.client(**await clean.bearer(await clean.user("admin"))) as client:
        answers = await asyncio.gather(
            *(client.post("/fhir/Observation", json=observation(f"Patient/{n}")) for n in range(20))
        )
    assert {answer.status_code for answer in answers} == {201}
    rows = await clean.rows("SELECT audit_stream, count(*) FROM resource WHERE audit_stream > 0 GROUP BY 1")
    assert len(rows) > 2
    assert await said(clean) == []
