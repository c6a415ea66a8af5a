#!/usr/bin/env bash
# Stops what setup_all.sh started; deletes data only when told to. See --help.
set -euo pipefail
# shellcheck source=shell_functions.bash
source "$(dirname "${BASH_SOURCE[0]}")/shell_functions.bash"

STOP_SECONDS=60

usage() {
    text "Usage: ./cleanup.sh local [options]

  local       stop the server of this machine and its PostgreSQL

  --data      delete the data too, after asking
  --dir DIR   folder of the data, if it is not $DEFAULT_DATA
  --yes       don't ask
  --help      this text
" "Uso: ./cleanup.sh local [opciones]

  local       para el servidor de esta máquina y su PostgreSQL

  --data      borra también los datos, después de preguntar
  --dir DIR   carpeta de los datos, si no es $DEFAULT_DATA
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
    local answer
    [ -e "$data/postgres/PG_VERSION" ] ||
        fail 1 "There is no data of this server in $data." "No hay datos de este servidor en $data."
    if [ -z "$yes" ]; then
        read -r -p "$(text "Delete all data in $data? [y/N] " "¿Borrar todos los datos de $data? [s/N] ")" answer
        case $answer in
        y | Y | yes | s | S | si | sí) ;;
        *)
            say "Nothing is deleted." "No se borra nada."
            return
            ;;
        esac
    fi
    # Nothing else that may be in the folder.
    rm -rf -- "$data"/postgres "$data"/postgres.new "$data"/postgres.log "$data"/server.log "$data"/programs-* \
        "$data"/socket "$data"/socket-folder "$data"/lock "$data"/users
    rmdir "$data" 2>/dev/null ||
        say "$data stays, as there are other files in it." "$data se conserva, porque contiene otros ficheros."
    say "The data is deleted." "Los datos están borrados."
}

mode='' data=$DEFAULT_DATA delete='' yes=''
while [ $# -gt 0 ]; do
    case $1 in
    local) mode=local ;;
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
[ -n "$mode" ] || wrong_usage "Say what to clean up: local" "Diga qué limpiar: local"
[ -d "$data" ] || {
    say "There is nothing in $data." "No hay nada en $data."
    exit 0
}
data=$(cd "$data" && pwd -P)
if [ -n "$delete" ] && [ -z "$yes" ] && [ ! -t 0 ]; then # before anything is stopped
    fail 2 "Say --yes to delete $data." "Diga --yes para borrar $data."
fi
stop_server
[ -z "$delete" ] || delete_data
