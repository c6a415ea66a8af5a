# A copy of the scripts in a folder of its own, and docker, kubectl and minikube as stubs: each call is a line of
# $CALLS, and answers come from functions that a test defines in $STUBS/<program>.
# shellcheck shell=bash

setup() {
    repo=$(cd "$BATS_TEST_DIRNAME/../../../.." && pwd)
    WORK=$BATS_TEST_TMPDIR/copy STUBS=$BATS_TEST_TMPDIR/stubs CALLS=$BATS_TEST_TMPDIR/calls
    mkdir -p "$WORK" "$STUBS" "$BATS_TEST_TMPDIR/bin"
    cp -r "$repo"/*.sh "$repo"/*.bash "$repo"/docker-compose*.yml "$repo"/k8s "$repo"/postgres-citus "$WORK"
    mkdir -p "$WORK/fastapi-app"
    cp -r "$repo/fastapi-app/sample" "$WORK/fastapi-app"
    for program in docker kubectl minikube curl; do
        cat >"$BATS_TEST_TMPDIR/bin/$program" <<STUB
#!/usr/bin/env bash
printf '%s %s\n' $program "\$*" >>"$CALLS"
answer() { :; }
[ ! -e "$STUBS/$program" ] || . "$STUBS/$program"
answer "\$@"
STUB
        chmod +x "$BATS_TEST_TMPDIR/bin/$program"
        touch "$CALLS"
    done
    PATH=$BATS_TEST_TMPDIR/bin:$PATH
    unset POSTGRES_PASSWORD
    cd "$WORK" || exit 1
    docker_answers
}

# docker_answers: Docker and Compose in versions that are new enough, two workers, nothing else
docker_answers() {
    cat >"$STUBS/docker" <<'STUB'
answer() {
    case "$*" in
    --version) echo "Docker version 27.3.1, build x" ;;
    "compose version") echo "Docker Compose version v2.29.7" ;;
    "volume inspect "*) return 1 ;;
    *" ps --services "*) printf 'citus-worker-2\ncitus-worker-1\ncitus-coordinator\n' ;;
    esac
}
STUB
}

# kubectl_answers: a cluster with two workers, where nothing of ours is yet
kubectl_answers() {
    cat >"$STUBS/kubectl" <<'STUB'
answer() {
    local file=$*
    case "$*" in
    "version --client") echo "Client Version: v1.32.4" ;;
    *"get secret/"* | *"get persistentvolumeclaim/"*) return 1 ;;
    *"get statefulset citus-worker"*) printf 2 ;;
    *"get statefulsets -o name") printf 'statefulset.apps/%s\n' citus-coordinator citus-worker ;;
    *"config current-context"*) echo minikube ;;
    *"create secret"*"--from-env-file="*) sed 's/^/secret /' "${file##*--from-env-file=}" >>"${BASH_SOURCE[0]%/*}/secrets" ;;
    esac
}
STUB
    echo 'answer() { case "$*" in version) echo "minikube version: v1.34.0" ;; esac; }' >"$STUBS/minikube"
}

called() { grep -qE -- "$1" "$CALLS"; }

# never PATTERN: no call was like it (`!` before a command would not fail a test)
never() { if called "$1"; then return 1; fi; }
