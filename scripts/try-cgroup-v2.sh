#!/usr/bin/env bash
# As root on Debian: tries limits where control groups are version 2, in a virtual machine with
# Debian's own kernel and systemd: `atoll doctor` and the tests of limits, as root and as an ordinary user.
#
#     scripts/try-cgroup-v2.sh [COMMAND]
#
# With a COMMAND, runs that in place of the tests. Needs qemu-system-x86, mmdebstrap,
# openssh-client and e2fsprogs, and 4 GB in FOLDER. The machine's disk stays there; what is made
# anew is the checkout on it. It reaches no network. ACCEL=kvm is ten times as quick where it works.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=${FOLDER:-/var/tmp/atoll-machine} accel=${ACCEL:-tcg} port=${PORT:-10022}
[ "$(id -u)" = 0 ] || { echo "Only root can make a file system." >&2; exit 2; }
for program in qemu-system-x86_64 mmdebstrap ssh-keygen mke2fs; do
    command -v $program >/dev/null || {
        echo "Missing: $program. apt-get install qemu-system-x86 mmdebstrap openssh-client e2fsprogs" >&2
        exit 2
    }
done

debian() { # The file system, from the packages that this machine's apt is set up for
    local sources=/etc/apt/sources.list.d/debian.sources packages=(linux-image-cloud-amd64
        initramfs-tools systemd-sysv udev dbus-user-session libpam-systemd openssh-server
        python3 git procps iproute2 slirp4netns ca-certificates)
    [ -e $sources ] || sources=/etc/apt/sources.list
    rm -rf "$1"
    mmdebstrap --quiet --variant=minbase --include="$(IFS=,; echo "${packages[*]}")" \
        "$(. /etc/os-release && echo "$VERSION_CODENAME")" "$1" $sources
    chroot "$1" useradd --create-home --shell /bin/bash ann
    for home in root home/ann; do
        install -d -m 700 "$1/$home/.ssh"
        cp "$folder/key.pub" "$1/$home/.ssh/authorized_keys"
    done
    chroot "$1" chown -R ann: /home/ann
    chroot "$1" systemctl --quiet enable systemd-networkd
    printf '[Match]\nName=en* eth*\n[Network]\nDHCP=yes\n' >"$1/etc/systemd/network/all.network"
    echo "/dev/vda / ext4 defaults 0 1" >"$1/etc/fstab"
    echo machine >"$1/etc/hostname"
}

checkout() { # What git knows of, as it is now, and the proxy's JavaScript if it was made
    { git ls-files -z --cached --others --exclude-standard
        find src/atoll/hub/proxy/node_modules -type f -print0 2>/dev/null || true
    } | while IFS= read -r -d '' file; do [ -e "$file" ] && printf '%s\0' "$file"; done |
        tar --create --null --files-from=-
}

disk() { # Debian with Atoll in /opt/atoll
    rm -f "$folder/key" "$folder/key.pub"
    ssh-keygen -q -t ed25519 -N '' -f "$folder/key"
    local root=$folder/root
    debian "$root"
    mkdir "$root/opt/atoll"
    checkout | tar --extract --no-same-owner --directory "$root/opt/atoll"
    source scripts/find-uv.sh
    (
        cd "$root/opt/atoll"
        "$UV" venv --quiet --relocatable --no-project --python /usr/bin/python3 .venv
        install=("$UV" pip install --quiet --link-mode copy --python .venv/bin/python)
        "${install[@]}" --require-hashes --requirements requirements/develop.lock
        "${install[@]}" --no-deps --no-build-isolation --editable .
        sed -i "s#$root/#/#" .venv/lib/python*/site-packages/*atoll*.pth
    )
    cp "$root"/boot/vmlinuz-* "$folder/kernel"
    cp "$root"/boot/initrd.img-* "$folder/initrd"
    truncate --size 6G "$folder/disk.new"
    mke2fs -q -t ext4 -d "$root" "$folder/disk.new"
    rm -rf "$root"
    mv "$folder/disk.new" "$folder/disk"
    echo "$made_from" >"$folder/made-from"
}

on() { # USER COMMAND: logs in, so that there is a systemd session
    ssh -q -i "$folder/key" -p "$port" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
        -o ConnectTimeout=20 "$1@127.0.0.1" "$2"
}

mkdir -p "$folder"
made_from=$(cat requirements/develop.lock pyproject.toml "$0" | sha256sum)
[ "$(cat "$folder/made-from" 2>/dev/null)" = "$made_from" ] || disk

qemu-system-x86_64 -M "q35,accel=$accel" -cpu max -smp 1 -m 4096 -nographic -no-reboot \
    -kernel "$folder/kernel" -initrd "$folder/initrd" -append "root=/dev/vda rw console=ttyS0" \
    -drive "file=$folder/disk,format=raw,if=virtio" -device virtio-rng-pci \
    -netdev "user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:$port-:22" -device virtio-net-pci,netdev=net \
    </dev/null >"$folder/console.log" 2>&1 &
machine=$!
trap 'on root "sync; systemctl poweroff" || kill $machine; wait $machine || true' EXIT
until on root true; do
    kill -0 $machine 2>/dev/null || { cat "$folder/console.log" >&2; exit 1; }
    sleep 2
done
checkout | on root 'tar --extract --no-same-owner --directory /opt/atoll; loginctl enable-linger ann; modprobe tun'

tests="cat /proc/self/cgroup; .venv/bin/atoll doctor;
    .venv/bin/python -m pytest -p no:cacheprovider tests/engines/test_cgroups.py tests/engines/test_sandbox.py \
        -k 'not forked'" # emulated, the fork server takes minutes to be ready
status=0
for user in root ann; do
    echo "== As $user"
    on $user "cd /opt/atoll && ${*:-$tests}" || status=$?
done
exit $status
