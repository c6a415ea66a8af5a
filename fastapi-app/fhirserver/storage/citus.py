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
