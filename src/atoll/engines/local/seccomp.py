"""The seccomp filter of every box: what code inside may not even ask the kernel for.

A box has no capability and its own namespaces already; this takes away system calls whose bugs
have broken such walls before. It is a list of refusals rather than of permissions, since
notebooks run anything, with two general rules beside it: no new namespaces, and no call newer
than those we know (they answer "no such call", for which programs are prepared).

Numbers: the kernel's tables for x86-64 and for the generic table that arm64 uses. The program's
form is classic BPF, as seccomp(2) describes it.
"""

from __future__ import annotations

import errno
import platform
import struct

ALLOW = 0x7FFF0000
KILL = 0x80000000
LOAD, EQUAL, GREATER, ANY_BIT, RETURN = 0x20, 0x15, 0x25, 0x45, 0x06
NUMBER, ARCH, ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data
NEWEST_KNOWN = 469
NEW_NAMESPACE = 0x7E020000  # all CLONE_NEW* flags of clone(2), but for time namespaces
TIOCSTI, TIOCLINUX = 0x5412, 0x541C  # type into, or control, the terminal that started us
SOCKETS = (1, 2, 10, 16)  # AF_UNIX, AF_INET, AF_INET6, AF_NETLINK (getifaddrs needs it)

# machine: (audit architecture, clone, ioctl, socket)
MACHINES = {"x86_64": (0xC000003E, 56, 16, 41), "aarch64": (0xC00000B7, 220, 29, 198)}
COLUMN = {"x86_64": 0, "aarch64": 1}

# name: (x86-64, arm64); -1 where a machine has no such call
REFUSED = {
    "acct": (163, 89),
    "add_key": (248, 217),
    "adjtimex": (159, 171),
    "bpf": (321, 280),
    "chroot": (161, 51),
    "clock_adjtime": (305, 266),
    "clock_settime": (227, 112),
    "delete_module": (176, 106),
    "fanotify_init": (300, 262),
    "finit_module": (313, 273),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fsopen": (430, 430),
    "fspick": (433, 433),
    "init_module": (175, 105),
    "ioperm": (173, -1),
    "iopl": (172, -1),
    "kexec_file_load": (320, 294),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "lookup_dcookie": (212, 18),
    "migrate_pages": (256, 238),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "move_pages": (279, 239),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "open_tree_attr": (467, 467),
    "perf_event_open": (298, 241),
    "pivot_root": (155, 41),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "reboot": (169, 142),
    "request_key": (249, 218),
    "setdomainname": (171, 162),
    "sethostname": (170, 161),
    "setns": (308, 268),
    "settimeofday": (164, 170),
    "swapoff": (168, 225),
    "swapon": (167, 224),
    "syslog": (103, 116),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
    "vhangup": (153, 58),
}
# Programs fall back to older calls when these seem not to exist; clone3 hides its flags from us.
UNKNOWN = {
    "clone3": (435, 435),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_uring_setup": (425, 425),
}
# What is written into a shared file's attributes would outlive the box and count as nobody's.
UNSUPPORTED = {
    "fsetxattr": (190, 7),
    "lsetxattr": (189, 6),
    "setxattr": (188, 5),
    "setxattrat": (463, 463),
}


def supported(machine: str | None = None) -> bool:
    """Say whether there is a filter for *machine* (this one's processor by default)."""
    return (machine or platform.machine()) in MACHINES


def program(machine: str | None = None) -> bytes:
    """Return the filter as bubblewrap's ``--seccomp`` reads it: an array of ``sock_filter``.

    Raises `KeyError` where `supported` is false.
    """
    name = machine or platform.machine()
    arch, clone, ioctl, socket = MACHINES[name]
    column = COLUMN[name]
    code = [
        _op(LOAD, ARCH),
        *_unless(EQUAL, arch, _return(KILL)),
        _op(LOAD, NUMBER),
        *_when(GREATER, NEWEST_KNOWN, _refuse(errno.ENOSYS)),  # x32's numbers are above it too
    ]
    refusals = ((REFUSED, errno.EPERM), (UNKNOWN, errno.ENOSYS), (UNSUPPORTED, errno.EOPNOTSUPP))
    for numbers, why in refusals:
        for pair in numbers.values():
            if pair[column] >= 0:
                code += _when(EQUAL, pair[column], _refuse(why))
    code += _inspect(clone, 0, _when(ANY_BIT, NEW_NAMESPACE, _refuse(errno.EPERM)))
    terminal = [*_when(EQUAL, TIOCSTI, _refuse(errno.EPERM))]
    terminal += _when(EQUAL, TIOCLINUX, _refuse(errno.EPERM))
    code += _inspect(ioctl, 1, terminal)
    families = [part for family in SOCKETS for part in _when(EQUAL, family, _return(ALLOW))]
    code += _inspect(socket, 0, [*families, _refuse(errno.EAFNOSUPPORT)])
    code.append(_return(ALLOW))
    return b"".join(code)


def _op(code: int, value: int, then: int = 0, otherwise: int = 0) -> bytes:
    return struct.pack("=HBBI", code, then, otherwise, value)


def _return(action: int) -> bytes:
    return _op(RETURN, action)


def _refuse(number: int) -> bytes:
    return _return(0x00050000 | number)


def _when(test: int, value: int, action: bytes) -> list[bytes]:
    return [_op(test, value, 0, 1), action]


def _unless(test: int, value: int, action: bytes) -> list[bytes]:
    return [_op(test, value, 1, 0), action]


def _inspect(number: int, argument: int, tests: list[bytes]) -> list[bytes]:
    """Run *tests* on the low half of an argument of call *number*, and allow it after them."""
    body = [_op(LOAD, ARGUMENT + 8 * argument), *tests, _return(ALLOW)]
    return [_op(EQUAL, number, 0, len(body)), *body]
