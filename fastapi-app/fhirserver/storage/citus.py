"""Citus: the clinical tables are distributed by bucket and co-located, small shared ones are reference tables."""

from sqlalchemy import Connection, text

from fhirserver.storage.tables import DISTRIBUTED, REFERENCE


def is_citus(connection: Connection) -> bool:
    """Whether the extension is installed in this database."""
    return bool(connection.scalar(text("SELECT count(*) FROM pg_extension WHERE extname = 'citus'")))


def distribute(connection: Connection) -> None:
    """Distribute every table that is not yet; nothing to do on plain PostgreSQL. Safe to repeat."""
    if not is_citus(connection):
        return
    distributed = set(connection.scalars(text("SELECT logicalrelid::regclass::text FROM pg_dist_partition")))
    first = DISTRIBUTED[0].name
    for table in DISTRIBUTED:
        if table.name in distributed:
            continue
        colocation = "" if table.name == first else f", colocate_with => '{first}'"
        connection.execute(text(f"SELECT create_distributed_table('{table.name}', 'bucket'{colocation})"))
    for table in REFERENCE:
        if table.name not in distributed:
            connection.execute(text(f"SELECT create_reference_table('{table.name}')"))


def set_statistics(connection: Connection, table: str, column: str, target: int) -> None:
    """`ALTER TABLE … SET STATISTICS`, which Citus refuses to do on a distributed table. Its shards follow later."""
    connection.execute(text("SET LOCAL citus.enable_ddl_propagation TO off"))
    connection.execute(text(f"ALTER TABLE {table} ALTER COLUMN {column} SET STATISTICS {target}"))
    connection.execute(text("SET LOCAL citus.enable_ddl_propagation TO on"))


def align_statistics(connection: Connection) -> None:
    """Give the shards of distributed tables the same statistics targets as the tables have.

    In a transaction of its own, as it goes to the shards by other connections. RuntimeError if a shard can't be told.
    """
    if not is_citus(connection):
        return
    targets = connection.execute(
        text(
            "SELECT attrelid::regclass::text, format('ALTER TABLE %%s ALTER COLUMN %I SET STATISTICS %s', attname,"
            " attstattarget) FROM pg_attribute JOIN pg_dist_partition ON logicalrelid = attrelid"
            " WHERE attnum > 0 AND attstattarget > 0"
        )
    )
    for table, command in targets.all():
        told = connection.execute(
            text("SELECT result FROM run_command_on_shards(:table, :command) WHERE NOT success"),
            {"table": table, "command": command},
        )
        failed = told.scalars().all()
        if failed:
            raise RuntimeError(f"the shards of {table} have other statistics than it has: {failed[0]}")
