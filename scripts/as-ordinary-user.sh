#!/usr/bin/env bash
# As root: runs a command as a throw-away ordinary user, in a copy of this checkout.
#
#     scripts/as-ordinary-user.sh [--develop] COMMAND [ARGUMENT...]
#
# The user is atoll-test; HOME is empty; the environment is clean but for the settings of package
# indexes and certificates; .venv is made by scripts/install.sh from Debian's /usr/bin/python3
# (root's own Python may stand in a folder that nobody else can enter). The copy, its .venv and
# the package cache stay for the next time, which makes that quick.
set -euo pipefail
cd "$(dirname "$0")/.."

[ "$(id -u)" = 0 ] || { echo "Only root can become somebody else." >&2; exit 2; }
kind=run
if [ "${1:-}" = --develop ]; then
    kind=develop
    shift
fi

user=atoll-test
id "$user" >/dev/null 2>&1 || useradd --create-home --shell /bin/bash --comment "Atoll's tests" "$user"
base=$(getent passwd "$user" | cut -d: -f6)
exec 9>"$base/.lock"
flock 9 # two runs would share one copy

copy=$base/checkout
mkdir -p "$copy" "$base/tools"
find "$copy" -mindepth 1 -maxdepth 1 ! -name .venv -exec rm -rf {} +
git -c safe.directory="$PWD" ls-files -z --cached --others --exclude-standard |
    while IFS= read -r -d '' file; do [ -e "$file" ] && printf '%s\0' "$file"; done |
    tar --create --null --files-from=- | tar --extract --no-same-owner --directory "$copy"
[ -x .venv/bin/uv ] && cp .venv/bin/uv "$base/tools/uv" # quicker than bringing one
# The proxy's JavaScript, if it was made here already, is made from the same lock file.
modules=src/atoll/hub/proxy/node_modules
[ -d $modules ] && cp -a $modules "$copy/$modules"
rm -rf "$base/home"
mkdir -p "$base/home" "$base/cache"
chown -R "$user": "$copy" "$base/tools" "$base/home"
chown "$user": "$base/cache"

clean=(HOME="$base/home" USER="$user" LOGNAME="$user" LANG=C.UTF-8 UV_CACHE_DIR="$base/cache"
    PATH="$base/tools:/usr/local/bin:/usr/bin:/bin" PYTHON=/usr/bin/python3)
while IFS= read -r line; do
    case $line in
    PIP_* | UV_INDEX* | UV_DEFAULT_INDEX* | *_proxy=* | *_PROXY=* | SSL_CERT_* | *CA_BUNDLE=* | NODE_EXTRA_CA_CERTS=* | CI=*)
        clean+=("$line") ;;
    esac
done < <(env)

become() {
    (cd "$copy" && setpriv --reuid "$user" --regid "$user" --init-groups --reset-env \
        env -i "${clean[@]}" "$@") 9>&-
}
become scripts/install.sh "$kind" >&2
become "$@"
