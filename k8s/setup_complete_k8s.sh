#!/usr/bin/env bash
# Puts the Citus cluster and the server into Kubernetes. See --help.
set -euo pipefail
# shellcheck source=k8s/kubernetes_functions.bash
source "$(dirname "${BASH_SOURCE[0]}")/kubernetes_functions.bash"

usage() {
    text "Usage: k8s/setup_complete_k8s.sh full|citus|api

  full    the Citus cluster, then the server
  citus   the Citus cluster alone
  api     the server alone; the same as k8s/setup_fastapi_k8s.sh deploy

It can be repeated. Environment: OVERLAY (minikube, production …), PORT (8080), DATABASE_PORT (5432), SAMPLE (10).
" "Uso: k8s/setup_complete_k8s.sh full|citus|api

  full    el clúster Citus y después el servidor
  citus   solo el clúster Citus
  api     solo el servidor; lo mismo que k8s/setup_fastapi_k8s.sh deploy

Se puede repetir. Entorno: OVERLAY (minikube, production …), PORT (8080), DATABASE_PORT (5432), SAMPLE (10).
"
}

citus() {
    local node
    build fhir-citus "$REPO/postgres-citus"
    apply common
    # A vault's operator makes them where the overlay says so.
    [ "$OVERLAY" != minikube ] || make_secrets
    apply citus
    say "Waiting for the nodes …" "Esperando a los nodos …"
    for node in $(k get statefulsets -o name); do rolled_out "statefulset/${node#*/}"; done
    # Under Patroni workers have other names, and are registered by it.
    ! exists statefulset/citus-worker || "$K8S/register_citus_k8s.sh"
    forward database citus-coordinator:5432 "${DATABASE_PORT:-5432}"
    say "Database: psql -h localhost -p ${DATABASE_PORT:-5432} -U postgres -d clinical_records" \
        "Base de datos: psql -h localhost -p ${DATABASE_PORT:-5432} -U postgres -d clinical_records"
    say "Its password: kubectl -n $NAMESPACE get secret citus-secret -o jsonpath='{.data.POSTGRES_PASSWORD}' | base64 -d" \
        "Su contraseña: kubectl -n $NAMESPACE get secret citus-secret -o jsonpath='{.data.POSTGRES_PASSWORD}' | base64 -d"
}

case ${1:-} in
full)
    reach
    citus
    "$K8S/setup_fastapi_k8s.sh" deploy
    ;;
citus)
    reach
    citus
    ;;
api) exec "$K8S/setup_fastapi_k8s.sh" deploy ;;
-h | --help) usage ;;
*) wrong_usage "Say what to set up: full, citus or api" "Diga qué instalar: full, citus o api" ;;
esac
