"""Few entries of the GIN indexes may be pending: each search by one of these goes through all that are."""

from alembic import op

revision = "0012"
down_revision = "0011"

_INDEXES = ("resource_keys", "resource_strings", "resource_words")


def upgrade() -> None:
    for index in _INDEXES:
        op.execute(f"ALTER INDEX {index} SET (gin_pending_list_limit = 256)")


def downgrade() -> None:
    for index in _INDEXES:
        op.execute(f"ALTER INDEX {index} RESET (gin_pending_list_limit)")
