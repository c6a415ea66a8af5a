"""By which rules a resource was indexed; search parameters that were posted; jobs."""

from alembic import op

revision = "0006"
down_revision = "0005"

_STATEMENTS = """
ALTER TABLE resource ADD COLUMN index_version integer NOT NULL DEFAULT 0;

CREATE TABLE conformance_change (
    resource_type text PRIMARY KEY,
    number integer NOT NULL
);
INSERT INTO conformance_change VALUES ('SearchParameter', 1);

CREATE TABLE search_parameter (
    id text PRIMARY KEY,
    url text NOT NULL UNIQUE,
    definition json NOT NULL,
    since integer NOT NULL,
    ready boolean NOT NULL
);

CREATE TABLE index_format (
    format integer PRIMARY KEY,
    since integer NOT NULL,
    ready boolean NOT NULL
);
INSERT INTO index_format SELECT 1, 1, NOT EXISTS (SELECT 1 FROM resource);

CREATE TABLE job (
    id text PRIMARY KEY,
    kind text NOT NULL,
    state text NOT NULL,
    parameters json NOT NULL,
    progress json NOT NULL,
    requester text NOT NULL,
    requested timestamptz NOT NULL,
    finished timestamptz,
    owner text,
    heartbeat timestamptz
);
"""


def upgrade() -> None:
    for statement in _STATEMENTS.split(";\n"):
        if statement.strip():
            op.execute(statement)


def downgrade() -> None:
    op.execute("ALTER TABLE resource DROP COLUMN index_version")
    for table in ("conformance_change", "search_parameter", "index_format", "job"):
        op.execute(f"DROP TABLE {table}")
