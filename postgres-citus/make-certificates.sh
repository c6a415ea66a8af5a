#!/usr/bin/env bash
# Makes a certificate authority and one certificate that it signs for the nodes, unless the folder has them.
#   make-certificates.sh FOLDER NAME…      FOLDER/ca.crt, tls.crt, tls.key; each NAME as nodes and clients say it
# The authority's key is thrown away: to renew, delete the folder's files, run this again and restart the nodes.
set -euo pipefail
[ $# -ge 2 ] || { echo "usage: make-certificates.sh FOLDER NAME…" >&2; exit 2; }
folder=$1
shift
if [ -e "$folder/tls.key" ]; then exit; fi

umask 077
made=$(mktemp -d)
trap 'rm -rf -- "$made"' EXIT
names=$(printf 'DNS:%s,' "$@")
new_key=(-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes)
openssl req -x509 "${new_key[@]}" -days 1825 -subj "/CN=Citus nodes" -keyout "$made/ca.key" -out "$made/ca.crt" \
    -addext "basicConstraints=critical,CA:TRUE" -addext "keyUsage=critical,keyCertSign" 2>/dev/null
openssl req "${new_key[@]}" -subj "/CN=$1" -keyout "$made/tls.key" -out "$made/tls.csr" 2>/dev/null
openssl x509 -req -in "$made/tls.csr" -CA "$made/ca.crt" -CAkey "$made/ca.key" -CAcreateserial -days 1825 \
    -extfile <(printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth,clientAuth\n' "${names%,}") -out "$made/tls.crt" 2>/dev/null
mkdir -p "$folder"
cp "$made/ca.crt" "$made/tls.crt" "$folder/"
chmod 644 "$folder/ca.crt" "$folder/tls.crt"
cp "$made/tls.key" "$folder/" # the last: it is what tells that all are there
