#!/usr/bin/env bash
# The server in Kubernetes, beside a Citus cluster that is there. See --help.
set -euo pipefail
# shellcheck source=k8s/kubernetes_functions.bash
source "$(dirname "${BASH_SOURCE[0]}")/kubernetes_functions.bash"

usage() {
    text "Usage: k8s/setup_fastapi_k8s.sh deploy|status|restart|delete

  deploy    migrate the schema, start the server or replace it by a newer one, one pod after the other
  status    pods, autoscaler, what the server says of itself
  restart   new pods, one after the other
  delete    take the server away; the database stays

Environment: OVERLAY (minikube, production …), PORT (8080), SAMPLE (0 to 10 patients to load; 0).
" "Uso: k8s/setup_fastapi_k8s.sh deploy|status|restart|delete

  deploy    migra el esquema e inicia el servidor, o lo cambia por uno más nuevo, pod a pod
  status    pods, autoescalado y lo que el servidor dice de sí mismo
  restart   pods nuevos, uno tras otro
  delete    quita el servidor; la base de datos se conserva

Entorno: OVERLAY (minikube, production …), PORT (8080), SAMPLE (de 0 a 10 pacientes que se cargan; 0).
"
}

port=${PORT:-8080}

deploy() {
    local begin=$SECONDS
    build fhirserver "$APP"
    k delete job fhir-migrate --ignore-not-found --wait # its template can't be changed
    apply api
    say "Migrating the schema, starting the server …" "Migrando el esquema, iniciando el servidor …"
    rolled_out deployment/fastapi-fhir
    forward api fastapi-fhir-service:80 "$port"
    until get "http://127.0.0.1:$port/health/ready" >/dev/null; do
        [ $((SECONDS - begin)) -lt 900 ] ||
            fail 1 "The server does not answer on port $port." "El servidor no responde en el puerto $port."
        sleep 1
    done
    load_sample_patients
    text "
  FHIR API    http://127.0.0.1:$port/fhir
  Swagger UI  http://127.0.0.1:$port/docs
  Health      http://127.0.0.1:$port/health

Admin's password: kubectl -n $NAMESPACE get secret fhir-api-secret -o jsonpath='{.data.FHIR_ADMIN_PASSWORD}' | base64 -d
If the port stops answering: kubectl -n $NAMESPACE port-forward service/fastapi-fhir-service $port:80
Test:  ./run_tests.sh basic
Stop:  ./cleanup.sh minikube
" "
  API FHIR    http://127.0.0.1:$port/fhir
  Swagger UI  http://127.0.0.1:$port/docs
  Estado      http://127.0.0.1:$port/health

Contraseña de admin: kubectl -n $NAMESPACE get secret fhir-api-secret -o jsonpath='{.data.FHIR_ADMIN_PASSWORD}' | base64 -d
Si el puerto deja de responder: kubectl -n $NAMESPACE port-forward service/fastapi-fhir-service $port:80
Pruebe:  ./run_tests.sh basic
Pare:    ./cleanup.sh minikube
"
}

load_sample_patients() {
    local files=() number
    [ "${SAMPLE:-0}" -gt 0 ] || return 0
    for number in $(seq -f '%02g' 1 "$SAMPLE"); do files+=("patient-$number.json.gz"); done
    say "Loading $SAMPLE sample patients …" "Cargando $SAMPLE pacientes de ejemplo …"
    # shellcheck disable=SC2016 # the variables are of the shell over there
    tar -C "$APP/sample" -c hospitalInformation.json.gz practitionerInformation.json.gz "${files[@]}" |
        k exec -i deployment/fastapi-fhir --container api -- sh -c \
            'mkdir -p /tmp/sample && tar -x -C /tmp/sample && cd /tmp/sample &&
             fhirserver load --workers 1 *Information.json.gz patient-*.json.gz; status=$?; rm -rf /tmp/sample; exit $status' |
        tail -n 2
}

case ${1:-} in
deploy)
    reach
    deploy
    ;;
status)
    reach
    k get pods,hpa -l app=fastapi-fhir
    get "http://127.0.0.1:$port/health" || say "Port $port does not answer." "El puerto $port no responde."
    ;;
restart)
    reach
    k rollout restart deployment/fastapi-fhir
    rolled_out deployment/fastapi-fhir
    ;;
delete)
    reach
    k delete --ignore-not-found deployment,service,ingress,horizontalpodautoscaler,poddisruptionbudget,job \
        -l app.kubernetes.io/component=api
    ;;
-h | --help) usage ;;
*) wrong_usage "Say what to do: deploy, status, restart or delete" "Diga qué hacer: deploy, status, restart o delete" ;;
esac
