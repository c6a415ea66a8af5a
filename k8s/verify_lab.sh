#!/usr/bin/env bash
# Looks whether all that was set up in Kubernetes is there and works; exit code 1 if not. Changes nothing.
set -uo pipefail
# shellcheck source=k8s/kubernetes_functions.bash
source "$(dirname "${BASH_SOURCE[0]}")/kubernetes_functions.bash"

wrong=0

# check ENGLISH SPANISH COMMAND…: run it, and say whether it succeeded
check() {
    local name output
    name=$(text "$1" "$2")
    shift 2
    if output=$("$@" 2>&1); then
        printf '  ✓ %s\n' "$name"
    else
        printf '  ✗ %s\n' "$name"
        [ -z "$output" ] || printf '      %s\n' "${output//$'\n'/$'\n'      }"
        wrong=$((wrong + 1))
    fi
}

pods_ready() {
    local wrong
    wrong=$(k get pods -l "$1" -o jsonpath='{range .items[?(@.status.phase=="Running")]}{.metadata.name} {.status.conditions[?(@.type=="Ready")].status}{"\n"}{end}' |
        grep -v ' True$')
    [ -z "$wrong" ] && [ -n "$(k get pods -l "$1" -o name)" ] || {
        k get pods -l "$1"
        return 1
    }
}

volumes_bound() {
    ! k get persistentvolumeclaims -l 'app in (citus-coordinator,citus-worker)' --no-headers | grep -v ' Bound '
}

workers_active() {
    local active wanted
    active=$(sql "SELECT count(*) FROM citus_get_active_worker_nodes()") || return 1
    wanted=$(workers | wc -l)
    echo "$active / $wanted"
    [ "$active" = "$wanted" ]
}

distributed() {
    [ "$(sql "SELECT count(*) FROM citus_tables WHERE table_name = 'resource'::regclass AND citus_table_type = 'distributed'")" = 1 ]
}

shards_everywhere() {
    sql "SELECT nodename || ': ' || count(*) FROM citus_shards WHERE citus_table_type = 'distributed' GROUP BY nodename ORDER BY 1"
    [ "$(sql "SELECT count(DISTINCT nodename) FROM citus_shards WHERE citus_table_type = 'distributed'")" = "$(workers | wc -l)" ]
}

healthy() {
    k exec deployment/fastapi-fhir --container api -- python -c \
        "from urllib.request import urlopen; print(urlopen('http://127.0.0.1:8000/health/ready', timeout=10).read().decode())"
}

passwords() {
    ! k get secret citus-secret -o jsonpath='{.data}' | grep -qE '"[A-Z_]+":("",?|"cG9zdGdyZXM=")' # empty, or 'postgres'
}

case ${1:-} in
'') ;;
-h | --help)
    say "Usage: k8s/verify_lab.sh" "Uso: k8s/verify_lab.sh"
    exit 0
    ;;
*) fail 2 "Unknown: $1" "Desconocido: $1" ;;
esac
reach
check "the coordinator is ready" "el coordinador está listo" pods_ready app=citus-coordinator
check "the workers are ready" "los workers están listos" pods_ready app=citus-worker
check "the volumes are bound" "los volúmenes están asignados" volumes_bound
check "each worker is registered and active" "cada worker está registrado y activo" workers_active
check "the tables are distributed" "las tablas están distribuidas" distributed
check "each worker has shards" "cada worker tiene fragmentos" shards_everywhere
check "passwords are neither empty nor the default ones" "las contraseñas no están vacías ni son las de fábrica" passwords
check "the API's pods are ready" "los pods de la API están listos" pods_ready app=fastapi-fhir
check "the API can serve" "la API puede servir" healthy
if [ "$wrong" -gt 0 ]; then
    fail 1 "$wrong checks failed. Look at: kubectl -n $NAMESPACE get pods,events" \
        "Fallaron $wrong comprobaciones. Vea: kubectl -n $NAMESPACE get pods,events"
fi
say "All is well." "Todo está bien."
