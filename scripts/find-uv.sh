# Sets UV to a uv that works: the one on PATH, else one of our own in .tools (to be sourced).
# It takes Python with pip or venv to bring uv; a fresh Debian may have neither.

bring_uv() {
    local python=${PYTHON:-python3} asked=(--quiet --root-user-action=ignore --require-hashes -r requirements/bootstrap.lock)
    command -v "$python" >/dev/null || {
        echo "Atoll needs Python 3.11 or newer, and there is no “$python” on this machine." >&2
        echo "On Debian or Ubuntu: apt-get install python3 python3-venv git make" >&2
        return 1
    }
    echo "Bringing uv, which installs everything else, into .tools/"
    if "$python" -m pip --version >/dev/null 2>&1; then
        "$python" -m pip install "${asked[@]}" --upgrade --target .tools/uv
    elif "$python" -c 'import venv, ensurepip' >/dev/null 2>&1; then
        "$python" -m venv .tools/uv
        .tools/uv/bin/python -m pip install "${asked[@]}"
    elif [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "This Python has neither pip nor venv: installing Debian's python3-venv"
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends python3-venv >/dev/null
        "$python" -m venv .tools/uv
        .tools/uv/bin/python -m pip install "${asked[@]}"
    else
        echo "This Python has neither pip nor venv, so nothing can be installed with it." >&2
        echo "On Debian or Ubuntu: sudo apt-get install python3-venv   (or put uv on PATH)" >&2
        return 1
    fi
}

if UV=$(command -v uv) && "$UV" --version >/dev/null 2>&1; then
    :
else
    UV=$PWD/.tools/uv/bin/uv
    "$UV" --version >/dev/null 2>&1 || bring_uv
fi
