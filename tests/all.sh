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
step() {
    local start=$SECONDS log
    log=$(mktemp -p "$work")
    "$@" 2>&1 | tee "$log" || fail "$*" "$log"
    echo "$(((SECONDS - start) / 60)) min $(((SECONDS - start) % 60)) s: $*"
}

# Keeps for the end what pytest and Ansible say of a failure, which is far above then.
fail() {
    echo "failed: $1"
    grep -aE '(FAILED|ERROR) |fatal: |[^[:alnum:]]E  +[^ ]' "$2" | tail -n 20
} >>"$work/failed"

second_row() {
    step make unit
    step make templates
    step tests/molecule.sh tls
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
wait "$second" || fail "the second row" /dev/null
cat "$work/second"

step env ACTIONS=verify tests/molecule.sh failover
step env ACTIONS=destroy tests/molecule.sh failover
[ ! -s "$work/failed" ] || {
    cat "$work/failed" >&2
    exit 1
}
