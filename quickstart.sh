#!/bin/sh
# Makes .venv from the lock file and plays the demo. No root, no service; a second run is quick.
set -eu
cd "$(dirname "$0")"

python=${PYTHON:-python3}
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    echo "metrosoc needs Python 3.11 or newer; $python is not. Try: PYTHON=/path/to/python3.11 sh quickstart.sh" >&2
    exit 3
fi
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    echo "This Python cannot make an environment. Try: apt-get install -y python3-venv" >&2
    exit 3
fi

stamp=.venv/.metrosoc-run-$(cat requirements.lock pyproject.toml | cksum | cut -d' ' -f1)
if [ ! -e "$stamp" ]; then
    [ -x .venv/bin/python ] || "$python" -m venv .venv
    echo "Installing what metrosoc needs into .venv ..." >&2
    .venv/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
    .venv/bin/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
    rm -f .venv/.metrosoc-run-*
    : > "$stamp"
fi

exec .venv/bin/soc demo "$@"
