#!/usr/bin/env bash
# Resolves the pinned dependencies anew into the lock files. They name no index: each site has its own.
set -euo pipefail
cd "$(dirname "$0")/.."

compile() {
    local folder=$1 output=$2
    shift 2
    (cd "$folder" && "$OLDPWD/.cache/uv/bin/uv" pip compile --quiet --universal --python-version 3.11 \
        --generate-hashes --no-emit-index-url --no-header "$@" pyproject.toml --output-file "$output")
}

compile . requirements.lock
compile . requirements-dev.lock --group dev
for service in llm-api-service files/model; do
    compile "$service" requirements.lock
    compile "$service" requirements-dev.lock --group dev
done
(cd files/model && ../../.cache/uv/bin/uv pip compile --quiet --universal --python-version 3.11 --no-deps \
    --generate-hashes --no-emit-index-url --no-header --no-annotate weights.in --output-file weights.lock)
