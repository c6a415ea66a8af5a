#!/usr/bin/env bash
# Runs the automated tests. See --help.
set -uo pipefail
# shellcheck source=shell_functions.bash
source "$(dirname "${BASH_SOURCE[0]}")/shell_functions.bash"

usage() {
    text "Usage: ./run_tests.sh [code] [options] [-- pytest's arguments]

  code            all automated tests of the code, on a real embedded PostgreSQL

  --database URL  on this database instead; what is in it is deleted
  --help          this text

Without arguments: a menu in a terminal, else the same as 'code'.
" "Uso: ./run_tests.sh [code] [opciones] [-- argumentos de pytest]

  code            todas las pruebas automáticas del código, con un PostgreSQL incorporado real

  --database URL  con esta base de datos; lo que contiene se borra
  --help          este texto

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

database='' mode=''
while [ $# -gt 0 ]; do
    case $1 in
    code) mode=code ;;
    --database)
        [ $# -ge 2 ] || wrong_usage "--database needs a URL." "--database necesita una URL."
        database=$2
        shift
        ;;
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
if [ -z "$mode" ] && [ -t 0 ]; then
    say "  1) code: all automated tests of the code" "  1) code: todas las pruebas automáticas del código"
    say "  q) quit" "  q) salir"
    read -r -p "$(text "Choose" "Elija") [1]: " choice
    [ "${choice:-1}" = 1 ] || exit 0
fi
code "$@"
