#!/usr/bin/env bash
# Makes the workers of Docker Compose part of the Citus cluster. `docker compose up` does it too. See --help.
set -euo pipefail
# shellcheck source=shell_functions.bash
source "$(dirname "${BASH_SOURCE[0]}")/shell_functions.bash"

usage() {
    text "Usage: ./register_citus.sh [--wait]

Registers each running service citus-worker-… with the coordinator, unless it is already. Shards move to a worker that
has none, while all goes on; --wait: until that is done. It can be repeated.

A third worker: docker compose --profile scale up -d citus-worker-3 && ./register_citus.sh
" "Uso: ./register_citus.sh [--wait]

Registra en el coordinador cada servicio citus-worker-… en marcha, si aún no lo está. Si un worker no tiene fragmentos,
se le mueven sin parar nada; --wait: hasta que termine. Se puede repetir.

Un tercer worker: docker compose --profile scale up -d citus-worker-3 && ./register_citus.sh
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
need_docker >&2
database=(docker compose --project-directory "$REPO" --profile scale)
mapfile -t workers < <("${database[@]}" ps --services --status running | grep '^citus-worker-' | sort -V)
[ ${#workers[@]} -gt 0 ] ||
    fail 1 "No worker runs. Start them: docker compose up -d" "No hay workers en marcha. Inícielos: docker compose up -d"
"${database[@]}" exec -T -e COORDINATOR=citus-coordinator citus-coordinator \
    register-workers.sh ${wait[@]+"${wait[@]}"} "${workers[@]}"
