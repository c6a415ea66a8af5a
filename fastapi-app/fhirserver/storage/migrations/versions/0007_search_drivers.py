"""An index for the earliest first, with what has no date last; statistics that know more of the keys."""

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.execute(
        "CREATE INDEX resource_by_sort_date_up ON resource (resource_type, sort_date, id) WHERE content IS NOT NULL"
    )
    op.execute("ALTER TABLE resource ALTER COLUMN keys SET STATISTICS 1000")


def downgrade() -> None:
    op.execute("ALTER TABLE resource ALTER COLUMN keys SET STATISTICS 300")
    op.execute("DROP INDEX resource_by_sort_date_up")
