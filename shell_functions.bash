# Shared by setup_all.sh, run_tests.sh and cleanup.sh: language, messages, Python environments. To be sourced.
# shellcheck shell=bash disable=SC2034

REPO=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
APP=$REPO/fastapi-app
DEFAULT_DATA=$REPO/.data
if [ "$(id -u)" = 0 ]; then
    # PostgreSQL does not run as root, and its account may not be able to enter this folder (/root, say).
    folder=$REPO
    while [ "$folder" != / ]; do
        if [ -z "$(find "$folder" -prune -perm -001)" ]; then
            DEFAULT_DATA=/var/lib/fhirserver
        fi
        folder=$(dirname "$folder")
    done
fi

case "${LC_ALL:-${LC_MESSAGES:-${LANG:-}}}" in
es*) SPANISH=1 ;;
*) SPANISH= ;;
esac

# text ENGLISH SPANISH: the one in the user's language
text() {
    if [ -n "$SPANISH" ]; then printf '%s' "$2"; else printf '%s' "$1"; fi
}

# say ENGLISH SPANISH: a line for the user
say() {
    printf '%s\n' "$(text "$1" "$2")"
}

# fail CODE ENGLISH SPANISH: an error for the user, and the end
fail() {
    local code=$1
    shift
    say "$@" >&2
    exit "$code"
}

# wrong_usage ENGLISH SPANISH: what is wrong with the command line, the usage, and exit code 2
wrong_usage() {
    say "$@" >&2
    usage >&2
    exit 2
}

# find_python: the first Python that is new enough
find_python() {
    local name
    for name in python3 python3.14 python3.13 python3.12 python3.11; do
        if command -v "$name" >/dev/null 2>&1 &&
            "$name" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            printf '%s' "$name"
            return
        fi
    done
    fail 1 "Python 3.11 or newer with venv is needed (Debian: apt-get install python3 python3-venv)." \
        "Hace falta Python 3.11 o posterior con venv (Debian: apt-get install python3 python3-venv)."
}

# make_environment DIR REQUIREMENTS: a virtual environment with exactly what the lock file lists, and the server
make_environment() {
    local folder=$1 lock=$2 python stamp installed clear=()
    stamp="$(cat "$lock" "$APP/pyproject.toml" | cksum) $folder"
    installed=$(cat "$folder/installed" 2>/dev/null) || installed=''
    if [ -x "$folder/bin/fhirserver" ] && [ "$installed" = "$stamp" ]; then
        return
    fi
    python=$(find_python) || exit 1
    say "Installing into $folder …" "Instalando en $folder …"
    case $installed in
    '' | *" $folder") ;;
    *) clear=(--clear) ;; # its programs name the folder where it was made
    esac
    "$python" -m venv ${clear[@]+"${clear[@]}"} "$folder" ||
        fail 1 "No virtual environment could be made; see the message above." \
            "No se pudo crear el entorno virtual; vea el mensaje anterior."
    "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$lock" ||
        fail 1 "The installation failed; see pip's message above." "La instalación falló; vea el mensaje de pip."
    "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps -e "$APP" ||
        fail 1 "The installation failed; see pip's message above." "La instalación falló; vea el mensaje de pip."
    printf '%s' "$stamp" >"$folder/installed"
}

# server_pid DATA: the process id of the server that was started with this data folder; nothing if none runs
server_pid() {
    local pid command
    pid=$(cat "$1/server.pid" 2>/dev/null) && [ -n "$pid" ] || return 0
    if [ -r "/proc/$pid/cmdline" ]; then # small systems have no ps
        command=$(tr '\0' ' ' <"/proc/$pid/cmdline")
    else
        command=$(ps -ww -o args= -p "$pid" 2>/dev/null) || return 0
    fi
    case "$command " in
    *"fhirserver serve "*"--data $1 "*) printf '%s' "$pid" ;;
    esac
}
