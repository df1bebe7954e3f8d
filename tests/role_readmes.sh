#!/usr/bin/env bash
# Writes the README of every role from its argument specs; with --check, fails where one is out of date.
set -euo pipefail
cd "$(dirname "$0")/.."

status=0
for role in roles/*/; do
    readme=$(mktemp --suffix=.md)
    aar-doc --output-mode replace --output-file "$readme" --output-template docs/role_readme.md.j2 "$role" markdown
    if [ "${1:-}" != --check ]; then
        install -m 0644 "$readme" "$role/README.md"
    elif ! diff -u "$role/README.md" "$readme"; then
        echo "$role/README.md is out of date: run make docs" >&2
        status=1
    fi
    rm -f "$readme"
done
exit $status
