#!/usr/bin/env bash
# Runs molecule scenarios: all of each, or the steps that ACTIONS names.
#   tests/molecule.sh SCENARIO…
set -euo pipefail
cd "$(dirname "$0")/.."

# Spares each run of Ansible the packing of its modules, and each run of Python the compiling of what it imports.
unset PYTHONDONTWRITEBYTECODE
export ANSIBLE_CALLBACK_PLUGINS=$PWD/molecule/shared/callback_plugins

read -ra actions <<<"${ACTIONS:-test}"
for scenario in "$@"; do
    for action in "${actions[@]}"; do
        echo "molecule: $scenario, $action"
        molecule --base-config .config/molecule/config.yml "$action" --scenario-name "$scenario"
    done
done
