#!/usr/bin/env bash
# Runs all tests but those with a verb of their own, in two rows beside each other, since many of either wait for something.
# What counts and measures, `failover`, comes when there is little left to disturb it. The output of the second row is shown
# when both have ended.
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

# What takes all the time that it gets gives way to the first row, which is the longest.
second_row() {
    step nice -n 5 make unit
    step nice -n 5 make templates
    step tests/molecule.sh engine
    step tests/molecule.sh refusals
    step tests/molecule.sh failover
}

# In a process group of its own, which an interruption ends as a whole: by themselves, background jobs ignore Ctrl-C.
set -m
second_row >"$work/second" 2>&1 &
second=$!
set +m
trap 'kill -- -"$second"; exit 130' INT TERM
step tests/molecule.sh default
wait "$second" || fail "the second row" /dev/null
cat "$work/second"

[ ! -s "$work/failed" ] || {
    cat "$work/failed" >&2
    exit 1
}
