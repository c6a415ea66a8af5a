#!/usr/bin/env bash
# The last: from here on the cluster is whole (start-node.sh).
rm -f -- "$(dirname "$PGDATA")/.initializing"
