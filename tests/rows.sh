#!/usr/bin/env bash
# Runs commands in two rows beside each other, since many of them wait for something most of the time:
#   tests/rows.sh COMMAND… -- COMMAND…
# Each command is one argument. The output of the second row is shown when both have ended, and at last what failed.
set -uo pipefail
cd "$(dirname "$0")/.." || exit

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

first=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do
    first+=("$1")
    shift
done
shift

# A failure ends nothing but its own command: whoever mends it wants to see all of them.
row() {
    local command start log
    for command in "$@"; do
        start=$SECONDS
        log=$(mktemp -p "$work")
        bash -c "$command" 2>&1 | tee "$log" || fail "$command" "$log"
        echo "$(((SECONDS - start) / 60)) min $(((SECONDS - start) % 60)) s: $command"
    done
}

# Keeps for the end what pytest and Ansible say of a failure, which is far above then.
fail() {
    echo "failed: $1"
    grep -aE '(FAILED|ERROR) |fatal: |[^[:alnum:]]E  +[^ ]' "$2" | tail -n 20
} >>"$work/failed"

# In a process group of its own, which an interruption ends as a whole: by themselves, background jobs ignore Ctrl-C.
set -m
row "$@" >"$work/second" 2>&1 &
second=$!
set +m
trap 'kill -- -"$second"; exit 130' INT TERM
row "${first[@]}"
wait "$second" || fail "the second row" /dev/null
cat "$work/second"

[ ! -s "$work/failed" ] || {
    cat "$work/failed" >&2
    exit 1
}
