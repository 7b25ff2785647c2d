#!/usr/bin/env bash
# Runs the tests. As root, those of boxes, servers and the command line run as an ordinary user as
# well (the long ones of `atoll run` only so: whoever types that is seldom root, and the shorter
# ones of it run as both; R only as root: its packages are laid as others of Debian are), and there
# are two lanes at once, since either leaves processors idle.
#
#     scripts/run-tests.sh [PYTEST-ARGUMENT...]   with arguments: only what they ask for, once
set -euo pipefail
cd "$(dirname "$0")/.."

ordinary=(
    tests/engines tests/cli tests/integration/test_fork_story.py
    --ignore=tests/cli/test_environments.py --ignore=tests/engines/test_r.py
)
beside=(tests/browser tests/integration)
elsewhere=(tests/cli/test_run.py "${beside[@]}")

if [ $# -gt 0 ] || [ "$(id -u)" != 0 ]; then
    exec .venv/bin/python -m pytest "$@"
fi

second_lane() {
    local failed=0
    echo "As an ordinary user:"
    scripts/as-ordinary-user.sh --develop .venv/bin/python -m pytest -p no:cacheprovider "${ordinary[@]}" || failed=$?
    echo "As root, beside the others:"
    .venv/bin/python -m pytest -p no:cacheprovider "${beside[@]}" || failed=$?
    return $failed
}

printed=$(mktemp)
set -m # the lane has a process group of its own, so that it can be ended as a whole
second_lane >"$printed" 2>&1 &
lane=$!
set +m
trap 'kill -- -$lane 2>/dev/null || true; rm -f "$printed"' EXIT

failed=0
.venv/bin/python -m pytest "${elsewhere[@]/#/--ignore=}" || failed=$?
wait $lane || failed=$?
cat "$printed"
exit $failed
