#!/usr/bin/env bash
# Installs and starts the server. See --help.
set -euo pipefail
# shellcheck source=shell_functions.bash
source "$(dirname "${BASH_SOURCE[0]}")/shell_functions.bash"

READY_SECONDS=300

usage() {
    text "Usage: ./setup_all.sh [local] [options]

  local           a server on this machine, with a PostgreSQL of its own

  --port N        port to listen on (8000)
  --data DIR      folder for data and logs ($DEFAULT_DATA)
  --sample N      number of sample patients to load, 0 to 10 (10)
  --workers N     number of server processes (1)
  --help          this text

Without arguments it asks. It can be repeated: what is there stays.
" "Uso: ./setup_all.sh [local] [opciones]

  local           un servidor en esta máquina, con su propio PostgreSQL

  --port N        puerto en el que escucha (8000)
  --data DIR      carpeta de datos y registros ($DEFAULT_DATA)
  --sample N      número de pacientes de ejemplo que se cargan, de 0 a 10 (10)
  --workers N     número de procesos del servidor (1)
  --help          este texto

Sin argumentos, pregunta. Se puede repetir: lo que ya existe se conserva.
"
}

# number NAME VALUE LOWEST HIGHEST
number() {
    if ! [[ $2 =~ ^(0|[1-9][0-9]{0,5})$ ]] || [ "$2" -lt "$3" ] || [ "$2" -gt "$4" ]; then
        wrong_usage "$1 takes a number from $3 to $4, not '$2'." "$1 requiere un número de $3 a $4, no '$2'."
    fi
}

# ask ENGLISH SPANISH DEFAULT: the answer of the user
ask() {
    local answer
    read -r -p "$(text "$1" "$2") [$3]: " answer
    printf '%s' "${answer:-$3}"
}

# fetch URL: its content; fails if it is not answered with success
fetch() {
    "$REPO/.venv/bin/python" - "$1" <<'PYTHON' 2>/dev/null
import sys, urllib.request
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
sys.stdout.write(opener.open(sys.argv[1], timeout=5).read().decode())
PYTHON
}

start_server() {
    local log=$data/server.log apart=()
    if fetch "http://127.0.0.1:$port/health/live" >/dev/null; then
        fail 1 "Port $port is in use; choose another one with --port." "El puerto $port está ocupado; elija otro con --port."
    fi
    say "Starting the server …" "Iniciando el servidor …"
    if command -v setsid >/dev/null; then apart=(setsid); fi # macOS has none
    ${apart[@]+"${apart[@]}"} nohup "$REPO/.venv/bin/fhirserver" serve --port "$port" --workers "$workers" --data "$data" \
        >>"$log" 2>&1 </dev/null &
    echo $! >"$data/server.pid"
    echo "$port" >"$data/server.port"
    wait_ready "$!"
}

# wait_ready PID: until the server answers that it is ready; the end if it does not get there
wait_ready() {
    local log=$data/server.log begin=$SECONDS
    until fetch "http://127.0.0.1:$port/health/ready" >/dev/null; do
        if ! kill -0 "$1" 2>/dev/null; then
            rm -f "$data/server.pid" "$data/server.port"
            tail -n 20 "$log" >&2
            fail 1 "The server did not start. The log is $log." "El servidor no se inició. El registro es $log."
        fi
        if [ $((SECONDS - begin)) -ge "$READY_SECONDS" ]; then
            tail -n 20 "$log" >&2
            fail 1 "The server is still not ready; it goes on trying. The log is $log." \
                "El servidor aún no está listo; sigue intentándolo. El registro es $log."
        fi
        sleep 0.2
    done
}

