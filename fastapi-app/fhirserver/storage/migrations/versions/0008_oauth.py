"""Clients of the authorization server; what is good once; sign-ins of apps and of browsers."""

from alembic import op

revision = "0008"
down_revision = "0007"

_STATEMENTS = """
CREATE TABLE oauth_client (
    id text PRIMARY KEY,
    name text NOT NULL,
    method text NOT NULL,
    redirect_uris text[] NOT NULL,
    scope text NOT NULL,
    created timestamptz NOT NULL,
    jwks json,
    jwks_uri text,
    secret_digest bytea,
    disabled boolean NOT NULL DEFAULT false
);

CREATE TABLE single_use (
    bucket integer NOT NULL,
    id text NOT NULL,
    content json NOT NULL,
    used_for text,
    expires timestamptz NOT NULL,
    PRIMARY KEY (bucket, id)
);

ALTER TABLE sign_in ADD COLUMN kind text NOT NULL DEFAULT 'login';
ALTER TABLE sign_in ADD COLUMN client_id text;
ALTER TABLE sign_in ADD COLUMN context json;
"""


def upgrade() -> None:
    for statement in _STATEMENTS.split(";\n"):
        if statement.strip():
            op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TABLE oauth_client")
    op.execute("DROP TABLE single_use")
    op.execute("DELETE FROM sign_in WHERE kind <> 'login'")
    for column in ("kind", "client_id", "context"):
        op.execute(f"ALTER TABLE sign_in DROP COLUMN {column}")
