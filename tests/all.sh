#!/usr/bin/env bash
# Runs all tests: two rows beside each other, since most of either wait for something most of the time, and then what
# measures, by itself, on a host that has been made meanwhile. The output of the second row is shown when both have ended.
set -uo pipefail
cd "$(dirname "$0")/.." || exit

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# What both rows are made of, before both would make it.
ansible-playbook tests/images.yml -e tests_tags_file="$work/tags.json" || exit

# A failure ends nothing but its own step: whoever mends it wants to see all of them.
failed=()
step() {
    local start=$SECONDS
    "$@" || failed+=("$*")
    echo "$(((SECONDS - start) / 60)) min $(((SECONDS - start) % 60)) s: $*"
}

second_row() {
    step make unit
    step make templates
    step tests/molecule.sh tls
    report
}

report() {
    [ ${#failed[@]} -eq 0 ] || printf 'failed: %s\n' "${failed[@]}" >&2
    [ ${#failed[@]} -eq 0 ]
}

# In a process group of its own, which an interruption ends as a whole: by themselves, background jobs ignore Ctrl-C.
set -m
second_row >"$work/second" 2>&1 &
second=$!
set +m
trap 'kill -- -"$second"; exit 130' INT TERM
step env ACTIONS='destroy syntax converge idempotence' tests/molecule.sh failover
for scenario in engine refusals default; do
    step tests/molecule.sh "$scenario"
done
wait "$second" || failed+=("steps of the second row, named at the end of its output")
cat "$work/second"

step env ACTIONS=verify tests/molecule.sh failover
step env ACTIONS=destroy tests/molecule.sh failover
report
