#!/usr/bin/env bash
# The entrypoint of the image `patroni`: PostgreSQL with Citus as one of several copies of a node, one of which leads.
# Patroni agrees on the leader (by Kubernetes, or by etcd at ETCD_HOSTS), lets the others follow synchronously, puts
# one of them in its place when it is gone, and tells the coordinator which workers lead.
#   GROUP    0: the coordinator; 1, 2 …: a worker
#   ADDRESS  the name by which others reach this copy (default: HOSTNAME.SERVICE, as in a StatefulSet)
set -euo pipefail
: "${GROUP:?is not set}"
ADDRESS=${ADDRESS:-$(hostname).${SERVICE:?is not set}}
run=/var/run/postgresql
prepare-node.sh
umask 077
export PGPASSFILE=$run/pgpass # with it nodes log in to each other

if [ -n "${ETCD_HOSTS:-}" ]; then
    agreement="etcd3: {hosts: '$ETCD_HOSTS'}"
else
    agreement="kubernetes:
  namespace: ${POD_NAMESPACE:?is not set}
  pod_ip: ${POD_IP:?is not set}
  scope_label: cluster-name
  role_label: role
  leader_label_value: primary
  labels: {application: patroni}"
fi
if [ -e "$run/tls/ca.crt" ]; then
    encryption="sslmode: verify-full, sslrootcert: $run/tls/ca.crt"
else
    encryption='sslmode: require'
fi
# As JSON, which YAML takes: whatever stands in a password.
quoted() { python3 -c 'import json, os, sys; print(json.dumps(os.environ[sys.argv[1]]))' "$1"; }

cat >"$run/patroni.yml" <<YAML
scope: citus
name: $(hostname)
$agreement
citus: {group: $GROUP, database: clinical_records}
restapi:
  listen: 0.0.0.0:8008
  connect_address: $ADDRESS:8008
  authentication: {username: patroni, password: $(quoted POSTGRES_PASSWORD)}
bootstrap:
  dcs:
    ttl: 20
    loop_wait: 5
    retry_timeout: 6
    maximum_lag_on_failover: 1048576
    # What is acknowledged is on two copies, as long as there are two.
    synchronous_mode: true
    postgresql:
      use_pg_rewind: true
      use_slots: true
      parameters: &limits
        max_connections: 300
        max_prepared_transactions: 300
        max_worker_processes: 32
        max_wal_senders: 32
        max_replication_slots: 32
        wal_level: logical
        wal_log_hints: "on"
  initdb: [data-checksums, {encoding: UTF8}, {locale: C.UTF-8}, {auth: scram-sha-256}]
  post_init: init-patroni.sh
postgresql:
  listen: 0.0.0.0:5432
  connect_address: $ADDRESS:5432
  data_dir: $PGDATA
  bin_dir: $(dirname "$(readlink -f "$(command -v postgres)")")
  pgpass: $run/patroni.pgpass
  use_unix_socket: true
  basebackup: [{checkpoint: fast}]
  custom_conf: /etc/fhir-citus/postgresql.conf
  authentication:
    superuser: {username: postgres, password: $(quoted POSTGRES_PASSWORD), $encryption}
    replication: {username: fhir_backup, password: $(quoted FHIR_BACKUP_PASSWORD), $encryption}
  parameters:
    hba_file: /etc/fhir-citus/pg_hba.conf
    unix_socket_directories: $run
    shared_preload_libraries: citus,pg_stat_statements
YAML
exec patroni "$run/patroni.yml"
