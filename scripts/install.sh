#!/usr/bin/env bash
# Makes .venv: Atoll (editable) with exactly the packages that requirements/*.lock name.
# With the word "develop" also what tests and docs need. Does nothing when nothing has changed.
set -euo pipefail
cd "$(dirname "$0")/.."

lock=requirements/run.lock
[ "${1:-}" = develop ] && lock=requirements/develop.lock
stamp=.venv/.made-from-$(basename "$lock" .lock)
made_from=$(cat pyproject.toml hatch_build.py src/atoll/hub/proxy/package*.json "$lock" "$0" | sha256sum)

works() { .venv/bin/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

if [ -x .venv/bin/atoll ] && [ "$(cat "$stamp" 2>/dev/null)" = "$made_from $PWD" ] && works; then
    exit 0
fi

source scripts/find-uv.sh
export UV_PYTHON_DOWNLOADS=${UV_PYTHON_DOWNLOADS:-never} # whoever wants another Python says so
if ! works; then
    "$UV" venv --quiet --clear --no-project --python "${PYTHON:-python3}" .venv
    works || {
        echo "Atoll needs Python 3.11 or newer; ${PYTHON:-python3} is $(.venv/bin/python -V)." >&2
        echo "Name another one: make PYTHON=python3.12 install" >&2
        rm -rf .venv
        exit 1
    }
fi
echo "Installing $(grep -c '==' "$lock") packages into .venv, as $lock says"
# Compiled now: who runs it may have no right to write here, or PYTHONDONTWRITEBYTECODE set, and each
# start of a command would take three times as long.
"$UV" pip install --quiet --python .venv/bin/python --require-hashes --compile-bytecode --requirements "$lock"
# --no-deps and no build isolation: nothing comes from the index but what the lock names.
"$UV" pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation \
    --reinstall-package atoll --editable .
.venv/bin/python -m compileall -q src
.venv/bin/atoll --version
echo "$made_from $PWD" >"$stamp"
