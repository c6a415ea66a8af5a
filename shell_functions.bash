# Shared by the scripts of this folder and of k8s/: language, messages, prerequisites, passwords, Python environments.
# To be sourced.
# shellcheck shell=bash disable=SC2034

REPO=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
APP=$REPO/fastapi-app
STACK=(docker compose --project-directory "$REPO" -f "$REPO/docker-compose.dev.yml")
ROLES=(POSTGRES FHIR_OWNER FHIR_APP FHIR_READONLY FHIR_MONITOR FHIR_BACKUP) # each with a password, NAME_PASSWORD
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

# version_at_least HAVE WANT
version_at_least() {
    [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]
}

# need NAME VERSION FOUND HOW-ENGLISH HOW-SPANISH: says what was found; fails if it is missing or too old
need() {
    local found
    found=$(grep -oE '[0-9]+\.[0-9]+(\.[0-9]+)?' <<<"$3" | head -n 1) || true
    if [ -z "$found" ]; then
        say "$1 is missing; version $2 or newer is needed. $4" "Falta $1; hace falta la versión $2 o posterior. $5" >&2
        return 1
    fi
    if ! version_at_least "$found" "$2"; then
        say "$1 $found is too old; $2 or newer is needed. $4" "$1 $found es muy antiguo; hace falta $2 o posterior. $5" >&2
        return 1
    fi
    say "  $1 $found" "  $1 $found"
}

# need_docker: Docker, its Compose plugin and its daemon; everything that is missing is told before the end
need_docker() {
    local missing=''
    need Docker 20.10 "$(docker --version 2>/dev/null)" "See https://docs.docker.com/engine/install/" \
        "Vea https://docs.docker.com/engine/install/" || missing=1
    need "Docker Compose" 2.20 "$(docker compose version 2>/dev/null)" "See https://docs.docker.com/compose/install/" \
        "Vea https://docs.docker.com/compose/install/" || missing=1
    [ -z "$missing" ] || exit 1
    docker info >/dev/null 2>&1 ||
        fail 1 "Docker's daemon does not answer: start it (systemctl start docker), or join the group 'docker'." \
            "El demonio de Docker no responde: inícielo (systemctl start docker) o entre en el grupo 'docker'."
}

# need_kubectl: kubectl
need_kubectl() {
    need kubectl 1.27 "$(kubectl version --client 2>/dev/null | head -n 1)" "See https://kubernetes.io/docs/tasks/tools/" \
        "Vea https://kubernetes.io/docs/tasks/tools/" || exit 1
}

# stop_forward FILE: end the port-forward whose process id is in the file
stop_forward() {
    local pid command
    pid=$(cat "$1" 2>/dev/null) && [ -n "$pid" ] || return 0
    command=$(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null) || command=$(ps -ww -o args= -p "$pid" 2>/dev/null) || command=''
    case "$command" in *kubectl*port-forward*) kill "$pid" ;; esac
    rm -f -- "$1"
}

# password: 128 random bits
password() {
    od -An -N16 -tx1 /dev/urandom | tr -d ' \n'
}

# write_passwords FILE NAME…: a password for each NAME that the file does not have; only its owner can read it
write_passwords() {
    local file=$1 name
    shift
    (umask 077 && touch "$file")
    chmod 600 "$file"
    for name; do
        grep -q "^$name=." "$file" || printf '%s=%s\n' "$name" "$(password)" >>"$file"
    done
}

# confirm ENGLISH SPANISH: whether the user says yes; --yes ($yes) has said it already
confirm() {
    local answer
    [ -z "${yes:-}" ] || return 0
    read -r -p "$(text "$1 [y/N] " "$2 [s/N] ")" answer || return 1
    case $answer in
    y | Y | yes | s | S | si | sí) ;;
    *) return 1 ;;
    esac
}

# get URL: its content; fails if it is not answered with success
get() {
    if command -v curl >/dev/null; then
        curl --silent --fail --noproxy '*' --max-time 5 "$1"
    else
        "$(find_python)" - "$1" <<'PYTHON' 2>/dev/null
import sys, urllib.request
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
sys.stdout.write(opener.open(sys.argv[1], timeout=5).read().decode())
PYTHON
    fi
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
