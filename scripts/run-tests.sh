#!/usr/bin/env bash
# Runs linters, types, contracts and the tests. As root, those of boxes, servers and the command line
# run as an ordinary user as well, but for those to which it makes no difference. There are three
# lanes at once, since two leave a third of two processors idle.
#
#     scripts/run-tests.sh [PYTEST-ARGUMENT...]   with arguments: only what they ask for, once
set -euo pipefail
cd "$(dirname "$0")/.."

only_root=(
    tests/cli/test_{admin,backup,cli_progress,common,environments}.py
    tests/engines/test_builder{,_explanations,_locks,_pythons,_real}.py
    tests/engines/test_{compiled,conda,debian,forked_lab,front,generations,guests,kernel_forks,layers,neighbours,renewal,room_on_disk,saving,warming}.py
    tests/engines/test_{comparing,conda_locks,corrections,python2,r,r_problems,remedies,renew_files,searches,solving,trials}.py
)
only_ordinary=(
    tests/cli/test_check.py tests/cli/test_run.py tests/cli/test_run_pairs.py
    tests/engines/test_conda_real.py tests/engines/test_kernels.py
)
as_another=(tests/engines tests/cli tests/backups tests/integration/test_fork_story.py "${only_root[@]/#/--ignore=}")
elsewhere=(tests/engines tests/hub tests/browser tests/integration tests/test_revival.py "${only_ordinary[@]}")

checks() { make --no-print-directory check; }

if [ "$(id -u)" != 0 ]; then # who may make no accounts of the machine
    checks
    exec .venv/bin/python -m pytest --ignore=tests/hub/test_pam_sign_in.py "$@"
elif [ $# -gt 0 ]; then
    checks
    exec .venv/bin/python -m pytest "$@"
fi

# The longest first, so that the lanes end at about the same time.
jobs=(ordinary browser checks ground engines whole hub)
ordinary() { scripts/as-ordinary-user.sh --develop .venv/bin/python -m pytest -p no:cacheprovider "${as_another[@]}"; }
browser() { as_root tests/browser tests/test_revival.py; }
whole() { as_root tests/integration; }
engines() { as_root tests/engines "${only_ordinary[@]/#/--ignore=}"; }
hub() { as_root tests/hub; }
ground() { as_root "${elsewhere[@]/#/--ignore=}"; }
as_root() { .venv/bin/python -m pytest -p no:cacheprovider "$@"; }

taken=$(mktemp -d)
lane() { # until there is no job that nobody has taken
    local job failed=0
    for job in "${jobs[@]}"; do
        mkdir "$taken/$job" 2>/dev/null || continue
        echo "Tests: $job"
        "$job" || failed=$?
    done
    return $failed
}

lanes=()
for number in 1 2; do # each in a process group of its own, so that it can be ended as a whole
    set -m
    lane >"$taken/$number.txt" 2>&1 &
    lanes+=($!)
    set +m
done
trap 'for one in "${lanes[@]}"; do kill -- -$one 2>/dev/null || true; done; rm -rf "$taken"' EXIT
sleep 1 # they begin with the longest

failed=0
lane || failed=$?
for number in 1 2; do
    wait "${lanes[$number - 1]}" || failed=$?
    cat "$taken/$number.txt"
done
exit $failed
