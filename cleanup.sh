#!/usr/bin/env bash
# Stops what setup_all.sh started; deletes data only when told to. See --help.
set -euo pipefail
# shellcheck source=shell_functions.bash
source "$(dirname "${BASH_SOURCE[0]}")/shell_functions.bash"

STOP_SECONDS=60

usage() {
    text "Usage: ./cleanup.sh local|compose|minikube [options]

  local       stop the server of this machine and its PostgreSQL
  compose     stop and remove the containers
  minikube    remove what setup made in Kubernetes; the volumes stay

  --data      delete the data too, after asking
  --dir DIR   local: folder of the data, if it is not $DEFAULT_DATA
  --yes       don't ask
  --help      this text
" "Uso: ./cleanup.sh local|compose|minikube [opciones]

  local       para el servidor de esta máquina y su PostgreSQL
  compose     para y elimina los contenedores
  minikube    elimina lo que se instaló en Kubernetes; los volúmenes se conservan

  --data      borra también los datos, después de preguntar
  --dir DIR   local: carpeta de los datos, si no es $DEFAULT_DATA
  --yes       no pregunta
  --help      este texto
"
}

stop_server() {
    local pid waited=0
    pid=$(server_pid "$data")
    if [ -z "$pid" ]; then
        say "No server runs." "No hay ningún servidor en marcha."
    else
        kill "$pid"
        while [ -n "$(server_pid "$data")" ]; do
            [ "$waited" -lt $((STOP_SECONDS * 4)) ] ||
                fail 1 "Process $pid does not stop." "El proceso $pid no termina."
            sleep 0.25
            waited=$((waited + 1))
        done
        say "The server is stopped." "El servidor está parado."
    fi
    rm -f "$data/server.pid" "$data/server.port"
    # A killed server leaves its database running.
    if [ -x "$REPO/.venv/bin/fhirserver" ]; then
        env -u FHIR_DATABASE_URL "$REPO/.venv/bin/fhirserver" db stop --data "$data"
    fi
}

delete_data() {
    [ -e "$data/postgres/PG_VERSION" ] ||
        fail 1 "There is no data of this server in $data." "No hay datos de este servidor en $data."
    confirm "Delete all data in $data?" "¿Borrar todos los datos de $data?" || {
        say "Nothing is deleted." "No se borra nada."
        return
    }
    # Nothing else that may be in the folder.
    rm -rf -- "$data"/postgres "$data"/postgres.new "$data"/postgres.log "$data"/server.log "$data"/programs-* \
        "$data"/socket "$data"/socket-folder "$data"/lock "$data"/users
    rmdir "$data" 2>/dev/null ||
        say "$data stays, as there are other files in it." "$data se conserva, porque contiene otros ficheros."
    say "The data is deleted." "Los datos están borrados."
}

local_mode() {
    [ -d "$data" ] || {
        say "There is nothing in $data." "No hay nada en $data."
        return
    }
    data=$(cd "$data" && pwd -P)
    stop_server
    [ -z "$delete" ] || delete_data
}

compose_mode() {
    local volumes=()
    need_docker
    if [ -n "$delete" ] && confirm "Delete the volumes, with all data of the cluster and its backups, and the passwords in .env?" \
        "¿Borrar los volúmenes, con todos los datos del clúster y sus copias de seguridad, y las contraseñas de .env?"; then
        volumes=(--volumes)
    fi
    # Compose wants values for what it is about to remove.
    env "${ROLES[@]/%/_PASSWORD=x}" FHIR_ADMIN_PASSWORD=x REDIS_PASSWORD=x GRAFANA_PASSWORD=x \
        "${STACK[@]}" --profile scale --profile archive down --remove-orphans ${volumes[@]+"${volumes[@]}"}
    if [ ${#volumes[@]} -gt 0 ]; then
        rm -f -- "$REPO/.env"
        say "The data is deleted." "Los datos están borrados."
    fi
}

minikube_mode() {
    local namespace=fhir-system forward
    need_kubectl
    for forward in "$REPO"/.port-forward-*.pid; do stop_forward "$forward"; done
    if [ -n "$delete" ] && confirm "Delete the namespace $namespace of $(kubectl config current-context), with all its data?" \
        "¿Borrar el espacio de nombres $namespace de $(kubectl config current-context), con todos sus datos?"; then
        kubectl delete namespace "$namespace" --ignore-not-found
        say "The data is deleted." "Los datos están borrados."
    else
        kubectl delete --namespace "$namespace" --ignore-not-found \
            deployment,statefulset,cronjob,job,service,ingress,horizontalpodautoscaler --all
        say "The volumes and the passwords stay." "Los volúmenes y las contraseñas se conservan."
    fi
}

mode='' data=$DEFAULT_DATA delete='' yes=''
while [ $# -gt 0 ]; do
    case $1 in
    local | compose | minikube) mode=$1 ;;
    --data) delete=1 ;;
    --dir)
        [ $# -ge 2 ] || wrong_usage "--dir needs a folder." "--dir necesita una carpeta."
        data=$2
        shift
        ;;
    --yes) yes=1 ;;
    -h | --help)
        usage
        exit 0
        ;;
    *) wrong_usage "Unknown: $1" "Desconocido: $1" ;;
    esac
    shift
done
if [ -z "$mode" ] && [ -t 0 ]; then
    say "  1) local   2) compose   3) minikube   q) quit" "  1) local   2) compose   3) minikube   q) salir"
    read -r -p "$(text "What is to be cleaned up?" "¿Qué se limpia?") " choice || choice=q
    case $choice in
    1 | local) mode=local ;;
    2 | compose) mode=compose ;;
    3 | minikube) mode=minikube ;;
    *) exit 0 ;;
    esac
fi
[ -n "$mode" ] || wrong_usage "Say what to clean up: local, compose or minikube" "Diga qué limpiar: local, compose o minikube"
if [ -n "$delete" ] && [ -z "$yes" ] && [ ! -t 0 ]; then # before anything is stopped
    fail 2 "Say --yes to delete the data." "Diga --yes para borrar los datos."
fi
"${mode}_mode"
