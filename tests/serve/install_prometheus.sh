#!/usr/bin/env bash
# The dashboard's queries are asked of Debian's Prometheus. It is unpacked into var/, not installed: the package would
# start a service on this machine. Where it cannot be had, that one test is skipped and says why.
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=var/prometheus-package
if command -v prometheus >/dev/null || [ -x "$folder/usr/bin/prometheus" ]; then exit 0; fi
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
  echo "note: without Prometheus one test is skipped; on Debian: sudo apt install prometheus" >&2
  exit 0
fi
echo "Fetching Prometheus ..."
apt-get update -qq
# A folder that apt's own user may write to.
download=$(mktemp -d)
trap 'rm -rf "$download"' EXIT
chmod 777 "$download"
(cd "$download" && apt-get download -qq prometheus)
mkdir -p "$folder"
dpkg -x "$download"/prometheus_*.deb "$folder"
