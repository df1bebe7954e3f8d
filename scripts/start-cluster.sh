#!/usr/bin/env bash
# Deploys the cluster of the inventory and lets it answer once. The same as `make up`.
set -euo pipefail
exec make --no-print-directory --directory "$(dirname "$0")/.." up
