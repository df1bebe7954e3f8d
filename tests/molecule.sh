#!/usr/bin/env bash
# Runs every molecule scenario, or those that are named: all of it, or the steps that ACTIONS names.
set -euo pipefail
cd "$(dirname "$0")/.."

# Spares each run of Ansible the packing of its modules, and each run of Python the compiling of what it imports.
unset PYTHONDONTWRITEBYTECODE
export ANSIBLE_CALLBACK_PLUGINS=$PWD/molecule/shared/callback_plugins

scenarios=("$@")
if [ ${#scenarios[@]} -eq 0 ]; then
    # They have verbs of their own, `make certificates` and `make operations`: with them, all would take too long.
    apart=" hosts recovery rollout tls "
    for file in molecule/*/molecule.yml; do
        name=$(basename "$(dirname "$file")")
        [[ "$apart" == *" $name "* ]] || scenarios+=("$name")
    done
fi
read -ra actions <<<"${ACTIONS:-test}"
for scenario in "${scenarios[@]}"; do
    for action in "${actions[@]}"; do
        echo "molecule: $scenario, $action"
        molecule --base-config .config/molecule/config.yml "$action" --scenario-name "$scenario"
    done
done
