#!/usr/bin/env bash
# Before PostgreSQL starts: what each start decides anew, in /var/run/postgresql, which is memory.
#   tls/       certificate and key: those mounted in /etc/fhir-tls, or new ones that this node signs itself
#   pgpass     with what each role proves to the other nodes who it is
#   node.conf  settings by the memory of the container (or PG_MEMORY_MB), and how nodes reach each other
set -euo pipefail
umask 077
run=/var/run/postgresql given=/etc/fhir-tls

roles=(postgres fhir_owner fhir_app fhir_readonly fhir_monitor)
passwords=(POSTGRES_PASSWORD FHIR_OWNER_PASSWORD FHIR_APP_PASSWORD FHIR_READONLY_PASSWORD FHIR_MONITOR_PASSWORD)
for name in "${passwords[@]}" FHIR_BACKUP_PASSWORD; do
    if [ -z "${!name:-}" ]; then
        echo "$name is not set. The setup scripts generate it; see postgres-citus/README.md." >&2
        exit 1
    fi
done

mkdir -p "$run/tls"
if [ -e "$given/tls.crt" ]; then
    cp -f "$given/tls.crt" "$given/tls.key" "$run/tls/"
    if [ -e "$given/ca.crt" ]; then cp -f "$given/ca.crt" "$run/tls/"; fi
else
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 -subj "/CN=$(hostname)" \
        -keyout "$run/tls/tls.key" -out "$run/tls/tls.crt" 2>/dev/null
fi
chmod 600 "$run"/tls/*

: >"$run/pgpass"
for i in "${!roles[@]}"; do
    password=${!passwords[i]}
    password=${password//\\/\\\\}
    printf '*:*:*:%s:%s\n' "${roles[i]}" "${password//:/\\:}" >>"$run/pgpass"
done

# memory_mb: what this container may use; an eighth of the machine where it may use all
memory_mb() {
    local file bytes total
    total=$(($(awk '/^MemTotal:/ {print $2}' /proc/meminfo) / 1024))
    for file in /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes; do
        bytes=$(cat "$file" 2>/dev/null) || continue
        if [[ $bytes =~ ^[0-9]+$ ]] && [ ${#bytes} -lt 16 ] && [ $((bytes / 1048576)) -lt "$total" ]; then
            echo $((bytes / 1048576))
            return
        fi
    done
    echo $((total / 8))
}

# within VALUE LOWEST HIGHEST
within() { echo $(($1 < $2 ? $2 : $1 > $3 ? $3 : $1)); }

memory=${PG_MEMORY_MB:-$(memory_mb)}
if [ -e "$run/tls/ca.crt" ]; then
    between_nodes="sslmode=verify-full sslrootcert=$run/tls/ca.crt"
else
    between_nodes='sslmode=require'
fi
cat >"$run/node.conf" <<CONF
shared_buffers = '$(within $((memory / 4)) 64 32768)MB'
effective_cache_size = '$(within $((memory * 3 / 4)) 128 1048576)MB'
maintenance_work_mem = '$(within $((memory / 16)) 32 2048)MB'
work_mem = '$(within $((memory / 256)) 4 64)MB'
citus.node_conninfo = '$between_nodes connect_timeout=3 tcp_user_timeout=5000 keepalives_idle=3 keepalives_interval=1 keepalives_count=3'
CONF
