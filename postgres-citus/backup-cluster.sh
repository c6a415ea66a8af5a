#!/usr/bin/env bash
# A backup of all nodes of the cluster that fits together: base backups, and the write-ahead log of each node up to one
# point at which no transaction over several nodes is under way (citus_create_restore_point).
#   backup-cluster.sh FOLDER [KEEP]     makes FOLDER/TIME; the newest KEEP ones stay (7)
# Asks as PGUSER (a superuser) at PGHOST, the coordinator; copies as fhir_backup. restore-node.sh brings a node back.
set -euo pipefail
[ $# -ge 1 ] || { echo "usage: backup-cluster.sh FOLDER [KEEP]" >&2; exit 2; }
folder=$1 keep=${2:-7}
export PGUSER=${PGUSER:-postgres} PGDATABASE=${PGDATABASE:-clinical_records}
: "${FHIR_BACKUP_PASSWORD:?is not set}"
name=$(date -u +%Y%m%dT%H%M%SZ)
made=$folder/$name.part slot=fhir_backup_${name,,}

# A backup that was interrupted left its slots, which would keep the write-ahead log for ever.
forget_slots() {
    psql -X -q -A -t -c "SELECT * FROM run_command_on_all_nodes(\$\$
        SELECT count(pg_drop_replication_slot(slot_name)) FROM pg_replication_slots
        WHERE slot_name LIKE 'fhir\_backup\_%' AND NOT active \$\$)" >/dev/null
}

end() {
    local status=$?
    # shellcheck disable=SC2046
    kill $(jobs -p) 2>/dev/null && wait
    forget_slots || true
    rm -rf -- "$made"
    exit "$status"
}

ask() { psql -X -q -A -t -v ON_ERROR_STOP=1 -c "$1"; }

mkdir -p "$folder"
rm -rf -- "$folder"/*.part
forget_slots
trap end EXIT
mapfile -t nodes < <(ask "SELECT nodename FROM pg_dist_node WHERE noderole = 'primary' ORDER BY groupid")
[ ${#nodes[@]} -gt 0 ] || nodes=("${PGHOST:?}")

copies=()
for node in "${nodes[@]}"; do
    mkdir -p "$made/$node/wal"
    receive=(env PGPASSWORD="$FHIR_BACKUP_PASSWORD" pg_receivewal -h "$node" -U fhir_backup -w -S "$slot" -D "$made/$node/wal")
    "${receive[@]}" --create-slot
    "${receive[@]}" 2>/dev/null &
    env PGPASSWORD="$FHIR_BACKUP_PASSWORD" pg_basebackup -h "$node" -U fhir_backup -w -X none -c fast \
        -F tar -z --manifest-checksums=SHA256 -D "$made/$node/base" 2> >(grep -v 'NOTICE:  WAL archiving' >&2) &
    copies+=($!)
done
for copy in "${copies[@]}"; do wait "$copy"; done

ask "SELECT citus_create_restore_point('$name')" >/dev/null
# The rest of the segment that holds the point is skipped, so that it is complete and comes.
ask "SELECT nodename || ' ' || result FROM run_command_on_all_nodes('SELECT pg_walfile_name(pg_switch_wal())') r
     JOIN pg_dist_node USING (nodeid) WHERE success" >"$made/segments"
begin=$SECONDS
while read -r node segment; do
    until [ -e "$made/$node/wal/$segment" ]; do
        [ $((SECONDS - begin)) -lt 300 ] || { echo "The write-ahead log of $node did not come." >&2; exit 1; }
        sleep 0.5
    done
done <"$made/segments"
[ "$(wc -l <"$made/segments")" = ${#nodes[@]} ] || { echo "A node did not answer." >&2; exit 1; }

rm -f "$made"/*/wal/*.partial
echo "$name" >"$made/restore-point"
sums=$(cd "$made" && find . -type f -print0 | sort -z | xargs -0 sha256sum)
echo "$sums" >"$made/SHA256SUMS"
sync
mv "$made" "$folder/$name"
echo "$folder/$name: ${nodes[*]}, $(du -sh "$folder/$name" | cut -f1)"
# shellcheck disable=SC2012
ls -d "$folder"/2*Z | sort -r | tail -n +$((keep + 1)) | xargs -r rm -rf --
