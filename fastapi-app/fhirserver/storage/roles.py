"""What the roles of a deployment may do with the tables, where such roles exist (postgres-citus/README.md).

The owner migrates; the server runs as `fhir_app`, which can't change the schema; `fhir_readonly` sees resources and
their history, and no secrets.
"""

from sqlalchemy import Connection, text

from fhirserver.storage.tables import metadata, resource, resource_history

APP, READONLY = "fhir_app", "fhir_readonly"


def grant(connection: Connection) -> None:
    """Give each role that exists the rights that it lacks. Nothing to do where the tables' owner is the only user."""
    tables = [table.name for table in metadata.sorted_tables]
    _grant(connection, APP, ("SELECT", "INSERT", "UPDATE", "DELETE"), tables)
    _grant(connection, APP, ("SELECT",), ["alembic_version"])
    _grant(connection, READONLY, ("SELECT",), [resource.name, resource_history.name])


def _grant(connection: Connection, role: str, rights: tuple[str, ...], tables: list[str]) -> None:
    for table in tables:
        lacks = connection.scalar(
            text(
                "SELECT NOT bool_and(has_table_privilege(rolname, CAST(:table AS regclass), wanted))"
                " FROM pg_roles, unnest(CAST(:rights AS text[])) wanted WHERE rolname = :role"
            ),
            {"role": role, "table": table, "rights": list(rights)},
        )
        if lacks:
            connection.execute(text(f"GRANT {', '.join(rights)} ON {table} TO {role}"))
