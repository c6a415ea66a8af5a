#!/usr/bin/env bash
# Makes the workers in Kubernetes part of the Citus cluster. The coordinator's registrar does it too, by itself.
set -euo pipefail
# shellcheck source=k8s/kubernetes_functions.bash
source "$(dirname "${BASH_SOURCE[0]}")/kubernetes_functions.bash"

usage() {
    text "Usage: k8s/register_citus_k8s.sh [--wait]

Registers each pod of the StatefulSet citus-worker with the coordinator, unless it is already. Shards move to a worker
that has none; --wait: until that is done. It can be repeated.
" "Uso: k8s/register_citus_k8s.sh [--wait]

Registra en el coordinador cada pod del StatefulSet citus-worker, si aún no lo está. Si un worker no tiene fragmentos, se
le mueven; --wait: hasta que termine. Se puede repetir.
"
}

wait=()
case ${1:-} in
'') ;;
--wait) wait=(--wait) ;;
-h | --help)
    usage
    exit 0
    ;;
*) wrong_usage "Unknown: $1" "Desconocido: $1" ;;
esac
reach
names=$(workers) || fail 1 "There is no StatefulSet citus-worker. Set it up: k8s/setup_complete_k8s.sh citus" \
    "No existe el StatefulSet citus-worker. Instálelo: k8s/setup_complete_k8s.sh citus"
mapfile -t names <<<"$names"
k exec citus-coordinator-0 --container postgres -- env COORDINATOR=citus-coordinator \
    register-workers.sh ${wait[@]+"${wait[@]}"} "${names[@]}"
