"""Backups of the tests' database, embedded or a cluster, brought back into fresh folders."""

import asyncio
import re
import shutil
import sys
import tempfile
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy.engine import make_url

from fhirserver.interactions.create import create as create_resource
from fhirserver.storage.backup.archive import archive, forget
from fhirserver.storage.backup.catalog import BackupError, Catalog, gap, segment_of
from fhirserver.storage.backup.create import create
from fhirserver.storage.backup.drill import census, drill, restored
from fhirserver.storage.backup.nodes import Source, drop_slots, make_point, nodes_of
from fhirserver.storage.backup.programs import for_copying, for_running
from fhirserver.storage.backup.restore import Target, aim, put
from fhirserver.storage.backup.verify import verify
from fhirserver.storage.spread import workers_of

MIB = 1 << 20
LATE = datetime(2999, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("lsn", "megabytes", "segment"),
    [
        (0x0_01000000, 16, "000000030000000000000001"),  # the first byte of a segment is of it
        (0x0_01FFFFFF, 16, "000000030000000000000001"),  # and the last
        (0x0_FF000000, 16, "0000000300000000000000FF"),
        (0x1_00000000, 16, "000000030000000100000000"),  # 256 segments are one log file
        (0x1_80000000, 1024, "000000030000000100000002"),  # or as many as make 4 GB
    ],
)
def test_segment_of_a_place(lsn, megabytes, segment):
    assert segment_of(3, lsn, megabytes * MIB) == segment


@pytest.mark.parametrize(
    ("names", "missing"),
    [
        (["0000000100000000000000FE", "0000000100000000000000FF", "000000010000000100000000"], None),
        (["0000000100000000000000FE", "000000010000000100000000"], "0000000100000000000000FF"),
        (["0000000100000000000000FE", "0000000200000000000000FF", "000000020000000100000000"], None),  # a failover
        (["0000000100000000000000FE", "0000000100000000000000FF"], "000000010000000100000000"),
    ],
)
def test_gaps_in_the_log(names, missing):
    assert gap(names, "0000000100000000000000FE", "000000010000000100000000", 16 * MIB) == missing


def test_programs_that_are_missing_are_told_with_where_they_were_looked_for(tmp_path):
    with pytest.raises(BackupError, match=f"version 15 or newer are needed; looked at {tmp_path}.*PROGRAMS"):
        for_copying(tmp_path, 15, encrypted=False)
    with pytest.raises(BackupError, match=r"version 9 are needed"):
        for_running(None, 9, "")


def test_programs_without_tls_do_not_copy_what_is_spoken_to_by_it(tmp_path):
    for program in ("pg_basebackup", "pg_receivewal"):
        (tmp_path / program).write_text(
            "#!/bin/sh\n[ $1 != --version ] || exec echo 'pg (PostgreSQL) 18.1'\n"
            "echo 'error: sslmode value \"require\" invalid when SSL support is not compiled in' >&2\nexit 1\n"
        )
        (tmp_path / program).chmod(0o755)
    assert for_copying(tmp_path, 15, encrypted=False).version == 18
    with pytest.raises(BackupError, match=re.escape(f"{tmp_path} (without TLS)")):
        for_copying(tmp_path, 15, encrypted=True)


async def test_the_role_that_copies_has_a_password_of_its_own_in_no_command_line(dsn):
    of_superuser = make_url(dsn).set(password="of-the-superuser").render_as_string(hide_password=False)
    async with nodes_of(Source(of_superuser, "copier", "of-the-copier")) as nodes:
        for node in nodes:
            assert make_url(node.conninfo).username == "copier"
            assert make_url(node.conninfo).password is None
            assert node.environment == {"PGPASSWORD": "of-the-copier"}


@pytest.fixture(scope="module")
async def made(dsn, tmp_path_factory):
    """A catalog with one backup, and an archive that goes on."""
    catalog = Catalog(tmp_path_factory.mktemp("backups"))
    source = Source(dsn)
    archiving = asyncio.create_task(archive(source, catalog, None, seconds=0.2))
    await create(source, catalog, None)
    yield catalog
    archiving.cancel()
    with suppress(asyncio.CancelledError):
        await archiving
    await forget(source)


async def everything(dsn):
    connection = await asyncpg.connect(dsn)
    try:
        return await census(connection, LATE)
    finally:
        await connection.close()


async def reached(catalog, moment):
    async with asyncio.timeout(60):
        while (catalog.archived_until or moment - timedelta(1)) < moment:  # noqa: ASYNC110
            await asyncio.sleep(0.1)


