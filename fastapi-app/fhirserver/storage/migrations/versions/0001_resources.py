"""The tables of resources, their history, load receipts and the server's secrets."""

from alembic import op

revision = "0001"
down_revision = None

# A frozen copy of storage/tables.py as it was: a migration never changes after its release.
_STATEMENTS = """
CREATE EXTENSION IF NOT EXISTS pg_trgm;

CREATE TABLE resource (
    bucket integer NOT NULL,
    resource_type text NOT NULL,
    id text NOT NULL,
    version_id bigint NOT NULL,
    last_updated timestamptz NOT NULL,
    deleted boolean NOT NULL DEFAULT false,
    forward_to integer,
    content json,
    keys bigint[] NOT NULL DEFAULT '{}',
    range_key bigint[] NOT NULL DEFAULT '{}',
    range_low double precision[] NOT NULL DEFAULT '{}',
    range_high double precision[] NOT NULL DEFAULT '{}',
    ref_key bigint[] NOT NULL DEFAULT '{}',
    ref_target bigint[] NOT NULL DEFAULT '{}',
    self_key bigint,
    strings text NOT NULL DEFAULT '',
    sort_date timestamptz,
    PRIMARY KEY (bucket, resource_type, id),
    CONSTRAINT resource_content CHECK ((content IS NULL) = (deleted OR forward_to IS NOT NULL))
);
ALTER TABLE resource ALTER COLUMN keys SET STATISTICS 300;
CREATE INDEX resource_keys ON resource USING gin (keys);
CREATE INDEX resource_strings ON resource USING gin (strings gin_trgm_ops) WHERE strings <> '';
CREATE INDEX resource_by_id ON resource (resource_type, id) WHERE content IS NOT NULL;
CREATE INDEX resource_by_last_updated ON resource (resource_type, last_updated, id);
CREATE INDEX resource_by_time ON resource (last_updated);
CREATE INDEX resource_by_sort_date ON resource (resource_type, sort_date DESC NULLS LAST, id DESC)
    WHERE content IS NOT NULL;
CREATE INDEX resource_by_self_key ON resource (self_key) WHERE content IS NOT NULL;

CREATE TABLE resource_history (
    bucket integer NOT NULL,
    resource_type text NOT NULL,
    id text NOT NULL,
    version_id bigint NOT NULL,
    last_updated timestamptz NOT NULL,
    superseded timestamptz NOT NULL,
    deleted boolean NOT NULL,
    content json,
    PRIMARY KEY (bucket, resource_type, id, version_id)
);
CREATE INDEX resource_history_by_last_updated ON resource_history (resource_type, last_updated, id);
CREATE INDEX resource_history_by_time ON resource_history (last_updated);

CREATE TABLE load_receipt (
    bucket integer NOT NULL,
    digest bytea NOT NULL,
    loaded timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (bucket, digest)
);

CREATE TABLE server_secret (
    name text PRIMARY KEY,
    value bytea NOT NULL
);
INSERT INTO server_secret VALUES
    ('cursor', decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex'));
"""


def upgrade() -> None:
    for statement in _STATEMENTS.split(";\n"):
        if statement.strip():
            op.execute(statement)


def downgrade() -> None:
    for table in ("resource", "resource_history", "load_receipt", "server_secret"):
        op.execute(f"DROP TABLE {table}")
