#!/usr/bin/env bash
# Runs the automated tests. See --help.
set -uo pipefail
# shellcheck source=shell_functions.bash
source "$(dirname "${BASH_SOURCE[0]}")/shell_functions.bash"

usage() {
    text "Usage: ./run_tests.sh [basic|complete|all|code] [options] [-- pytest's arguments]

Tests of the server that runs, and a report RESULTADOS_PRUEBAS_date_time.md in this folder:

  basic           connections, Citus, workers, containers or pods, health, login (about 2 minutes at most)
  complete        and 1,000 patients: distribution, SQL and FHIR searches, speed, integrity (about 5)
  all             and a worker killed, and a third worker added, both under load (about 10)

  --target WHERE  local, compose or kubernetes; else the first that is found: compose, kubernetes, local;
                  processes: a Citus cluster made for the tests, where PostgreSQL with Citus is installed
  --url URL --database URL   any other server, and its database
  --data DIR      local: folder of the data, if it is not $DEFAULT_DATA
  --patients N    how many patients to write (1000)
  --keep          leave what the tests wrote

Tests of the code:

  code            all automated tests of the code, on a real embedded PostgreSQL
  --database URL  on this database instead; what is in it is deleted

Without arguments: a menu in a terminal, else the same as 'code'.
" "Uso: ./run_tests.sh [basic|complete|all|code] [opciones] [-- argumentos de pytest]

Pruebas del servidor en marcha, con un informe RESULTADOS_PRUEBAS_fecha_hora.md en esta carpeta:

  basic           conexiones, Citus, workers, contenedores o pods, salud, inicio de sesión (2 minutos como mucho)
  complete        además 1.000 pacientes: distribución, SQL y búsquedas FHIR, velocidad, integridad (unos 5)
  all             además un worker matado y un tercer worker añadido, ambos bajo carga (unos 10)

  --target DÓNDE  local, compose o kubernetes; si no, el primero que se encuentre: compose, kubernetes, local;
                  processes: un clúster Citus hecho para las pruebas, donde hay PostgreSQL con Citus instalado
  --url URL --database URL   cualquier otro servidor, y su base de datos
  --data DIR      local: carpeta de los datos, si no es $DEFAULT_DATA
  --patients N    cuántos pacientes se escriben (1000)
  --keep          conserva lo que escribieron las pruebas

Pruebas del código:

  code            todas las pruebas automáticas del código, con un PostgreSQL incorporado real
  --database URL  con esta base de datos; lo que contiene se borra

Sin argumentos: un menú en una terminal; si no, lo mismo que 'code'.
"
}

# step NAME COMMAND…: run it, and note if it fails
step() {
    local name=$1
    shift
    printf '\n== %s\n' "$name"
    if ! "$@"; then
        failed+=("$name")
    fi
}

code() {
    local bin=$REPO/.venv-test/bin
    failed=()
    make_environment "$REPO/.venv-test" "$APP/requirements-dev.txt"
    cd "$APP" || exit 1
    step "ruff check" "$bin/ruff" check .
    step "ruff format" "$bin/ruff" format --check .
    step "mypy" "$bin/mypy"
    step "bandit" "$bin/bandit" -q -r -ll -c pyproject.toml fhirserver
    step "import contracts" "$bin/lint-imports" --no-logo
    step "shellcheck" "$bin/shellcheck" -x -P "$REPO" "$REPO"/*.sh "$REPO"/shell_functions.bash "$REPO"/.ci/run \
        "$REPO"/postgres-citus/*.sh "$REPO"/postgres-citus/init/*.sh "$REPO"/k8s/*.sh "$REPO"/k8s/*.bash
    if [ ${#failed[@]} -gt 0 ]; then
        printf '\n'
        say "These checks failed: ${failed[*]}" "Fallaron estas comprobaciones: ${failed[*]}" >&2
    fi
    step "pytest" "$bin/python" -m pytest ${database:+--database "$database"} "$@"
    [ ${#failed[@]} -eq 0 ] || exit 1
}

# drill LEVEL ARGUMENTS…: tests of the server that runs
drill() {
    make_environment "$REPO/.venv-test" "$APP/requirements-dev.txt"
    cd "$APP" || exit 1
    exec "$REPO/.venv-test/bin/python" -m drill "$@"
}

menu() {
    local choice
    say "Tests of the server that runs:" "Pruebas del servidor en marcha:"
    say "  1) basic: is everything there and well? (~2 min)" "  1) basic: ¿está todo y está bien? (~2 min)"
    say "  2) complete: and data, distribution, searches, speed (~5 min)" \
        "  2) complete: además datos, distribución, búsquedas, velocidad (~5 min)"
    say "  3) all: and a worker killed, a worker added (~10 min)" "  3) all: además un worker matado y otro añadido (~10 min)"
    say "Tests of the code:" "Pruebas del código:"
    say "  4) code: all automated tests" "  4) code: todas las pruebas automáticas"
    say "  q) quit" "  q) salir"
    read -r -p "$(text "Choose" "Elija") [1]: " choice || choice=q
    case ${choice:-1} in
    1 | basic) mode=basic ;;
    2 | complete) mode=complete ;;
    3 | all) mode=all ;;
    4 | code) mode=code ;;
    *) exit 0 ;;
    esac
}

database='' mode='' options=()
while [ $# -gt 0 ]; do
    case $1 in
    basic | complete | all | code) mode=$1 ;;
    --database | --target | --url | --patients | --data)
        [ $# -ge 2 ] || wrong_usage "$1 needs a value." "$1 necesita un valor."
        case $1=$2 in
        --target=local | --target=compose | --target=kubernetes | --target=processes) ;;
        --target=*) wrong_usage "Unknown: --target $2" "Desconocido: --target $2" ;;
        --patients=*)
            [[ $2 =~ ^[1-9][0-9]{1,5}$ ]] ||
                wrong_usage "--patients takes a number from 10 to 999999, not '$2'." \
                    "--patients requiere un número de 10 a 999999, no '$2'."
            ;;
        esac
        if [ "$1" = --database ]; then database=$2; else options+=("$1" "$2"); fi
        shift
        ;;
    --keep) options+=("$1") ;;
    --)
        shift
        break
        ;;
    -h | --help)
        usage
        exit 0
        ;;
    *) wrong_usage "Unknown: $1" "Desconocido: $1" ;;
    esac
    shift
done
if [ -z "$mode" ]; then
    mode=code
    [ ! -t 0 ] || menu
fi
if [ "$mode" != code ]; then
    [ $# -eq 0 ] || wrong_usage "Arguments for pytest are for code only." "Los argumentos de pytest son solo para code."
    drill "$mode" --data "$DEFAULT_DATA" ${database:+--database "$database"} ${options[@]+"${options[@]}"}
fi
[ ${#options[@]} -eq 0 ] || wrong_usage "${options[0]} is not for code." "${options[0]} no es para code."
code "$@"
