"""What Consents deny, in a form that all processes can hear of; who may break the glass."""

from datetime import UTC

import orjson
from alembic import op
from sqlalchemy import text

from fhirserver.access.consents import denial_of
from fhirserver.fhir.definitions import Definitions

revision = "0010"
down_revision = "0009"

_BREAKING = ("admin", "practitioner", "nurse")


def upgrade() -> None:
    op.execute("CREATE TABLE consent_denial (id text PRIMARY KEY, content json, since integer NOT NULL)")
    op.execute("CREATE INDEX consent_denial_by_since ON consent_denial (since)")
    op.execute("INSERT INTO conformance_change VALUES ('Consent', 1)")
    for name in _BREAKING:
        op.execute(f"UPDATE app_role SET scopes = scopes || ' server/break-glass' WHERE name = '{name}'")
    _keep_what_is_stored()


def _keep_what_is_stored() -> None:
    """References to this server by its full URL are not known as such here: these Consents have to be written anew."""
    definitions = Definitions.load()
    stored = "SELECT id, content::text FROM resource WHERE resource_type = 'Consent' AND content IS NOT NULL"
    for id, content in op.get_bind().execute(text(stored)):
        kept = denial_of(definitions, orjson.loads(content), "", UTC)
        if kept is not None:
            keep = text("INSERT INTO consent_denial VALUES (:id, CAST(:content AS json), 1)")
            op.get_bind().execute(keep, {"id": id, "content": kept.decode()})


def downgrade() -> None:
    op.execute("DROP TABLE consent_denial")
    op.execute("DELETE FROM conformance_change WHERE resource_type = 'Consent'")
    for name in _BREAKING:
        op.execute(f"UPDATE app_role SET scopes = replace(scopes, ' server/break-glass', '') WHERE name = '{name}'")
