load stubs

# An environment that is installed, with a server that only waits.
local_stubs() {
    touch fastapi-app/requirements.txt fastapi-app/requirements-dev.txt fastapi-app/pyproject.toml
    for each in .venv:requirements.txt .venv-test:requirements-dev.txt; do
        local folder=$WORK/${each%:*}
        mkdir -p "$folder/bin"
        cat >"$folder/bin/fhirserver" <<STUB
#!/usr/bin/env bash
printf 'fhirserver %s (%s)\n' "\$*" "\${FHIR_AUTH__SELF_REGISTRATION-}" >>"$CALLS"
exec 3>&-
answer() { case "\$1" in serve) while sleep 0.1; do :; done ;; load) echo "0 resources" ;; users) echo "admin / secret" ;; esac; }
[ ! -e "$STUBS/fhirserver" ] || . "$STUBS/fhirserver"
answer "\$@"
STUB
        sed 's/^printf .fhirserver/printf '"'"'python/' "$folder/bin/fhirserver" >"$folder/bin/python"
        chmod +x "$folder/bin/fhirserver" "$folder/bin/python"
        printf '%s' "$(cat "fastapi-app/${each#*:}" fastapi-app/pyproject.toml | cksum) $folder" >"$folder/installed"
    done
}

teardown() {
    [ ! -e "$WORK/data/server.pid" ] || kill "$(cat "$WORK/data/server.pid")" 2>/dev/null || true
}

@test "local: starts, loads, tells the administrator; a second time finds it running; cleanup stops it" {
    local_stubs
    # It answers once it has been started.
    echo 'answer() { grep -q "fhirserver serve" "'"$CALLS"'"; }' >"$STUBS/curl"
    run ./setup_all.sh local --port 8111 --data "$WORK/data" --sample 1
    [ "$status" -eq 0 ]
    called "fhirserver serve --port 8111 --workers 1 --data $WORK/data \(practitioner,patient\)"
    called 'fhirserver load .*Information.json.gz .*/patient-01.json.gz --data|fhirserver load --data .*/patient-01.json.gz'
    [[ $output == *"admin / secret"* ]]
    [[ $output == *"http://127.0.0.1:8111/docs"* ]]
    run ./setup_all.sh local --data "$WORK/data" --sample 0
    [ "$status" -eq 0 ]
    [[ $output == *"runs already"* ]]
    [[ $output == *"http://127.0.0.1:8111/fhir"* ]]
    [ "$(grep -c 'fhirserver serve' "$CALLS")" -eq 1 ]
    pid=$(cat data/server.pid)
    run ./cleanup.sh local --dir "$WORK/data"
    [ "$status" -eq 0 ]
    [[ $output == *"The server is stopped."* ]]
    [ -z "$(tr -d '\0' 2>/dev/null <"/proc/$pid/cmdline")" ]
    called "fhirserver db stop --data $WORK/data"
    [ ! -e data/server.pid ]
}

@test "local: a server that ends at its start is told with its log" {
    local_stubs
    echo 'answer() { echo the reason; exit 1; }' >"$STUBS/fhirserver"
    echo 'answer() { return 7; }' >"$STUBS/curl"
    run ./setup_all.sh local --data "$WORK/data"
    [ "$status" -eq 1 ]
    [[ $output == *"the reason"*"The server did not start. The log is $WORK/data/server.log."* ]]
    [ ! -e data/server.pid ]
}

@test "local: cleanup deletes its own files only, and only when told to twice" {
    local_stubs
    mkdir -p data/postgres data/backups
    touch data/postgres/PG_VERSION data/backups/mine
    run ./cleanup.sh local --dir "$WORK/data" --data </dev/null
    [ "$status" -eq 2 ]
    [ -e data/postgres/PG_VERSION ]
    run ./cleanup.sh local --dir "$WORK/data" --data --yes
    [ "$status" -eq 0 ]
    [ ! -e data/postgres ]
    [ -e data/backups/mine ]
    [[ $output == *"stays, as there are other files in it."* ]]
}

@test "local: cleanup deletes no folder that is not the server's" {
    mkdir other
    touch other/mine
    run ./cleanup.sh local --dir "$WORK/other" --data --yes
    [ "$status" -eq 1 ]
    [[ $output == *"There is no data of this server"* ]]
    [ -e other/mine ]
}

@test "minikube: Minikube first, then all of the set-up" {
    kubectl_answers
    run ./setup_all.sh minikube --sample 0
    [ "$status" -eq 0 ]
    called 'kubectl config set-context --current --namespace fhir-system'
    called 'rollout status deployment/fastapi-fhir'
    called 'port-forward service/fastapi-fhir-service 8080:80'
    called 'port-forward service/citus-coordinator 5432:5432'
}

@test "tests of what runs get what was told; those of the code all that is left" {
    local_stubs
    run ./run_tests.sh complete --target compose --patients 50 --keep
    [ "$status" -eq 0 ]
    called 'python -m drill complete --data .* --target compose --patients 50 --keep'
}

@test "run_tests: what is wrong with the command line is exit code 2, and runs nothing" {
    local_stubs
    for arguments in 'everything' 'basic --patients' 'basic --target moon' 'complete --patients 0' 'basic -- -k x' 'code --keep' 'code --url http://x'; do
        # shellcheck disable=SC2086
        run ./run_tests.sh $arguments
        [ "$status" -eq 2 ] || { echo "$arguments: $status"; false; }
    done
    never 'python'
}

@test "each script tells its usage, in both languages" {
    for script in setup_all.sh run_tests.sh cleanup.sh register_citus.sh k8s/*.sh; do
        run "./$script" --help
        [ "$status" -eq 0 ] || { echo "$script: $status"; false; }
        [[ $output == *"Usage: "* ]] || { echo "$script: $output"; false; }
        LANG=es_ES.UTF-8 run "./$script" --help
        [[ $output == *"Uso: "* ]] || { echo "$script: $output"; false; }
    done
}
