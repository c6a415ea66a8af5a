"""A value in the binary form of COPY → what the database has then."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from fhirserver.storage import binary_copy as binary
from fhirserver.storage.engine import Pool

ROWS: list[tuple[str, binary.Encode, Any, Any]] = [
    ("integer", binary.integer, -(2**31), -(2**31)),
    ("bigint", binary.long, 2**63 - 1, 2**63 - 1),
    ("bigint", binary.long, None, None),
    ("boolean", binary.flag, True, True),
    ("boolean", binary.flag, False, False),
    ("text", binary.text, "", ""),
    ("text", binary.text, "José 🩺", "José 🩺"),
    ("bytea", binary.octets, b"\x00\xff", b"\x00\xff"),
    ("json", binary.octets, b'{"a":1.00}', b'{"a":1.00}'),  # the bytes stay
    ("bigint[]", binary.longs, [], []),
    ("bigint[]", binary.longs, [1, -(2**63), 0], [1, -(2**63), 0]),
    ("bigint[]", binary.longs, list(range(300)), list(range(300))),
    ("float8[]", binary.doubles, [], []),
    ("float8[]", binary.doubles, [0.1, float("inf")], [0.1, float("inf")]),
    ("timestamptz", binary.instant, datetime(2026, 1, 31, 9, 30, 0, 123456, UTC), datetime(2026, 1, 31, 9, 30, 0, 123456, UTC)),
    ("timestamptz", binary.instant, datetime(1969, 12, 31, 23, 59, 59, 1, UTC), datetime(1969, 12, 31, 23, 59, 59, 1, UTC)),  # before its epoch
    ("timestamptz", binary.instant, datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=2))), datetime(2025, 12, 31, 22, tzinfo=UTC)),
]  # fmt: skip


@pytest.mark.parametrize(("type", "encode", "value", "expected"), ROWS)
async def test_the_database_has(pool: Pool, type: str, encode: binary.Encode, value: Any, expected: Any) -> None:
    async with pool.connection() as driver, driver.transaction():
        await driver.execute(f"CREATE TEMP TABLE copied (value {type}, place integer) ON COMMIT DROP")
        encoded = binary.rows([encode, binary.integer], [(value, 1), (value, 2)])
        await driver.copy_to_table("copied", source=memoryview(encoded), format="binary")
        rows = await driver.fetch("SELECT value, place FROM copied ORDER BY place")
    assert [tuple(row) for row in rows] == [(expected, 1), (expected, 2)]


async def test_words_are_as_in_a_tsvector(pool: Pool) -> None:
    async with pool.connection() as driver, driver.transaction():
        await driver.execute("CREATE TEMP TABLE copied (value tsvector) ON COMMIT DROP")
        encoded = binary.rows([binary.words], [(((), ("b", "a")),), (((), ()),)])
        await driver.copy_to_table("copied", source=memoryview(encoded), format="binary")
        rows = await driver.fetch("SELECT value::text FROM copied ORDER BY 1")
    assert [row[0] for row in rows] == ["", "'a':6 'b':5"]
