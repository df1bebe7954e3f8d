#!/usr/bin/env bash
# Lints every file of the repository, each kind with its own tool. Shows all findings before it fails.
set -uo pipefail
cd "$(dirname "$0")/.." || exit

status=0
check() {
    echo "lint: $1"
    "${@:2}" || status=1
}

mapfile -t shell_scripts < <(git ls-files -co --exclude-standard '*.sh' .ci/run files/{gateway,postgres}/start)
mapfile -t dockerfiles < <(git ls-files -co --exclude-standard '*Dockerfile')

# It takes as long as all the others together, so it runs beside them.
findings=$(mktemp)
ansible-lint --nocolor -q >"$findings" 2>&1 &
ansible=$!
trap 'kill "$ansible" 2>/dev/null; rm -f "$findings"' EXIT

check yaml yamllint --strict .
check python ruff check .
check format ruff format --check .
check types env MYPYPATH=files/gateway:files/certbot:roles/autoheal/files:roles/backup/files mypy scripts tests benchmarks \
    files/gateway/gateway_control files/certbot/certificate_control roles/autoheal/files/autoheal roles/backup/files/cluster_backup
check "types of molecule" env MYPYPATH=molecule:files/gateway:files/certbot mypy --exclude molecule/clients/ molecule
check "types of molecule/clients" env MYPYPATH=molecule/clients/tests mypy molecule/clients
for plugin in roles/*/{lookup_plugins,filter_plugins,library}; do
    [ -d "$plugin" ] && check "types of $plugin" mypy "$plugin"
done
for service in llm-api-service files/model; do
    check "types of $service" sh -c "cd $service && .venv/bin/mypy"
done
check shell shellcheck "${shell_scripts[@]}"
check dockerfiles hadolint "${dockerfiles[@]}"
check spelling codespell --skip '*.lock,.venv,.cache,.ansible,LICENSE,*/.venv' .
check ansible wait "$ansible"
cat "$findings"
exit $status
