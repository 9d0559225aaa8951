#!/usr/bin/env bash
# The page's tests drive Debian's Chromium; install it where it is missing.
set -euo pipefail
command -v chromium >/dev/null && exit 0
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
  echo "error: the page's tests need Chromium; on Debian: sudo apt install chromium" >&2
  exit 2
fi
echo "Installing Chromium ..."
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null
