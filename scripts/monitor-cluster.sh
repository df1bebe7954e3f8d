#!/usr/bin/env bash
# Shows how the cluster of the inventory does, by playbooks/status.yml.
#   scripts/monitor-cluster.sh            once; the exit code is 0 if all is well, 1 if something needs a look, 2 if it is down
#   scripts/monitor-cluster.sh --watch    until Ctrl-C
#   scripts/monitor-cluster.sh --json     for machines
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/bootstrap.sh deploy >&2
PYTHONPATH=scripts exec .venv/bin/python -m cluster_status "$@"
