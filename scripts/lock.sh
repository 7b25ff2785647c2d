#!/usr/bin/env bash
# Writes requirements/*.lock anew from pyproject.toml: exact versions with their hashes, for every
# platform and Python, and without the name of any package index (docs/decisions/lock-files.md).
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/find-uv.sh

lock() { # FILE ARGUMENTS...
    local file=requirements/$1
    shift
    "$UV" pip compile --quiet --universal --python-version 3.11 --generate-hashes \
        --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
        --output-file "$file" "$@"
    echo "$file: $(grep -c '==' "$file") packages"
}

lock develop.lock pyproject.toml --group build --group test --group docs --group bench "$@"
lock run.lock pyproject.toml --group build --constraint requirements/develop.lock "$@"
grep '^uv==' requirements/run.lock | sed 's/ .*//' >requirements/.uv.in
lock bootstrap.lock requirements/.uv.in --no-annotate
rm requirements/.uv.in
