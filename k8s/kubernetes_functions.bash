# Shared by the scripts of this folder: where things are, images, Secrets, waiting. To be sourced.
# shellcheck shell=bash disable=SC2034
# shellcheck source=shell_functions.bash
source "$(dirname "${BASH_SOURCE[0]}")/../shell_functions.bash"

K8S=$REPO/k8s
NAMESPACE=fhir-system
OVERLAY=${OVERLAY:-minikube}
WORKERS=2
WAIT=${WAIT_SECONDS:-600}s

# k ARGUMENTS…: kubectl in the namespace
k() { kubectl --namespace "$NAMESPACE" "$@"; }

# reach: kubectl and a cluster that answers
reach() {
    need_kubectl
    kubectl version >/dev/null 2>&1 ||
        fail 1 "No cluster answers. On this machine: k8s/setup_minikube.sh" \
            "Ningún clúster responde. En esta máquina: k8s/setup_minikube.sh"
    [ -e "$K8S/overlays/$OVERLAY/kustomization.yml" ] ||
        fail 2 "There is no overlay k8s/overlays/$OVERLAY." "No existe la variante k8s/overlays/$OVERLAY."
}

# build NAME FOLDER: the image NAME:local within Minikube; other clusters take it from the registry of their overlay
build() {
    [ "$OVERLAY" = minikube ] || return 0
    say "Building the image $1 …" "Construyendo la imagen $1 …"
    if [ -n "${MINIKUBE_IMAGES:-}" ]; then # built elsewhere: docker build, minikube image load
        return
    fi
    minikube image build --tag "$1:local" "$2" ||
        fail 1 "The image $1 was not built; see the message above." "No se construyó la imagen $1; vea el mensaje anterior."
}

# apply COMPONENT: what the overlay says of common, citus or api
apply() {
    kubectl kustomize "$K8S/overlays/$OVERLAY" | keep_workers |
        kubectl apply --filename - --selector "app.kubernetes.io/component=$1"
}

# keep_workers: manifests, with as many workers as there are if they were made more: they hold shards
keep_workers() {
    local live
    live=$(k get statefulset citus-worker --ignore-not-found -o jsonpath='{.spec.replicas}' 2>/dev/null) || live=''
    awk -v live="${live:-0}" '
        /^---/ { kind = name = "" }
        /^kind: / { kind = $2 }
        /^  name: / { name = $2 }
        /^  replicas: / && kind == "StatefulSet" && name == "citus-worker" && live + 0 > $2 + 0 { $0 = "  replicas: " live }
        { print }'
}

# exists KIND/NAME
exists() { k get "$1" >/dev/null 2>&1; }

# make_secrets: passwords and certificates that are not there yet; they leave this machine for the cluster only
make_secrets() {
    local folder
    if exists secret/citus-secret && exists secret/fhir-api-secret && exists secret/citus-tls; then return; fi
    if ! exists secret/citus-secret && exists persistentvolumeclaim/data-citus-coordinator-0; then
        fail 1 "There is a database, but the Secret citus-secret with its passwords is missing: put it back, or delete the data (./cleanup.sh minikube --data)." \
            "Hay una base de datos, pero falta el Secret citus-secret con sus contraseñas: recupérelo o borre los datos (./cleanup.sh minikube --data)."
    fi
    folder=$(mktemp -d)
    # shellcheck disable=SC2064
    trap "rm -rf -- '$folder'" EXIT
    write_passwords "$folder/citus" "${ROLES[@]/%/_PASSWORD}"
    write_passwords "$folder/api" FHIR_ADMIN_PASSWORD
    echo FHIR_ADMIN_USERNAME=admin >>"$folder/api"
    exists secret/citus-secret || k create secret generic citus-secret --from-env-file="$folder/citus"
    exists secret/fhir-api-secret || k create secret generic fhir-api-secret --from-env-file="$folder/api"
    if ! exists secret/citus-tls; then
        # By name, as OpenSSL takes no wildcard before a single label (libpq does).
        "$REPO/postgres-citus/make-certificates.sh" "$folder/tls" citus-coordinator localhost \
            citus-coordinator-0.citus-coordinator citus-worker-{0..31}.citus-worker
        k create secret generic citus-tls --from-file="$folder/tls"
    fi
}

# rolled_out KIND/NAME: wait until it is; what is wrong with its pods if it does not get there
rolled_out() {
    k rollout status "$1" --timeout="$WAIT" && return
    k get pods >&2
    k get events --sort-by=.lastTimestamp 2>/dev/null | tail -n 15 >&2
    fail 1 "$1 did not get ready. See: kubectl -n $NAMESPACE describe $1" \
        "$1 no llegó a estar listo. Vea: kubectl -n $NAMESPACE describe $1"
}

# workers: names of the workers that the StatefulSet wants
workers() {
    local number replicas
    replicas=$(k get statefulset citus-worker -o jsonpath='{.spec.replicas}') || return 1
    for ((number = 0; number < replicas; number++)); do echo "citus-worker-$number.citus-worker"; done
}

# sql STATEMENT: what the coordinator answers
sql() {
    k exec citus-coordinator-0 --container postgres -- psql -X -q -A -t -U postgres -d clinical_records -c "$1"
}

# forward NAME SERVICE PORT: reach SERVICE (name:port) on this machine's PORT, in the background, until cleanup
forward() {
    local file=$REPO/.port-forward-$1.pid
    stop_forward "$file"
    nohup kubectl --namespace "$NAMESPACE" port-forward "service/${2%:*}" "$3:${2#*:}" >/dev/null 2>&1 </dev/null &
    echo $! >"$file"
}
