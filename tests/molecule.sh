#!/usr/bin/env bash
# Runs every molecule scenario, or those that are named.
set -euo pipefail
cd "$(dirname "$0")/.."

scenarios=("$@")
if [ ${#scenarios[@]} -eq 0 ]; then
    for file in molecule/*/molecule.yml; do
        scenarios+=("$(basename "$(dirname "$file")")")
    done
fi
for scenario in "${scenarios[@]}"; do
    echo "molecule: $scenario"
    molecule --base-config .config/molecule/config.yml test --scenario-name "$scenario"
done
