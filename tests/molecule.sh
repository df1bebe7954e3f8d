#!/usr/bin/env bash
# Runs every molecule scenario, or those that are named.
set -euo pipefail
cd "$(dirname "$0")/.."

# Spares each run of Ansible the packing of its modules, and each run of Python the compiling of what it imports.
unset PYTHONDONTWRITEBYTECODE
export ANSIBLE_CALLBACK_PLUGINS=$PWD/molecule/shared/callback_plugins

scenarios=("$@")
if [ ${#scenarios[@]} -eq 0 ]; then
    # They have a verb of their own, `make operations`: with them, all would take too long.
    apart=" recovery rollout "
    for file in molecule/*/molecule.yml; do
        name=$(basename "$(dirname "$file")")
        [[ "$apart" == *" $name "* ]] || scenarios+=("$name")
    done
fi
for scenario in "${scenarios[@]}"; do
    echo "molecule: $scenario"
    molecule --base-config .config/molecule/config.yml test --scenario-name "$scenario"
done
