"""Code systems in tables of their own."""

from alembic import op

revision = "0004"
down_revision = "0003"

_STATEMENTS = """
CREATE TABLE code_system (
    key bigint NOT NULL PRIMARY KEY,
    url text NOT NULL,
    version text NOT NULL,
    header json NOT NULL,
    size integer NOT NULL,
    ready boolean NOT NULL,
    loaded timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX code_system_by_url ON code_system (url);

CREATE TABLE concept (
    code_system bigint NOT NULL,
    code text NOT NULL,
    ordinal integer NOT NULL,
    display text,
    inactive boolean NOT NULL,
    abstract boolean NOT NULL,
    self_key bigint NOT NULL,
    keys bigint[] NOT NULL,
    words tsvector NOT NULL,
    detail json NOT NULL,
    PRIMARY KEY (code_system, code)
);
ALTER TABLE concept ALTER COLUMN keys SET STATISTICS 300;
ALTER TABLE concept ALTER COLUMN words SET STATISTICS 300;
CREATE INDEX concept_by_ordinal ON concept (code_system, ordinal);
CREATE INDEX concept_by_length ON concept (code_system, length(display), ordinal);
CREATE INDEX concept_by_self_key ON concept (self_key);
CREATE INDEX concept_keys ON concept USING gin (keys);
CREATE INDEX concept_words ON concept USING gin (words);
"""


def upgrade() -> None:
    for statement in _STATEMENTS.split(";\n"):
        if statement.strip():
            op.execute(statement)


def downgrade() -> None:
    for table in ("concept", "code_system"):
        op.execute(f"DROP TABLE {table}")
