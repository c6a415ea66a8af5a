load stubs

@test "the whole set-up: images, secrets, cluster, server, in this order" {
    kubectl_answers
    SAMPLE=0 run k8s/setup_complete_k8s.sh full
    [ "$status" -eq 0 ]
    order=$(grep -oE 'image build --tag [a-z-]+|component=[a-z]+|create secret generic [a-z-]+|register-workers.sh|delete job [a-z-]+|rollout status [a-z/-]+' "$CALLS")
    [ "$order" = "image build --tag fhir-citus
component=common
create secret generic citus-secret
create secret generic fhir-api-secret
create secret generic citus-tls
component=citus
rollout status statefulset/citus-coordinator
rollout status statefulset/citus-worker
register-workers.sh
image build --tag fhirserver
delete job fhir-migrate
component=api
rollout status deployment/fastapi-fhir" ]
    called "port-forward service/fastapi-fhir-service 8080:80"
    called 'register-workers.sh citus-worker-0.citus-worker citus-worker-1.citus-worker$'
}

@test "passwords are generated, each its own" {
    kubectl_answers
    run k8s/setup_complete_k8s.sh citus
    [ "$status" -eq 0 ]
    [ "$(grep -cE '^secret [A-Z_]+_PASSWORD=[0-9a-f]{32}$' "$STUBS/secrets")" -eq 7 ]
    [ "$(grep -oE '[0-9a-f]{32}$' "$STUBS/secrets" | sort -u | wc -l)" -eq 7 ]
}

@test "workers that were added stay" {
    kubectl_answers
    sed -i 's/printf 2 ;;/printf 3 ;;/; s/^    case "\$\*" in$/&\n    kustomize*) cat "${BASH_SOURCE[0]%\/*}\/rendered" ;;\n    apply*) cat >"${BASH_SOURCE[0]%\/*}\/applied" ;;/' \
        "$STUBS/kubectl"
    printf 'kind: %s\nmetadata:\n  name: %s\nspec:\n  replicas: %s\n---\n' \
        StatefulSet citus-coordinator 1 StatefulSet citus-worker 2 Deployment citus-worker 2 >"$STUBS/rendered"
    run k8s/setup_complete_k8s.sh citus
    [ "$status" -eq 0 ]
    [ "$(grep -o 'replicas: .' "$STUBS/applied" | tr -d '\n')" = "replicas: 1replicas: 3replicas: 2" ]
    called "register-workers.sh .*citus-worker-2.citus-worker$"
}

@test "secrets that are there stay" {
    kubectl_answers
    sed -i 's/\*"get secret.*/*"get secret"*) return 0 ;;/' "$STUBS/kubectl"
    run k8s/setup_complete_k8s.sh citus
    [ "$status" -eq 0 ]
    never 'create secret'
}

@test "no new passwords for a database that has others" {
    kubectl_answers
    sed -i 's/\*"get secret.*/*"get secret\/"*) return 1 ;;/' "$STUBS/kubectl"
    run k8s/setup_complete_k8s.sh citus
    [ "$status" -eq 1 ]
    [[ $output == *"the Secret citus-secret with its passwords is missing"* ]]
    never 'create secret'
}

@test "what does not get ready is told with its pods" {
    kubectl_answers
    sed -i 's/    \*"config current/    *"rollout status"*) return 1 ;;\n    *"get pods"*) echo the pods ;;\n&/' "$STUBS/kubectl"
    run k8s/setup_complete_k8s.sh citus
    [ "$status" -eq 1 ]
    [[ $output == *"the pods"* ]]
    [[ $output == *"did not get ready"* ]]
}

@test "without a cluster the next step is told" {
    kubectl_answers
    sed -i 's/    \*"config current/    version) return 1 ;;\n&/' "$STUBS/kubectl"
    for script in setup_complete_k8s.sh\ full setup_fastapi_k8s.sh\ deploy register_citus_k8s.sh verify_lab.sh; do
        # shellcheck disable=SC2086
        run k8s/$script
        [ "$status" -eq 1 ]
        [[ $output == *"k8s/setup_minikube.sh"* ]]
    done
}

@test "Minikube is started with what the server needs, unless it runs" {
    kubectl_answers
    run k8s/setup_minikube.sh
    [ "$status" -eq 0 ]
    never 'minikube start'
    echo 'answer() { case "$*" in version) echo v1.34.0 ;; status) return 1 ;; esac; }' >"$STUBS/minikube"
    run k8s/setup_minikube.sh --cpus 2
    [ "$status" -eq 0 ]
    called 'minikube start --cpus 2 --memory 8192 --cni calico'
    called 'minikube addons enable ingress'
    called 'kubectl config set-context --current --namespace fhir-system'
}

@test "all workers that the set wants are registered" {
    kubectl_answers
    sed -i 's/printf 2/printf 3/' "$STUBS/kubectl"
    run k8s/register_citus_k8s.sh --wait
    [ "$status" -eq 0 ]
    called 'register-workers.sh --wait citus-worker-0.citus-worker citus-worker-1.citus-worker citus-worker-2.citus-worker$'
}

@test "verification fails when a worker is not registered, and says which check" {
    cat >"$STUBS/kubectl" <<'STUB'
answer() {
    case "$*" in
    "version --client") echo "Client Version: v1.32.4" ;;
    *"-o jsonpath={range"*) echo "pod True" ;;
    *"-o name"*) echo pod/x ;;
    *"get persistentvolumeclaims"*) echo "data-citus-worker-0 Bound x" ;;
    *"get statefulset citus-worker"*) printf 2 ;;
    *"get secret citus-secret"*) echo '{"POSTGRES_PASSWORD":"MTIz"}' ;;
    *citus_get_active_worker_nodes*) echo "${ACTIVE:-2}" ;;
    *"SELECT count(DISTINCT"*) echo 2 ;;
    *citus_tables*) echo 1 ;;
    esac
}
STUB
    run k8s/verify_lab.sh
    [ "$status" -eq 0 ]
    [[ $output == *"All is well."* ]]
    ACTIVE=1 run k8s/verify_lab.sh
    [ "$status" -eq 1 ]
    [[ $output == *"✗ each worker is registered and active"*"1 / 2"* ]]
    [[ $output == *"1 checks failed"* ]]
    sed -i 's/MTIz/cG9zdGdyZXM=/' "$STUBS/kubectl"
    run k8s/verify_lab.sh
    [ "$status" -eq 1 ]
    [[ $output == *"✗ passwords are neither"* ]]
}

@test "cleanup keeps volumes unless told to delete them" {
    kubectl_answers
    run ./cleanup.sh minikube
    [ "$status" -eq 0 ]
    never 'delete namespace'
    never 'delete .*persistentvolumeclaim'
    run ./cleanup.sh minikube --data --yes
    [ "$status" -eq 0 ]
    called 'kubectl delete namespace fhir-system'
}

@test "what is wrong with the command line is exit code 2" {
    kubectl_answers
    for arguments in 'setup_complete_k8s.sh' 'setup_complete_k8s.sh all' 'setup_fastapi_k8s.sh' 'register_citus_k8s.sh now' 'setup_minikube.sh --cpus many' 'verify_lab.sh x'; do
        # shellcheck disable=SC2086
        run k8s/$arguments
        [ "$status" -eq 2 ] || { echo "$arguments: $status"; false; }
    done
}
