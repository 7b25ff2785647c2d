#!/usr/bin/env bash
# Runs the tests. As root, those of boxes, servers and the command line run as an ordinary user as
# well, at the same time: either run leaves half of the processors idle.
#
#     scripts/run-tests.sh [PYTEST-ARGUMENT...]   with arguments: only what they ask for, once
set -euo pipefail
cd "$(dirname "$0")/.."

if [ $# -gt 0 ] || [ "$(id -u)" != 0 ]; then
    exec .venv/bin/python -m pytest "$@"
fi

printed=$(mktemp)
setsid scripts/as-ordinary-user.sh --develop .venv/bin/python -m pytest -p no:cacheprovider \
    tests/engines tests/cli tests/integration/test_fork_story.py --ignore=tests/cli/test_environments.py >"$printed" 2>&1 &
ordinary=$!
trap 'kill -- -$ordinary 2>/dev/null || true; rm -f "$printed"' EXIT

failed=0
.venv/bin/python -m pytest || failed=$?
echo "As an ordinary user:"
wait $ordinary || failed=$?
cat "$printed"
exit $failed
