load stubs

@test "setup generates passwords once, readable by their owner only, and starts the stack" {
    run ./setup_all.sh compose --sample 0
    [ "$status" -eq 0 ]
    called 'docker compose .*docker-compose.dev.yml up --detach --build'
    [ "$(stat -c %a .env)" = 600 ]
    [ "$(grep -cE '^[A-Z_]+_PASSWORD=[0-9a-f]{32}$' .env)" -eq 9 ]
    before=$(cat .env)
    run ./setup_all.sh compose --sample 0
    [ "$status" -eq 0 ]
    [ "$(cat .env)" = "$before" ]
}

@test "the server's time to get ready begins when all is built" {
    sed -i 's/^READY_SECONDS=.*/READY_SECONDS=2/' setup_all.sh
    sed -i 's/^    case "\$\*" in$/&\n    *" up "*) sleep 2 ;;/' "$STUBS/docker"
    echo 'answer() { case "$*" in */health/ready) [ "$(grep -c health/ready "${BASH_SOURCE[0]%/*}/../calls")" -gt 1 ] ;; esac; }' >"$STUBS/curl"
    run ./setup_all.sh compose --sample 0
    [ "$status" -eq 0 ]
    called 'docker compose .* up '
}

@test "setup keeps a password that is there" {
    echo POSTGRES_PASSWORD=mine >.env
    run ./setup_all.sh compose --sample 0
    [ "$status" -eq 0 ]
    grep -qx POSTGRES_PASSWORD=mine .env
}

@test "setup makes no new passwords for a database that has others" {
    sed -i 's/"volume inspect "\*) return 1/"volume inspect "*) return 0/' "$STUBS/docker"
    run ./setup_all.sh compose
    [ "$status" -eq 1 ]
    [[ $output == *"put .env back"* ]]
    [ ! -e .env ]
    never ' up '
}

@test "setup loads as many patients as were asked for" {
    run ./setup_all.sh compose --sample 2
    [ "$status" -eq 0 ]
    called 'exec -T api fhirserver load .*/hospitalInformation.json.gz .*/patient-01.json.gz /app/sample/patient-02.json.gz$'
}

@test "setup takes another port, and remembers it" {
    ./setup_all.sh compose --sample 0 --port 8123
    run ./setup_all.sh compose --sample 0
    [[ $output == *"http://127.0.0.1:8123/fhir"* ]]
    called 'curl .*http://127.0.0.1:8123/health/ready'
}

@test "setup tells all that is missing or too old, and how to get it" {
    sed -i 's/version 27.3.1/version 19.3.1/; s/version v2.29.7/version v2.10.0/' "$STUBS/docker"
    run ./setup_all.sh compose
    [ "$status" -eq 1 ]
    [[ $output == *"Docker 19.3.1 is too old; 20.10 or newer is needed. See https://"* ]]
    [[ $output == *"Docker Compose 2.10.0 is too old; 2.20 or newer"* ]]
    [ ! -e .env ]
}

@test "setup says so when Docker is not there" {
    echo 'answer() { return 127; }' >"$STUBS/docker"
    run ./setup_all.sh compose
    [ "$status" -eq 1 ]
    [[ $output == *"Docker is missing"* ]]
}

@test "setup says so when the daemon does not answer" {
    echo 'answer() { case "$*" in --version) echo 27.3.1 ;; *version) echo 2.29.7 ;; info) return 1 ;; esac; }' >"$STUBS/docker"
    run ./setup_all.sh compose
    [ "$status" -eq 1 ]
    [[ $output == *"daemon does not answer"* ]]
}

@test "setup speaks Spanish" {
    LANG=es_ES.UTF-8 run ./setup_all.sh compose --sample 0
    [ "$status" -eq 0 ]
    [[ $output == *"Lo que hace falta:"* ]]
    [[ $output == *"Pruebe:  ./run_tests.sh basic"* ]]
}

@test "what is wrong with the command line is exit code 2" {
    for arguments in 'compose --port 0' 'compose --sample 11' 'compose --workers 2' 'compose --data x' 'cluster' 'compose --port'; do
        # shellcheck disable=SC2086
        run ./setup_all.sh $arguments
        [ "$status" -eq 2 ] || { echo "$arguments: $status"; false; }
    done
    run ./setup_all.sh
    [ "$status" -eq 2 ]
}

@test "the workers that run are registered, in order" {
    run ./register_citus.sh
    [ "$status" -eq 0 ]
    called 'exec -T -e COORDINATOR=citus-coordinator citus-coordinator register-workers.sh citus-worker-1 citus-worker-2$'
    run ./register_citus.sh --wait
    called 'register-workers.sh --wait citus-worker-1 citus-worker-2$'
}

@test "registration says so when no worker runs" {
    sed -i 's/citus-worker-[12].n//g' "$STUBS/docker"
    run ./register_citus.sh
    [ "$status" -eq 1 ]
    [[ $output == *"No worker runs"* ]]
}

@test "cleanup keeps the volumes and the passwords" {
    echo POSTGRES_PASSWORD=x >.env
    run ./cleanup.sh compose
    [ "$status" -eq 0 ]
    called 'compose .* down --remove-orphans$'
    [ -e .env ]
}

@test "cleanup deletes data only when told to twice" {
    echo POSTGRES_PASSWORD=x >.env
    run ./cleanup.sh compose --data </dev/null
    [ "$status" -eq 2 ]
    [ -e .env ]
    never ' down '
    run ./cleanup.sh compose --data --yes
    [ "$status" -eq 0 ]
    called ' down --remove-orphans --volumes$'
    [ ! -e .env ]
}
