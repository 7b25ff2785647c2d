#!/usr/bin/env bash
# Brings what the tests need beyond Python packages: real browsers, databases and network helpers.
# Installs by apt when it may (root, or sudo without a password), else says what to install.
set -euo pipefail
cd "$(dirname "$0")/.."

as_root=()
may_install=yes
if [ "$(id -u)" != 0 ]; then
    if sudo -n true 2>/dev/null; then as_root=(sudo -n); else may_install=no; fi
fi

missing=()
need() { # PACKAGE WHY TEST...: notes the package when the test fails
    local package=$1 why=$2
    shift 2
    "$@" >/dev/null 2>&1 && return
    echo "Missing: $package ($why)"
    missing+=("$package")
}
has() { command -v "$1" || [ -x "/usr/sbin/$1" ]; }
has_postgres() { compgen -G "/usr/lib/postgresql/*/bin/initdb" || command -v initdb; }

need git "repositories are fetched with it" has git
need git-lfs "large files in repositories" has git-lfs
need chromium-headless-shell "the pages are tested in a real browser; this one has no windows" has chromium-headless-shell
need postgresql "the store is tested on a real PostgreSQL" has_postgres
need slirp4netns "gives boxes a network of their own" has slirp4netns
need python3 "the ordinary user's Python; root's own may be in a folder that others cannot enter" \
    test -x /usr/bin/python3
need util-linux "setpriv, to run a part of the tests as an ordinary user" has setpriv
need passwd "useradd, to make that user" has useradd
need procps "ps and sysctl" has ps
need iproute2 "ip, to look at the networks of boxes" has ip
need curl "a second opinion on what our HTTP servers say" has curl
need openssh-client "repositories are fetched over ssh with it" has ssh
need openssh-server "repositories are served over ssh with it, in tests, on loopback" has sshd
need slapd "people sign in by it, in tests, on loopback" has slapd
need nginx "the example in deploy/ is tried with it" has nginx
need caddy "the example in deploy/ is tried with it" has caddy
need openssl "makes their certificate" has openssl
need systemd "systemd-analyze says whether the units in deploy/ are right" has systemd-analyze

if [ ${#missing[@]} -gt 0 ]; then
    if [ $may_install = no ] || ! command -v apt-get >/dev/null; then
        echo "Install them and try again, on Debian or Ubuntu: sudo apt-get install ${missing[*]}" >&2
        exit 1
    fi
    echo "Installing: ${missing[*]}"
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null
    for unit in openssh-server:ssh.service openssh-server:ssh.socket nginx:nginx caddy:caddy slapd:slapd.service; do
        case " ${missing[*]} " in
        *" ${unit%:*} "*) # Debian starts it, for all the world; the tests start their own
            "${as_root[@]}" systemctl disable --quiet --now "${unit#*:}" 2>/dev/null || true
            ;;
        esac
    done
fi

# slirp4netns and pasta, run by an ordinary user, open /dev/net/tun inside the user's own network
# namespace; they can make nothing of the host's network with it. Most systems let everybody.
if [ ! -w /dev/net/tun ] || [ "$(stat -c %a /dev/net/tun 2>/dev/null)" != 666 ]; then
    if [ $may_install = yes ]; then
        echo "Letting ordinary users open /dev/net/tun: the network of boxes needs it"
        "${as_root[@]}" mkdir -p /dev/net
        [ -e /dev/net/tun ] || "${as_root[@]}" mknod /dev/net/tun c 10 200
        "${as_root[@]}" chmod 0666 /dev/net/tun
    elif [ ! -w /dev/net/tun ]; then
        echo "/dev/net/tun cannot be opened by you; as root: chmod 0666 /dev/net/tun" >&2
        exit 1
    fi
fi
