"""The audit log: the place of an event in its stream, and how far each stream goes."""

from alembic import op

revision = "0011"
down_revision = "0010"

_STATEMENTS = """
ALTER TABLE resource ADD COLUMN audit_stream integer, ADD COLUMN audit_sequence bigint, ADD COLUMN audit_hash bytea;
CREATE INDEX resource_by_audit ON resource (audit_stream, audit_sequence) WHERE audit_stream IS NOT NULL;

CREATE TABLE audit_stream (
    bucket integer NOT NULL,
    number integer NOT NULL,
    opened timestamptz NOT NULL,
    first_sequence bigint NOT NULL,
    first_hash bytea NOT NULL,
    sequence bigint NOT NULL,
    hash bytea NOT NULL,
    key bytea NOT NULL,
    PRIMARY KEY (bucket, number)
)
"""


def upgrade() -> None:
    for statement in _STATEMENTS.split(";\n"):
        if statement.strip():
            op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TABLE audit_stream")
    op.execute("ALTER TABLE resource DROP COLUMN audit_stream, DROP COLUMN audit_sequence, DROP COLUMN audit_hash")
