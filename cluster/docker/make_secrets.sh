#!/usr/bin/env bash
# Makes what compose.yaml mounts as secrets, in secrets/ beside this file or in the folder given:
#   api_keys          SHA-256 of each key that the server accepts
#   metrics_key       the key with which Prometheus asks for /metrics
#   grafana_password  of Grafana's user "admin"
# Prints the key for callers, which is stored nowhere.
set -euo pipefail

folder="${1:-$(dirname "$0")/secrets}"
if [[ -e "$folder" ]]; then
    echo "error: $folder exists; remove it first, and every key in it stops working" >&2
    exit 1
fi

random_key() { head -c 32 /dev/urandom | sha256sum | cut -d' ' -f1; }
hash_of() { printf %s "$1" | sha256sum | cut -d' ' -f1; }

# Other users of this machine are kept out by the folder. The files themselves are readable, because
# they are mounted one by one for the users of the containers.
mkdir --parents --mode=0700 "$folder"
callers_key="$(random_key)"
metrics_key="$(random_key)"
{
    echo "$(hash_of "$callers_key")  # callers"
    echo "$(hash_of "$metrics_key")  # Prometheus"
} > "$folder/api_keys"
printf %s "$metrics_key" > "$folder/metrics_key"
printf %s "$(random_key)" > "$folder/grafana_password"
chmod 0644 "$folder"/*

echo "Authorization: Bearer $callers_key"