async def patient(server, call, name):
    resource = {"resourceType": "Patient", "name": [{"family": name}]}
    return await create_resource(server, call, "Patient", resource)


async def test_a_moment_and_a_point_between_two_writes(dsn, made, server, call):
    source = Source(dsn)
    await patient(server, call, "Before")
    before = await everything(dsn)
    async with nodes_of(source) as nodes:
        made.add_point("between", await make_point(nodes, "between"))
        moment = await nodes[0].connection.fetchval("SELECT clock_timestamp()")
    await asyncio.sleep(0.05)
    await patient(server, call, "After")
    after = await everything(dsn)
    assert after != before
    await reached(made, moment)
    for to in (moment.isoformat(), "between"):
        backup, target = aim(made, None, to)
        async with restored(made, backup, target, None, None) as connection:
            assert await census(connection, LATE) == before, to


async def test_no_half_of_a_transaction_comes_back(dsn, made, on_citus, pool):
    """While both the coordinator and a worker commit on two nodes, again and again."""
    if not on_citus:
        pytest.skip("SKIPPED: NO CLUSTER, no transaction over several nodes")
    buckets = await two_nodes(dsn)
    beginnings = [dsn, (await workers_of(pool, dsn)())[0]]
    writers = [asyncio.create_task(write_pairs(each, bytes([i]), buckets)) for i, each in enumerate(beginnings)]
    try:
        backup = await create(Source(dsn), made, None)
        async with nodes_of(Source(dsn)) as nodes:
            moment = await nodes[0].connection.fetchval("SELECT clock_timestamp()")
        await reached(made, moment)
    finally:
        for writer in writers:
            writer.cancel()
        await asyncio.wait(writers)
    for target in (Target(backup.point, None, archived=False), Target(None, moment, archived=True)):
        async with restored(made, backup, target, None, None) as connection:
            for i in range(len(beginnings)):
                first, second = [
                    {
                        row["digest"]
                        for row in await connection.fetch(
                            "SELECT digest FROM load_receipt WHERE bucket = $1 AND substr(digest, 1, 5) = $2",
                            bucket,
                            b"pair" + bytes([i]),
                        )
                    }
                    for bucket in buckets
                ]
                assert first
                assert first == second, target


async def two_nodes(dsn):
    """Buckets on two different nodes."""
    connection = await asyncpg.connect(dsn)
    try:
        rows = await connection.fetch(
            "SELECT min(b) AS bucket FROM generate_series(0, 4095) b JOIN citus_shards s"
            " ON s.shardid = get_shard_id_for_distribution_column('load_receipt', b) GROUP BY nodename, nodeport"
        )
    finally:
        await connection.close()
    return [row["bucket"] for row in rows][:2]


async def write_pairs(dsn, mark, buckets):
    connection = await asyncpg.connect(dsn)
    try:
        for number in range(1_000_000):
            async with connection.transaction():
                for bucket in buckets:
                    digest = b"pair" + mark + number.to_bytes(4)
                    await connection.execute("INSERT INTO load_receipt VALUES ($1, $2)", bucket, digest)
            await asyncio.sleep(0.01)
    finally:
        await connection.close(timeout=5)


async def test_a_drill_compares_with_the_living(dsn, made):
    found = await drill(made, None, None, dsn, None)
    assert found.compared_until == made.newest().moment - timedelta(seconds=60)


@pytest.fixture
def copy(made, tmp_path):
    """The backup, to be damaged."""
    shutil.copytree(made.folder, tmp_path / "copy")
    return Catalog(tmp_path / "copy")


def flip(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda base, node: flip(base / "base.tar.gz"), r"base.tar.gz is not what it was"),
        (lambda base, node: flip(base / "backup_manifest"), r"backup_manifest is not what it was"),
        (lambda base, node: (base / "base.tar.gz").unlink(), r"base.tar.gz is missing"),
        (lambda base, node: (base.parent / "wal" / node.last_segment).unlink(), r"wal lacks 0000"),
        (lambda base, node: (base / "more").touch(), r"base/more is not of it"),
    ],
)
def test_damage_is_found(copy, damage, told):
    backup = copy.newest()
    verify(copy, backup)
    damage(copy.path(backup) / backup.nodes[0].folder / "base", backup.nodes[0])
    with pytest.raises(BackupError, match=told):
        verify(copy, backup)
    with pytest.raises(BackupError, match=told):  # and nothing is brought back from it
        put(copy, backup, backup.nodes[0], Target(backup.point, None, archived=False), copy.folder / "data")
    assert not (copy.folder / "data").exists()


