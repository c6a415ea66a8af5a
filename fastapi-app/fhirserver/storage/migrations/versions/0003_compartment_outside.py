"""Which patients' compartments have contents outside of the patient's bucket."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.execute(
        "CREATE TABLE compartment_outside (bucket integer NOT NULL, patient text NOT NULL, resource_type text NOT NULL,"
        " PRIMARY KEY (bucket, patient, resource_type))"
    )


def downgrade() -> None:
    op.execute("DROP TABLE compartment_outside")
