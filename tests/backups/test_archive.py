"""An archive that is not whole is recognised, wherever it was cut off or changed."""

import gzip
import os
import random
import tarfile

import pytest

from atoll.backups.archive import LAST, check_name, reading, writing
from atoll.errors import BadRequest, NotFound, Refused


def make(file, contents=(b"first", b"x" * 5000, b"")):
    with writing(file, {"atoll": "1.2.3"}, file.name) as writer:
        for number, content in enumerate(contents):
            info = tarfile.TarInfo(f"data/{number}")
            info.size = len(content)
            writer.add(info, [content])
    return file


def read(file):
    with reading(file) as reader:
        return [(info.name, b"".join(content)) for info, _, content in reader.members()]


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz", "a.tgz"])
def test_what_was_written_is_read(tmp_path, name):
    file = make(tmp_path / name)
    assert read(file) == [("data/0", b"first"), ("data/1", b"x" * 5000), ("data/2", b"")]
    packed = file.read_bytes()[:2] == b"\x1f\x8b"
    assert packed == (name != "a.tar")


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz"])
def test_wherever_it_is_cut_off_it_is_refused(tmp_path, name):
    whole = make(tmp_path / name, [os.urandom(2000), b"x" * 3000]).read_bytes()
    end = whole.rindex(b"}") + 1 if name == "a.tar" else len(whole)  # zeros come after it
    for length in [*range(0, end, 97), end - 1]:
        (tmp_path / name).write_bytes(whole[:length])
        with pytest.raises(Refused):
            read(tmp_path / name)


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz"])
def test_whatever_is_changed_in_it_is_noticed(tmp_path, name):
    whole = make(tmp_path / name, [b"a" * 600]).read_bytes()
    some = random.Random(1)
    seen = set()
    for _ in range(300):
        at = some.randrange(len(whole))
        changed = bytearray(whole)
        changed[at] ^= 1 << some.randrange(8)
        (tmp_path / name).write_bytes(changed)
        try:
            seen.add(read(tmp_path / name) == [("data/0", b"a" * 600)])
        except Refused:
            seen.add("refused")
    assert seen <= {True, "refused"}  # what means nothing (padding, gzip's date) may change
    assert "refused" in seen


def test_members_that_somebody_took_out_are_missed(tmp_path):
    file = make(tmp_path / "a.tar")
    with tarfile.open(file) as tar, tarfile.open(tmp_path / "b.tar", "w") as other:
        for info in tar:
            if info.name != "data/1":
                other.addfile(info, tar.extractfile(info))
    with pytest.raises(Refused, match="cut off or damaged"):
        read(tmp_path / "b.tar")


@pytest.mark.parametrize(
    "content", [b"", b"hello", gzip.compress(b"hello"), b"\0" * 10240, b"\x1f\x8b" + b"x" * 100]
)
def test_what_is_no_backup_is_told_so(tmp_path, content):
    (tmp_path / "a.tar.gz").write_bytes(content)
    with pytest.raises(Refused, match="is not a backup of Atoll's"):
        read(tmp_path / "a.tar.gz")


def test_another_tar_archive_is_no_backup(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        tar.add(__file__, "atoll-backup.json")
    with pytest.raises(Refused, match="is not a backup of Atoll's"):
        read(tmp_path / "a.tar")


def test_one_of_a_newer_atoll_says_of_which(tmp_path):
    with writing(tmp_path / "a.tar", {"atoll": "9.9", "format": 99}, "a.tar"):
        pass
    with pytest.raises(Refused, match=r"newer Atoll, 9\.9"):
        read(tmp_path / "a.tar")


def test_a_file_that_is_not_there_is_not_found(tmp_path):
    with pytest.raises(NotFound):
        read(tmp_path / "none.tar")
    with pytest.raises(NotFound):
        read(tmp_path)


@pytest.mark.parametrize("name", ["backup", "backup.zip", "backup.tar.xz", LAST])
def test_a_name_that_says_nothing_is_refused(tmp_path, name):
    with pytest.raises(BadRequest, match="does not say what kind"):
        check_name(tmp_path / name)
