"""An index for the earliest first, with what has no date last; statistics that know more of the keys."""

from alembic import op

from fhirserver.storage.citus import set_statistics

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    set_statistics(op.get_bind(), "resource", "keys", 1000)
    op.execute(
        "CREATE INDEX resource_by_sort_date_up ON resource (resource_type, sort_date, id) WHERE content IS NOT NULL"
    )


def downgrade() -> None:
    set_statistics(op.get_bind(), "resource", "keys", 300)
    op.execute("DROP INDEX resource_by_sort_date_up")
