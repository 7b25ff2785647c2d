import struct

import pytest

from atoll.engines.local import seccomp


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_every_jump_lands_inside_the_program_and_every_path_returns(machine):
    code = seccomp.program(machine)
    steps = list(struct.iter_unpack("=HBBI", code))
    assert len(code) % 8 == 0
    assert len(steps) < 4096  # the kernel's limit
    for at, (operation, then, otherwise, _) in enumerate(steps):
        if operation in {seccomp.EQUAL, seccomp.GREATER, seccomp.ANY_BIT}:
            assert at + 1 + max(then, otherwise) < len(steps)
    assert steps[-1] == (seccomp.RETURN, 0, 0, seccomp.ALLOW)


def test_another_processor_has_no_filter_and_says_so():
    assert not seccomp.supported("riscv64")
    with pytest.raises(KeyError):
        seccomp.program("riscv64")
