#!/usr/bin/env bash
# Patroni runs this once, on a new node, before it makes the database: that is made after template1, and has what is
# put there. The rights of 03-database.sql, as far as a template can hand them on.
set -euo pipefail
export PGOPTIONS='-c synchronous_commit=local' # there is nobody yet to wait for
roles=(psql -X -q -v ON_ERROR_STOP=1 -U postgres -d template1)
"${roles[@]}" -f /docker-entrypoint-initdb.d/02-roles.sql
"${roles[@]}" <<'SQL'
CREATE EXTENSION pg_stat_statements;
GRANT CREATE ON SCHEMA public TO fhir_owner;
GRANT CREATE ON DATABASE template1 TO fhir_owner;
SET ROLE fhir_owner;
CREATE EXTENSION pg_trgm;
RESET ROLE;
REVOKE CREATE ON DATABASE template1 FROM fhir_owner;
SQL
