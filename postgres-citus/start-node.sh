#!/usr/bin/env bash
# The entrypoint: starts PostgreSQL, with a new cluster where the volume is empty.
set -euo pipefail
if [ "${1:-}" != postgres ]; then exec "$@"; fi

prepare-node.sh
export PGPASSFILE=/var/run/postgresql/pgpass
# A cluster whose making was interrupted holds nothing yet: it is made anew.
mark=$(dirname "$PGDATA")/.initializing
if [ -e "$mark" ]; then rm -rf -- "$PGDATA"; fi
if [ ! -s "$PGDATA/PG_VERSION" ]; then touch "$mark"; fi
# What `fhirserver backup restore --node` brought is used up once the node has recovered.
if [ -d "$PGDATA/restored-wal" ] && [ ! -e "$PGDATA/recovery.signal" ]; then rm -rf -- "$PGDATA/restored-wal"; fi
exec docker-entrypoint.sh "$@" -c config_file=/etc/fhir-citus/postgresql.conf
