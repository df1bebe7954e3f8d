#!/usr/bin/env bash
# Deploys the cluster of the inventory, and gets a certificate for it.
#   scripts/start-cluster-ssl.sh api.example.com admin@example.com
set -euo pipefail
if [ $# -ne 2 ]; then
    echo "usage: $0 DOMAIN EMAIL" >&2
    exit 2
fi
cd "$(dirname "$0")/.."
make --no-print-directory tls DOMAIN="$1" EMAIL="$2"
