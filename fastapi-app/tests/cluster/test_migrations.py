"""What migrations do on Citus, where tables are distributed already."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import Connection, text

from fhirserver.storage import migrate
from fhirserver.storage.citus import align_statistics, set_statistics

_OF_SHARDS = (
    "SELECT DISTINCT result FROM run_command_on_shards('resource',"
    " $$SELECT attstattarget FROM pg_attribute WHERE attrelid = '%s'::regclass AND attname = 'keys'$$)"
)


@pytest.fixture(autouse=True)
def _citus_only(on_citus: bool) -> None:
    if not on_citus:
        pytest.skip("SKIPPED: NO CITUS. Run with --database on a cluster to migrate distributed tables")


def test_shards_have_the_statistics_of_their_table(dsn: str) -> None:
    def of_shards(connection: Connection) -> list[str]:
        return list(connection.scalars(text(_OF_SHARDS)))

    def run(work: Any) -> Any:
        return asyncio.run(migrate._run(dsn, work))

    assert run(of_shards) == ["1000"]
    for target in (300, 1000):
        run(lambda connection, target=target: set_statistics(connection, "resource", "keys", target))
        run(align_statistics)
        assert run(of_shards) == [str(target)]
