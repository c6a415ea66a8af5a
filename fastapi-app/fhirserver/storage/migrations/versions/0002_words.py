"""The words of resources, and the texts that go with codes."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute("ALTER TABLE resource ADD COLUMN texts text NOT NULL DEFAULT ''")
    op.execute("ALTER TABLE resource ADD COLUMN words tsvector")
    op.execute("CREATE INDEX resource_words ON resource USING gin (words)")


def downgrade() -> None:
    op.execute("ALTER TABLE resource DROP COLUMN texts, DROP COLUMN words")
