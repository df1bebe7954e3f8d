#!/usr/bin/env bash
# Makes the control node's tool chain in .venv, from nothing but python3 and root or sudo. Can be run again.
#   scripts/bootstrap.sh deploy    what a deployment needs
#   scripts/bootstrap.sh dev       that, and what linting and testing need
set -euo pipefail
cd "$(dirname "$0")/.."

fail() {
    printf 'bootstrap: %s\n' "$@" >&2
    exit 1
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        fail "this step needs root: $*" "Run it as root, or install sudo and allow it to $(id -un)."
    fi
}

case "${1:-}" in
deploy) lock=requirements.lock ;;
dev) lock=requirements-dev.lock ;;
*) fail "say which tool chain: deploy or dev" ;;
esac

# The distribution's own is the one that apt-get can add to, and is built with all optimisations: one that somebody has compiled
# on the machine takes up to twice as long.
fits() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }
python=/usr/bin/python3
fits $python || python=$(command -v python3) || fail "python3 is missing: apt-get install python3"
fits "$python" || fail "$("$python" --version) is too old: 3.11 or newer is needed (Debian 12 and 13 have it)."

# Debian's python3 comes without the part of it that makes virtual environments.
if ! "$python" -c 'import ensurepip' 2>/dev/null; then
    echo "bootstrap: installing python3-venv"
    as_root apt-get update -qq || fail "apt-get update failed: check the network and /etc/apt/sources.list.d"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends python3-venv >/dev/null ||
        fail "python3-venv could not be installed: see the lines above"
fi

uv=.cache/uv/bin/uv
if ! .cache/uv/bin/uv --version >/dev/null 2>&1; then
    echo "bootstrap: installing uv"
    "$python" -m venv --clear .cache/uv
    .cache/uv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r scripts/uv.lock ||
        fail "uv could not be installed: is a Python package index reachable? (PIP_INDEX_URL can name another one)"
fi

# The system's own certificate authorities, where a site has extra ones; and no downloads of other Pythons.
export UV_SYSTEM_CERTS=true UV_PYTHON_DOWNLOADS=never UV_NO_PROGRESS=true
# A package index that is slow for a minute is not a failure.
export UV_HTTP_TIMEOUT=120 UV_HTTP_RETRIES=8

stamp=.venv/.$lock
if [ -x .venv/bin/python ] && cmp --silent "$lock" "$stamp"; then
    exit 0
fi
echo "bootstrap: installing $lock into .venv"
[ -x .venv/bin/python ] || $uv venv --quiet --python "$python" .venv
VIRTUAL_ENV=.venv $uv pip install --quiet --require-hashes -r "$lock" ||
    fail "the packages of $lock could not be installed: see the lines above, then run this again"
# Ansible starts in half the time from byte code, which many container images forbid Python to keep.
.venv/bin/python -m compileall -q .venv/lib/python3*/site-packages/{ansible,cryptography,jinja2,yaml}
cp "$lock" "$stamp"
