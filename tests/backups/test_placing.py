"""Whatever an archive says, nothing is written outside the folder that it is restored to."""

import io
import tarfile

import pytest

from atoll.backups.placing import Placer
from atoll.errors import Refused


def member(name, kind=tarfile.REGTYPE, link="", size=0):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, size
    return info


@pytest.fixture
def place(tmp_path):
    (tmp_path / "data").mkdir()
    with Placer(tmp_path / "data", owners=False) as placer:
        yield lambda info, text=b"": placer.place(info, [(0, info.size)], [text] if text else [])


@pytest.mark.parametrize(
    "name", ["../out", "/out", "a/../../out", "a//out", "./out", "", "a/.", "nul\0l", ".."]
)
def test_names_that_lead_elsewhere_are_refused(place, tmp_path, name):
    for kind in (tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.FIFOTYPE):
        with pytest.raises(Refused, match="cannot be put into the data folder"):
            place(member(name, kind, "x"))
    assert [one.name for one in tmp_path.iterdir()] == ["data"]


@pytest.mark.parametrize("target", ["..", "/tmp", "../data", "."])
def test_no_member_is_made_through_a_link(place, tmp_path, target):
    place(member("link", tarfile.SYMTYPE, target))
    for kind in (tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.FIFOTYPE):
        with pytest.raises(Refused):
            place(member("link/planted", kind, "x"))
    with pytest.raises(Refused):
        place(member("link", tarfile.DIRTYPE))  # nor is the link's target given permissions
    assert not (tmp_path / "planted").exists()


def test_no_file_is_written_over_nor_through_a_link(place, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    place(member("link", tarfile.SYMTYPE, "../mine.txt"))
    with pytest.raises(Refused):
        place(member("link", size=4), b"evil")
    place(member("twice", size=3), b"one")
    with pytest.raises(Refused):
        place(member("twice", size=3), b"two")
    assert (tmp_path / "mine.txt").read_text() == "mine"
    assert (tmp_path / "data" / "twice").read_text() == "one"


@pytest.mark.parametrize("target", ["../mine.txt", "/etc/passwd", "link/mine.txt", "nothing"])
def test_no_second_name_is_given_to_a_file_outside(place, tmp_path, target):
    (tmp_path / "mine.txt").write_text("mine")
    place(member("link", tarfile.SYMTYPE, ".."))
    with pytest.raises(Refused):
        place(member("hard", tarfile.LNKTYPE, target))
    assert (tmp_path / "mine.txt").stat().st_nlink == 1


def test_devices_are_refused(place, tmp_path):
    with pytest.raises(Refused):
        place(member("disk", tarfile.BLKTYPE))
    with pytest.raises(Refused):
        place(member("memory", tarfile.CHRTYPE))
    assert list((tmp_path / "data").iterdir()) == []


def test_a_name_that_orders_a_terminal_about_is_shown_harmless(place):
    with pytest.raises(Refused) as refused:
        place(member("../\x1b[2Jgone"))
    assert "\x1b" not in str(refused.value)
    assert io.StringIO(str(refused.value)).read().isprintable()
