#!/usr/bin/env bash
# Starts Minikube as the server needs it. See --help.
set -euo pipefail
# shellcheck source=k8s/kubernetes_functions.bash
source "$(dirname "${BASH_SOURCE[0]}")/kubernetes_functions.bash"

usage() {
    text "Usage: k8s/setup_minikube.sh [--cpus N] [--memory MB]

Starts Minikube (4 CPUs, 8192 MB) with ingress, metrics and a network that enforces policies, unless it runs, and makes
$NAMESPACE the namespace of kubectl's context.
" "Uso: k8s/setup_minikube.sh [--cpus N] [--memory MB]

Inicia Minikube (4 CPU, 8192 MB) con ingress, métricas y una red que aplica las políticas, si no está en marcha, y deja
$NAMESPACE como espacio de nombres del contexto de kubectl.
"
}

cpus=4 memory=8192
while [ $# -gt 0 ]; do
    case $1 in
    --cpus | --memory)
        [[ ${2:-} =~ ^[1-9][0-9]*$ ]] || wrong_usage "$1 needs a number." "$1 necesita un número."
        printf -v "${1#--}" '%s' "$2"
        shift 2
        ;;
    -h | --help)
        usage
        exit 0
        ;;
    *) wrong_usage "Unknown: $1" "Desconocido: $1" ;;
    esac
done
say "What is needed:" "Lo que hace falta:"
need_kubectl
need Minikube 1.32 "$(minikube version 2>/dev/null | head -n 1)" "See https://minikube.sigs.k8s.io/docs/start/" \
    "Vea https://minikube.sigs.k8s.io/docs/start/" || exit 1
if minikube status >/dev/null 2>&1; then
    say "Minikube runs already." "Minikube ya está en marcha."
else
    say "Starting Minikube …" "Iniciando Minikube …"
    minikube start --cpus "$cpus" --memory "$memory" --cni calico ||
        fail 1 "Minikube did not start; see the message above. With less: --cpus 2 --memory 6144" \
            "Minikube no se inició; vea el mensaje anterior. Con menos: --cpus 2 --memory 6144"
fi
for addon in ingress metrics-server; do
    minikube addons enable "$addon" ||
        say "$addon is not there; the server works without it." "No hay $addon; el servidor funciona sin él."
done
kubectl config set-context --current --namespace "$NAMESPACE"
