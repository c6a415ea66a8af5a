"""The clearance of the roles that there are at first; who has changed them gets it too, as nobody else had it."""

from alembic import op

revision = "0009"
down_revision = "0008"

_CLEARED = {"admin": "server/clearance.V", "practitioner": "server/clearance.R", "system": "server/clearance.V"}


def upgrade() -> None:
    for name, scope in _CLEARED.items():
        op.execute(f"UPDATE app_role SET scopes = scopes || ' {scope}' WHERE name = '{name}'")


def downgrade() -> None:
    for name, scope in _CLEARED.items():
        op.execute(f"UPDATE app_role SET scopes = replace(scopes, ' {scope}', '') WHERE name = '{name}'")
