#!/usr/bin/env bash
# Installs and starts the server. See --help.
set -euo pipefail
# shellcheck source=shell_functions.bash
source "$(dirname "${BASH_SOURCE[0]}")/shell_functions.bash"

READY_SECONDS=300

usage() {
    text "Usage: ./setup_all.sh [local|compose|minikube] [options]

  local           a server on this machine, with a PostgreSQL of its own
  compose         the whole stack in containers: API, Citus cluster, Redis, Prometheus, Grafana
  minikube        the server and a Citus cluster in Kubernetes, on this machine

  --port N        port to listen on (8000; minikube 8080)
  --sample N      number of sample patients to load, 0 to 10 (10)
  --data DIR      local: folder for data and logs ($DEFAULT_DATA)
  --workers N     local: number of server processes (1)
  --help          this text

Without arguments it asks. It can be repeated: what is there stays.
" "Uso: ./setup_all.sh [local|compose|minikube] [opciones]

  local           un servidor en esta máquina, con su propio PostgreSQL
  compose         todo en contenedores: API, clúster Citus, Redis, Prometheus, Grafana
  minikube        el servidor y un clúster Citus en Kubernetes, en esta máquina

  --port N        puerto en el que escucha (8000; minikube 8080)
  --sample N      número de pacientes de ejemplo que se cargan, de 0 a 10 (10)
  --data DIR      local: carpeta de datos y registros ($DEFAULT_DATA)
  --workers N     local: número de procesos del servidor (1)
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

start_server() {
    local log=$data/server.log apart=()
    if get "http://127.0.0.1:$port/health/live" >/dev/null; then
        fail 1 "Port $port is in use; choose another one with --port." "El puerto $port está ocupado; elija otro con --port."
    fi
    say "Starting the server …" "Iniciando el servidor …"
    if command -v setsid >/dev/null; then apart=(setsid); fi # macOS has none
    ${apart[@]+"${apart[@]}"} nohup env FHIR_AUTH__SELF_REGISTRATION="${FHIR_AUTH__SELF_REGISTRATION-practitioner,patient}" \
        "$REPO/.venv/bin/fhirserver" serve --port "$port" --workers "$workers" --data "$data" \
        >>"$log" 2>&1 </dev/null &
    echo $! >"$data/server.pid"
    echo "$port" >"$data/server.port"
    wait_ready "$!"
}

# wait_ready PID: until the server answers that it is ready; the end if it does not get there
wait_ready() {
    local log=$data/server.log begin=$SECONDS
    until get "http://127.0.0.1:$port/health/ready" >/dev/null; do
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

# load_sample FOLDER COMMAND…: load so many sample patients of the folder by this command of the server
load_sample() {
    local folder=$1 files=() patients=() file
    shift
    [ "$sample" -gt 0 ] || return 0
    for file in "$APP"/sample/*Information*.json.gz; do files+=("$folder/${file##*/}"); done
    for file in "$APP"/sample/patient-*.json.gz; do patients+=("$folder/${file##*/}"); done
    say "Loading $sample sample patients …" "Cargando $sample pacientes de ejemplo …"
    "$@" "${files[@]}" "${patients[@]:0:$sample}" | tail -n 2 ||
        fail 1 "The sample was not loaded; the server runs. Stop it with ./cleanup.sh, or try again." \
            "El ejemplo no se cargó; el servidor está en marcha. Párelo con ./cleanup.sh o inténtelo otra vez."
}

local_mode() {
    local pid admin
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
    load_sample "$APP/sample" "$REPO/.venv/bin/fhirserver" load --data "$data"
    admin=$("$REPO/.venv/bin/fhirserver" users create-admin --unless-any --data "$data") ||
        fail 1 "The first administrator could not be created; see above." "No se pudo crear el primer administrador; vea arriba."
    text "
  FHIR API    http://127.0.0.1:$port/fhir
  Swagger UI  http://127.0.0.1:$port/docs
  ReDoc       http://127.0.0.1:$port/redoc
  Health      http://127.0.0.1:$port/health
  Metrics     http://127.0.0.1:$port/metrics
  Log         $data/server.log

$([ -z "$admin" ] || echo "Administrator (the password is not shown again):  $admin
")
Try:   curl -X POST http://127.0.0.1:$port/auth/register -H 'Content-Type: application/json' -d '{\"username\":\"doctor1\",
         \"email\":\"doctor1@hospital.com\",\"password\":\"SecurePass123!\",\"full_name\":\"Dr. Juan Pérez\",\"role\":\"practitioner\"}'
       curl -X POST http://127.0.0.1:$port/auth/login -d 'username=doctor1&password=SecurePass123!'
       curl 'http://127.0.0.1:$port/fhir/Patient?_count=2&_pretty=true' -H 'Authorization: Bearer <access_token>'
Stop:  ./cleanup.sh local$([ "$data" = "$DEFAULT_DATA" ] || echo " --dir $data")
" "
  API FHIR    http://127.0.0.1:$port/fhir
  Swagger UI  http://127.0.0.1:$port/docs
  ReDoc       http://127.0.0.1:$port/redoc
  Estado      http://127.0.0.1:$port/health
  Métricas    http://127.0.0.1:$port/metrics
  Registro    $data/server.log

$([ -z "$admin" ] || echo "Administrador (la contraseña no se vuelve a mostrar):  $admin
")
Pruebe:  curl -X POST http://127.0.0.1:$port/auth/register -H 'Content-Type: application/json' -d '{\"username\":\"doctor1\",
           \"email\":\"doctor1@hospital.com\",\"password\":\"SecurePass123!\",\"full_name\":\"Dr. Juan Pérez\",\"role\":\"practitioner\"}'
         curl -X POST http://127.0.0.1:$port/auth/login -d 'username=doctor1&password=SecurePass123!'
         curl 'http://127.0.0.1:$port/fhir/Patient?_count=2&_pretty=true' -H 'Authorization: Bearer <access_token>'
Pare:    ./cleanup.sh local$([ "$data" = "$DEFAULT_DATA" ] || echo " --dir $data")
"
}

compose_mode() {
    local begin file=$REPO/.env
    say "What is needed:" "Lo que hace falta:"
    need_docker
    if [ ! -e "$file" ] && docker volume inspect fhir_citus-coordinator >/dev/null 2>&1; then
        fail 1 "There is a database, but its passwords are not: put .env back, or delete the data (./cleanup.sh compose --data)." \
            "Hay una base de datos, pero faltan sus contraseñas: recupere .env o borre los datos (./cleanup.sh compose --data)."
    fi
    write_passwords "$file" "${ROLES[@]/%/_PASSWORD}" FHIR_ADMIN_PASSWORD REDIS_PASSWORD GRAFANA_PASSWORD
    grep -q '^API_PORT=' "$file" || echo "API_PORT=$port" >>"$file"
    [ -z "$port_given" ] || sed -i "s/^API_PORT=.*/API_PORT=$port/" "$file"
    port=$(sed -n 's/^API_PORT=//p' "$file")
    say "Building and starting …" "Construyendo e iniciando …"
    "${STACK[@]}" up --detach --build ||
        fail 1 "It did not start; see the message above, and: docker compose -f docker-compose.dev.yml logs" \
            "No se inició; vea el mensaje anterior y: docker compose -f docker-compose.dev.yml logs"
    begin=$SECONDS # building may take longer than starting
    until get "http://127.0.0.1:$port/health/ready" >/dev/null; do
        if [ $((SECONDS - begin)) -ge "$READY_SECONDS" ]; then
            "${STACK[@]}" logs --tail 20 api >&2
            fail 1 "The server is not ready. See: docker compose -f docker-compose.dev.yml logs api" \
                "El servidor no está listo. Vea: docker compose -f docker-compose.dev.yml logs api"
        fi
        sleep 1
    done
    load_sample /app/sample "${STACK[@]}" exec -T api fhirserver load
    text "
  FHIR API    http://127.0.0.1:$port/fhir
  Swagger UI  http://127.0.0.1:$port/docs
  Health      http://127.0.0.1:$port/health
  Administrator admin       (FHIR_ADMIN_PASSWORD in .env)
  Grafana     http://127.0.0.1:$(setting GRAFANA_PORT 3000)      (admin, GRAFANA_PASSWORD in .env)
  Prometheus  http://127.0.0.1:$(setting PROMETHEUS_PORT 9090)
  Database    psql -h localhost -p $(setting POSTGRES_PORT 5432) -U postgres -d clinical_records   (POSTGRES_PASSWORD in .env)

Test:  ./run_tests.sh basic
Stop:  ./cleanup.sh compose
" "
  API FHIR    http://127.0.0.1:$port/fhir
  Swagger UI  http://127.0.0.1:$port/docs
  Estado      http://127.0.0.1:$port/health
  Administrador admin       (FHIR_ADMIN_PASSWORD en .env)
  Grafana     http://127.0.0.1:$(setting GRAFANA_PORT 3000)      (admin, GRAFANA_PASSWORD en .env)
  Prometheus  http://127.0.0.1:$(setting PROMETHEUS_PORT 9090)
  Datos       psql -h localhost -p $(setting POSTGRES_PORT 5432) -U postgres -d clinical_records   (POSTGRES_PASSWORD en .env)

Pruebe:  ./run_tests.sh basic
Pare:    ./cleanup.sh compose
"
}

# setting NAME DEFAULT: what .env says
setting() {
    local value
    value=$(sed -n "s/^$1=//p" "$REPO/.env")
    printf '%s' "${value:-$2}"
}

minikube_mode() {
    "$REPO/k8s/setup_minikube.sh"
    PORT=$port SAMPLE=$sample "$REPO/k8s/setup_complete_k8s.sh" full
}

interactive() {
    say "FHIR server: step-by-step installation" "Servidor FHIR: instalación paso a paso"
    say "  1) local: on this machine, with a PostgreSQL of its own" "  1) local: en esta máquina, con su propio PostgreSQL"
    say "  2) compose: the whole stack in containers" "  2) compose: todo en contenedores"
    say "  3) minikube: in Kubernetes, on this machine" "  3) minikube: en Kubernetes, en esta máquina"
    say "  q) quit" "  q) salir"
    case $(ask "Choose" "Elija" 1) in
    1 | local) mode=local ;;
    2 | compose) mode=compose ;;
    3 | minikube) mode=minikube port=8080 ;;
    *) exit 0 ;;
    esac
    port=$(ask "Port" "Puerto" "$port") port_given=1
    sample=$(ask "Sample patients (0 to 10)" "Pacientes de ejemplo (de 0 a 10)" "$sample")
    [ "$mode" = local ] || return 0
    data=$(ask "Folder for data" "Carpeta de datos" "$data")
    data=${data/#\~\//$HOME/} # the shell does not do it in what it reads
    workers=$(ask "Server processes" "Procesos del servidor" "$workers")
}

mode='' port=8000 port_given='' data=$DEFAULT_DATA sample=10 workers=1
if [ $# -eq 0 ]; then
    [ -t 0 ] || wrong_usage "Say what to set up: local, compose or minikube" "Diga qué instalar: local, compose o minikube"
    interactive
else
    case $1 in
    local | compose) mode=$1 ;;
    minikube) mode=$1 port=8080 ;;
    -h | --help)
        usage
        exit 0
        ;;
    *) wrong_usage "Unknown: $1" "Desconocido: $1" ;;
    esac
    shift
    while [ $# -gt 0 ]; do
        case $1 in
        -h | --help)
            usage
            exit 0
            ;;
        --port | --data | --sample | --workers)
            [ $# -ge 2 ] || wrong_usage "$1 needs a value." "$1 necesita un valor."
            case $mode$1 in
            compose--data | compose--workers | minikube--data | minikube--workers)
                wrong_usage "$1 is for local only." "$1 es solo para local."
                ;;
            esac
            printf -v "${1#--}" '%s' "$2"
            [ "$1" != --port ] || port_given=1
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
"${mode}_mode"