load_sample() {
    local files=("$APP"/sample/*Information*.json.gz) patients=("$APP"/sample/patient-*.json.gz)
    [ "$sample" -gt 0 ] || return 0
    say "Loading $sample sample patients …" "Cargando $sample pacientes de ejemplo …"
    "$REPO/.venv/bin/fhirserver" load --data "$data" "${files[@]}" "${patients[@]:0:$sample}" | tail -n 2 ||
        fail 1 "The sample was not loaded; the server runs. Stop it with ./cleanup.sh, or try again." \
            "El ejemplo no se cargó; el servidor está en marcha. Párelo con ./cleanup.sh o inténtelo otra vez."
}

local_mode() {
    local pid
    mkdir -p "$data"
    data=$(cd "$data" && pwd -P)
    make_environment "$REPO/.venv" "$APP/requirements.txt"
    pid=$(server_pid "$data")
    if [ -n "$pid" ]; then
        port=$(cat "$data/server.port")
        say "The server runs already." "El servidor ya está en marcha."
        wait_ready "$pid"
    else
        start_server
    fi
    load_sample
    text "
  FHIR API    http://127.0.0.1:$port/fhir
  Swagger UI  http://127.0.0.1:$port/docs
  ReDoc       http://127.0.0.1:$port/redoc
  Health      http://127.0.0.1:$port/health
  Metrics     http://127.0.0.1:$port/metrics
  Log         $data/server.log

Try:   curl 'http://127.0.0.1:$port/fhir/Patient?_count=2&_pretty=true'
Stop:  ./cleanup.sh local$([ "$data" = "$DEFAULT_DATA" ] || echo " --dir $data")
" "
  API FHIR    http://127.0.0.1:$port/fhir
  Swagger UI  http://127.0.0.1:$port/docs
  ReDoc       http://127.0.0.1:$port/redoc
  Estado      http://127.0.0.1:$port/health
  Métricas    http://127.0.0.1:$port/metrics
  Registro    $data/server.log

Pruebe:  curl 'http://127.0.0.1:$port/fhir/Patient?_count=2&_pretty=true'
Pare:    ./cleanup.sh local$([ "$data" = "$DEFAULT_DATA" ] || echo " --dir $data")
"
}

interactive() {
    say "FHIR server: step-by-step installation" "Servidor FHIR: instalación paso a paso"
    say "  1) local: on this machine, with a PostgreSQL of its own" "  1) local: en esta máquina, con su propio PostgreSQL"
    say "  q) quit" "  q) salir"
    case $(ask "Choose" "Elija" 1) in
    1 | local) ;;
    *) exit 0 ;;
    esac
    port=$(ask "Port" "Puerto" "$port")
    data=$(ask "Folder for data" "Carpeta de datos" "$data")
    data=${data/#\~\//$HOME/} # the shell does not do it in what it reads
    sample=$(ask "Sample patients (0 to 10)" "Pacientes de ejemplo (de 0 a 10)" "$sample")
    workers=$(ask "Server processes" "Procesos del servidor" "$workers")
}

port=8000 data=$DEFAULT_DATA sample=10 workers=1
if [ $# -eq 0 ]; then
    [ -t 0 ] || wrong_usage "Say what to set up: local" "Diga qué instalar: local"
    interactive
else
    case $1 in
    local) shift ;;
    -h | --help)
        usage
        exit 0
        ;;
    *) wrong_usage "Unknown: $1" "Desconocido: $1" ;;
    esac
    while [ $# -gt 0 ]; do
        case $1 in
        -h | --help)
            usage
            exit 0
            ;;
        --port | --data | --sample | --workers)
            [ $# -ge 2 ] || wrong_usage "$1 needs a value." "$1 necesita un valor."
            printf -v "${1#--}" '%s' "$2"
            shift 2
            ;;
        *) wrong_usage "Unknown: $1" "Desconocido: $1" ;;
        esac
    done
fi
number --port "$port" 1 65535
number --sample "$sample" 0 10
number --workers "$workers" 1 64
[ -n "$data" ] || wrong_usage "--data needs a folder." "--data necesita una carpeta."
local_mode