def test_a_node_is_put_where_nothing_is(made):
    backup = made.newest()
    node = backup.nodes[0]
    target = Target(backup.point, None, archived=False)
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        put(made, backup, node, target, data)
        assert (data / "recovery.signal").exists()
        assert f"recovery_target_name = '{backup.point}'" in (data / "postgresql.auto.conf").read_text()
        assert (data / "restored-wal" / node.last_segment).exists()
        with pytest.raises(BackupError, match="is not empty"):
            put(made, backup, node, target, data)


@pytest.mark.parametrize(
    ("to", "told"),
    [
        ("yesterday", "'yesterday' is no time such as"),
        ("2026-11-25T09:30:00", "has no time zone"),
        ("2001-01-01T00:00:00Z", "no backup from before 2001"),
        ("2999-01-01T00:00:00Z", "can't be reached: the archive reaches to"),
    ],
)
def test_what_can_not_be_gone_back_to(made, to, told):
    with pytest.raises(BackupError, match=told):
        aim(made, None, to)


def test_what_is_younger_than_its_target(made):
    with pytest.raises(BackupError, match="is younger than"):
        aim(made, made.newest().name, "2001-01-01T00:00:00Z")


def test_old_backups_go_with_what_of_the_archive_they_need(copy):
    copy.prune(1)  # other tests may have made some
    first = copy.newest()
    node = first.nodes[0]
    later = first.model_copy(
        update={
            "name": "29990101T000000Z",
            "nodes": (node.model_copy(update={"first_segment": "0000000100000FFF00000000"}), *first.nodes[1:]),
        }
    )
    shutil.copytree(copy.path(first), copy.folder / "later.part")
    copy.complete(copy.folder / "later.part", later)
    archive = copy.archive(node.folder)
    archive.mkdir(parents=True, exist_ok=True)
    for segment in ("0000000100000FFE00000000", "0000000100000FFF00000000", "00000002.history"):
        (archive / segment).touch()
    assert copy.prune(2) == []
    assert copy.prune(1) == [first.name]
    assert copy.names() == [later.name]
    left = {file.name for file in archive.iterdir() if "FFE" in file.name or "FFF" in file.name}
    assert left == {"0000000100000FFF00000000"}
    assert (archive / "00000002.history").exists()


async def test_one_at_a_time(dsn, made):
    with made.alone(), pytest.raises(BackupError, match="another backup"):
        await create(Source(dsn), made, None)


@pytest.mark.skipif(sys.platform != "linux", reason="SKIPPED: NO LINUX, what it is about is of its kernel")
async def test_nothing_is_left_of_an_archive_that_was_killed(dsn, tmp_path):
    slot = "fhir_test_killed"
    receiving = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from fhirserver.storage.backup.create import received\n"
        "from fhirserver.storage.backup.nodes import Source, nodes_of\n"
        "from fhirserver.storage.backup.programs import for_copying\n"
        "async def main(dsn, folder, slot):\n"
        "    async with nodes_of(Source(dsn)) as nodes:\n"
        "        async with received(for_copying(None, 15, encrypted=False), nodes[0], Path(folder), slot):\n"
        "            await asyncio.sleep(60)\n"
        "asyncio.run(main(*sys.argv[1:]))\n"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", receiving, dsn, str(tmp_path), slot)
    try:
        async with asyncio.timeout(30):
            while not list(tmp_path.glob("*.partial")):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        children = [child for child in _children(process.pid) if _program(child) == "pg_receivewal"]
        assert len(children) == 1
        process.kill()
        async with asyncio.timeout(30):
            while _program(children[0]) == "pg_receivewal":  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    finally:
        await process.wait()
        async with nodes_of(Source(dsn)) as nodes:
            await drop_slots(nodes, slot)


def _children(process: int) -> list[Path]:
    return [Path("/proc", child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def _program(process: Path) -> str | None:
    try:
        return (process / "comm").read_text().strip()
    except OSError:
        return None


async def test_who_is_no_superuser_is_told(dsn, made):
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("DROP ROLE IF EXISTS no_superuser; CREATE ROLE no_superuser LOGIN")
        as_other = dsn.replace("fhirserver@", "no_superuser@").replace("postgres@", "no_superuser@")
        with pytest.raises(BackupError, match=r"no_superuser is no superuser.*FHIR_BACKUP__URL"):
            await create(Source(as_other), made, None)
    finally:
        await connection.execute("DROP ROLE no_superuser")
        await connection.close()
