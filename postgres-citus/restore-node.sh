#!/usr/bin/env bash
# Brings the data of a node back from a backup of backup-cluster.sh, into an empty volume, before the node is started.
#   restore-node.sh BACKUP NODE     then start all nodes: each recovers up to the common point and goes on from there
set -euo pipefail
[ $# = 2 ] || { echo "usage: restore-node.sh BACKUP NODE" >&2; exit 2; }
backup=$1 node=$2
[ -e "$backup/$node/base/base.tar.gz" ] || { echo "$backup has nothing of $node." >&2; exit 1; }
[ ! -e "$PGDATA/PG_VERSION" ] || { echo "$PGDATA is not empty." >&2; exit 1; }
(cd "$backup" && grep -F "./$node/" SHA256SUMS | sha256sum --check --quiet)

mkdir -p "$PGDATA"
chmod 700 "$PGDATA"
tar -xzf "$backup/$node/base/base.tar.gz" -C "$PGDATA"
cp -r "$backup/$node/wal" "$PGDATA/restored-wal"
cat >>"$PGDATA/postgresql.auto.conf" <<CONF
restore_command = 'cp "restored-wal/%f" "%p"'
recovery_target_name = '$(cat "$backup/restore-point")'
recovery_target_action = 'promote'
CONF
touch "$PGDATA/recovery.signal"
echo "$node is ready to be started."
