#!/usr/bin/env bash
# Runs a command beside a PostgreSQL of its own, whose address is in TEST_POSTGRESQL_URL.
#   tests/with_postgresql.sh COMMAND [ARGUMENT…]
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
container=
trap '[ -z "$container" ] || docker rm --force --volumes "$container" >/dev/null; rm -rf "$work"' EXIT

(cd "$root" && ansible-playbook tests/images.yml -e '{"images_names": ["base"]}' -e "tests_tags_file=$work/tags.json")
base=$(python -c 'import json, sys; print(json.load(open(sys.argv[1]))["base"])' "$work/tags.json")
image=$(docker build --quiet --build-arg "BASE_IMAGE=$base" "$root/llm-api-service/tests/postgresql")
container=$(docker run --detach "$image")
for _ in {1..60}; do
    ! docker exec "$container" pg_isready --quiet --host 127.0.0.1 || break
    sleep 0.5
done
address=$(docker inspect --format '{{.NetworkSettings.IPAddress}}' "$container")
TEST_POSTGRESQL_URL=postgresql://postgres@$address "$@"
