#!/usr/bin/env bash
# Runs the tests that need no cluster beside the molecule scenarios: most of either wait for something most of the time.
# The output of the former is shown when the latter have ended.
set -uo pipefail
cd "$(dirname "$0")/.." || exit

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# What both are made of, before both would make it.
ansible-playbook tests/images.yml -e tests_tags_file="$work/tags.json" || exit

{ make unit && make templates; } >"$work/log" 2>&1 &
beside=$!
tests/molecule.sh
molecule=$?
wait "$beside"
fast=$?
cat "$work/log"
[ "$molecule" -eq 0 ] || echo "molecule failed: see its output above" >&2
exit $((molecule | fast))
