#!/usr/bin/env bash
# Runs the tests. As root, those of boxes, servers and the command line run as an ordinary user as
# well, but for long ones to which it makes no difference that others do not try as both. There are
# three lanes at once, since two leave a third of two processors idle.
#
#     scripts/run-tests.sh [PYTEST-ARGUMENT...]   with arguments: only what they ask for, once
set -euo pipefail
cd "$(dirname "$0")/.."

only_root=(
    tests/cli/test_backup.py tests/cli/test_environments.py tests/engines/test_conda_locks.py tests/engines/test_python2.py
    tests/engines/test_r.py tests/engines/test_trials.py
)
only_ordinary=(
    tests/cli/test_check.py tests/cli/test_run.py tests/cli/test_run_pairs.py
    tests/engines/test_conda_real.py tests/engines/test_kernels.py
)
ordinary=(tests/engines tests/cli tests/backups tests/integration/test_fork_story.py "${only_root[@]/#/--ignore=}")
beside=(tests/browser tests/integration tests/test_revival.py)
engines=(tests/engines "${only_ordinary[@]/#/--ignore=}")
elsewhere=(tests/engines "${only_ordinary[@]}" "${beside[@]}")

if [ "$(id -u)" != 0 ]; then # who may make no accounts of the machine
    exec .venv/bin/python -m pytest --ignore=tests/hub/test_pam_sign_in.py "$@"
elif [ $# -gt 0 ]; then
    exec .venv/bin/python -m pytest "$@"
fi

as_ordinary_user() {
    echo "As an ordinary user:"
    scripts/as-ordinary-user.sh --develop .venv/bin/python -m pytest -p no:cacheprovider "${ordinary[@]}"
}

as_root() {
    echo "As root, $1:"
    .venv/bin/python -m pytest -p no:cacheprovider "${@:2}"
}

second_lane() {
    local failed=0
    as_ordinary_user || failed=$?
    as_root "boxes and servers" "${engines[@]}" || failed=$?
    return $failed
}

lanes=() printed=()
begin() { # COMMAND...: in a process group of its own, so that it can be ended as a whole
    printed+=("$(mktemp)")
    set -m
    "$@" >"${printed[-1]}" 2>&1 &
    lanes+=($!)
    set +m
}
trap 'for lane in "${lanes[@]}"; do kill -- -$lane 2>/dev/null || true; done; rm -f "${printed[@]}"' EXIT

failed=0
begin second_lane
begin as_root "in a browser, and whole" "${beside[@]}"
.venv/bin/python -m pytest "${elsewhere[@]/#/--ignore=}" || failed=$?
for number in "${!lanes[@]}"; do
    wait "${lanes[$number]}" || failed=$?
    cat "${printed[$number]}"
done
exit $failed
