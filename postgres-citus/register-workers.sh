#!/usr/bin/env bash
# Makes workers part of the cluster, on the coordinator: one that is new joins, and shards move to it, online.
# What is so already stays, so it can run at any time.
#   register-workers.sh [--wait] WORKER…        once; --wait: until no shard is to be moved any more
#   register-workers.sh --watch PREFIX SERVICE  for ever: PREFIX-0.SERVICE, PREFIX-1.SERVICE … as DNS knows them
#   register-workers.sh --await NUMBER          until so many workers are active
# COORDINATOR: the name by which workers reach this node (default: the host's). REBALANCE=no: shards stay.
set -euo pipefail

coordinator=${COORDINATOR:-$(hostname)}
PORT=5432 SECONDS_TO_ANSWER=120 SECONDS_BETWEEN=10

# sql STATEMENT [NAME=VALUE…]: what it answers; values stand in it as :'NAME'
sql() {
    local statement=$1 settings=()
    shift
    for value; do settings+=(-v "$value"); done
    psql -X -q -A -t -v ON_ERROR_STOP=1 -U "${PGUSER:-postgres}" -d clinical_records ${settings[@]+"${settings[@]}"} <<<"$statement"
}

say() { printf '%s\n' "$*"; }

set_coordinator() {
    local known
    known=$(sql "SELECT nodename || ':' || nodeport FROM pg_dist_node WHERE groupid = 0 AND noderole = 'primary'")
    if [ "$known" != "$coordinator:$PORT" ]; then
        sql "SELECT citus_set_coordinator_host(:'host', $PORT)" host="$coordinator" >/dev/null
        say "The coordinator is $coordinator."
    fi
}

# add WORKER: unless it belongs to the cluster; fails if it can't be added, or has lost what it held
add() {
    local worker=$1 group own
    group=$(sql "SELECT groupid FROM pg_dist_node WHERE nodename = :'host' AND nodeport = $PORT" host="$worker")
    if [ -z "$group" ]; then
        sql "SELECT citus_add_node(:'host', $PORT)" host="$worker" >/dev/null || return 1
        say "$worker has joined."
        return
    fi
    own=$(sql "SELECT result FROM run_command_on_workers('SELECT groupid FROM pg_dist_local_group')
               WHERE success AND nodename = :'host'" host="$worker")
    if [ -n "$own" ] && [ "$own" != "$group" ]; then
        say "$worker is known, but its volume is new: what it held is missing. Restore it from a backup." >&2
        return 1
    fi
}

# rebalance: move shards to workers that have none, if there are any
rebalance() {
    [ "${REBALANCE:-yes}" != no ] || return 0
    local idle running
    idle=$(sql "SELECT count(*) FROM pg_dist_node n
                WHERE isactive AND shouldhaveshards AND noderole = 'primary'
                  AND NOT EXISTS (SELECT FROM pg_dist_placement p JOIN pg_dist_shard USING (shardid)
                                  JOIN pg_dist_partition USING (logicalrelid)
                                  WHERE partmethod = 'h' AND p.groupid = n.groupid)
                  AND EXISTS (SELECT FROM pg_dist_partition WHERE partmethod = 'h')")
    running=$(sql "SELECT count(*) FROM citus_rebalance_status() WHERE state IN ('scheduled', 'running')")
    if [ "$idle" -gt 0 ] && [ "$running" = 0 ]; then
        sql "SELECT citus_rebalance_start()" >/dev/null
        say "Shards are moving to the new worker; citus_rebalance_status() tells how far it is."
    fi
}

once() {
    local worker begin=$SECONDS
    for worker; do
        until pg_isready -q -h "$worker" -p "$PORT" -t 3; do
            if [ $((SECONDS - begin)) -ge "$SECONDS_TO_ANSWER" ]; then
                say "$worker does not answer." >&2
                exit 1
            fi
            sleep 1
        done
    done
    set_coordinator
    for worker; do add "$worker" || exit 1; done
    rebalance
    if [ -n "$wait" ]; then sql "SELECT citus_rebalance_wait()" >/dev/null; fi
    say "Active workers: $(sql "SELECT string_agg(node_name, ' ' ORDER BY node_name) FROM citus_get_active_worker_nodes()")"
}

# names PREFIX SERVICE: the workers that DNS knows now; two that are missing in a row are the end
names() {
    local number=0 missing=0
    while [ "$missing" -lt 2 ]; do
        if getent hosts "$1-$number.$2" >/dev/null; then
            printf '%s\n' "$1-$number.$2"
            missing=0
        else
            missing=$((missing + 1))
        fi
        number=$((number + 1))
    done
}

watch() {
    local worker
    trap 'exit 0' TERM INT
    while true; do
        touch /tmp/watching # that it goes on is seen by this
        if pg_isready -q; then
            # What fails is tried again; sub-shells so that it does not end this one.
            (set_coordinator) || true
            for worker in $(names "$1" "$2"); do
                if pg_isready -q -h "$worker" -p "$PORT" -t 3; then (add "$worker") || true; fi
            done
            (rebalance) || true
        fi
        sleep "$SECONDS_BETWEEN" &
        wait $! # the trap does not wait for the end of a sleep in the foreground
    done
}

await() {
    local active begin=$SECONDS
    until active=$(sql "SELECT count(*) FROM citus_get_active_worker_nodes()" 2>/dev/null) && [ "$active" -ge "$1" ]; do
        if [ $((SECONDS - begin)) -ge 900 ]; then
            say "Of $1 workers, ${active:-none} are active." >&2
            exit 1
        fi
        sleep 2
    done
}

wait=''
case ${1:-} in
--await)
    [[ ${2:-} =~ ^[0-9]+$ ]] || { say "--await needs a number" >&2; exit 2; }
    await "$2"
    exit
    ;;
--watch)
    [ $# = 3 ] || { say "--watch needs PREFIX and SERVICE" >&2; exit 2; }
    watch "$2" "$3"
    ;;
--wait)
    wait=1
    shift
    ;;
esac
[ $# -gt 0 ] || { say "usage: register-workers.sh [--wait] WORKER… | --watch PREFIX SERVICE | --await NUMBER" >&2; exit 2; }
once "$@"
