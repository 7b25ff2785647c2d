"""Archives of hostile making do no harm, and honest ones become what their authors packed."""

from __future__ import annotations

import asyncio
import bz2
import gzip
import io
import lzma
import os
import stat
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from atoll.errors import AtollError, Refused, TooLarge, Unreachable
from atoll.providers.deposits import unpacker, unpacking
from atoll.providers.deposits.room import Room
from atoll.providers.deposits.unpacker import unpack_apart
from atoll.providers.deposits.unpacking import unpack
from support.depositservers import make_tar, make_zip

FILES = {"a.txt": b"1", "b/c d.txt": b"22", "b/é.txt": b"333"}


class Unpacked:
    """Unpacks bytes, each time in a folder of its own; keeps the notes of the last time."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.count, self.notes = folder, 0, []

    @property
    def tree(self) -> Path:
        return self.folder / str(self.count) / "tree"

    def __call__(self, packed: bytes, most: int = 10**9) -> dict[str, bytes | str]:
        self.count += 1
        self.tree.parent.mkdir()
        archive = self.tree.with_name("archive")
        archive.write_bytes(packed)
        room = Room(self.tree.parent, most)
        self.notes = unpack(archive, self.tree, room)
        assert {path.name for path in self.tree.parent.iterdir()} == {"archive", "tree"}
        return contents(self.tree)


@pytest.fixture
def unpacked(tmp_path):
    return Unpacked(tmp_path)


def contents(tree: Path) -> dict[str, bytes | str]:
    found: dict[str, bytes | str] = {}
    for path in tree.rglob("*"):
        name = path.relative_to(tree).as_posix()
        if path.is_symlink():
            found[name] = f"-> {os.readlink(path)}"
        elif path.is_file():
            found[name] = path.read_bytes()
    return found


def tar_of(*members: tarfile.TarInfo | tuple[tarfile.TarInfo, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for one in members:
            info, body = one if isinstance(one, tuple) else (one, b"")
            info.size = len(body)
            archive.addfile(info, io.BytesIO(body))
    return stream.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", mode: int = 0o644):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode, info.mtime = kind, link, mode, 1500000000
    return info


def zip_of(*members: tuple[zipfile.ZipInfo | str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for info, body in members:
            archive.writestr(info, body)
    return stream.getvalue()


def zip_entry(name: str, mode: int = 0o100644, system: int = 3) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, (2018, 1, 2, 3, 4, 6))
    info.create_system, info.external_attr = system, mode << 16
    return info


LINK, HARD, FOLDER = tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE


@pytest.mark.parametrize("kind", ["zip", "", "gz", "bz2", "xz"])
@pytest.mark.parametrize("top", ["", "ada-engine-5f3/"])
def test_every_kind_is_unpacked_and_its_one_folder_taken_off(unpacked, kind: str, top: str):
    packed = make_zip(FILES, top) if kind == "zip" else make_tar(FILES, top, kind)
    assert unpacked(packed) == FILES
    assert unpacked.notes == []


def test_a_lone_binder_folder_is_no_wrapping(unpacked):
    files = {"binder/requirements.txt": b"six\n"}
    assert unpacked(make_zip(files)) == files


def test_two_streams_one_behind_the_other_are_one_archive(unpacked, tmp_path):
    packed = make_tar(FILES, kind="")
    half = len(packed) // 2
    for squeeze in (gzip.compress, bz2.compress, lzma.compress):
        assert unpacked(squeeze(packed[:half]) + squeeze(packed[half:])) == FILES


def test_dates_and_programs_stay_what_they_are_and_nothing_more(unpacked, tmp_path):
    packed = tar_of((member("x/run", mode=0o6777), b"#!"), (member("x/plain", mode=0o600), b""))
    unpacked(packed)
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in unpacked.tree.iterdir()}
    assert modes == {"run": 0o755, "plain": 0o644}
    assert (unpacked.tree / "run").stat().st_mtime == 1500000000


@pytest.mark.parametrize("name", ["../x", "a/../../x", "./../x", "a/..", "/../x"])
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_what_climbs_out_is_refused(unpacked, tmp_path, name: str, kind: str):
    packed = (
        zip_of((zip_entry(name), b"bad"))
        if kind == "zip"
        else tar_of((member("ok"), b"1"), (member(name), b"bad"))
    )
    with pytest.raises(Refused, match="outside of its folder"):
        unpacked(packed)
    assert {path.name for path in unpacked.tree.parent.iterdir()} == {"archive", "tree"}


def test_absolute_names_land_inside(unpacked):
    packed = tar_of((member("/etc/passwd"), b"x"), (member("//srv/y"), b"y"))
    assert unpacked(packed) == {"etc/passwd": b"x", "srv/y": b"y"}


def test_backslashes_of_windows_are_slashes_there_only(unpacked, tmp_path):
    assert unpacked(zip_of((zip_entry("a\\b.txt", 0, 0), b"1"), ("z", b"2"))) == {
        "a/b.txt": b"1",
        "z": b"2",
    }
    assert unpacked(zip_of((zip_entry("a\\b.txt"), b"1"))) == {"a\\b.txt": b"1"}
    with pytest.raises(Refused):
        unpacked(zip_of((zip_entry("..\\x", 0, 0), b"1")))


def test_nothing_is_written_through_a_link(unpacked, tmp_path):
    (tmp_path / "outside").mkdir()
    packed = tar_of(
        member("door", LINK, str(tmp_path / "outside")),
        (member("door/bad"), b"bad"),
        member("side", LINK, "../outside"),
        (member("side/bad"), b"bad"),
        (member("file", LINK, "../outside/bad")),
        (member("file"), b"good"),
    )
    assert unpacked(packed) == {"door/bad": b"bad", "file": b"good"}
    assert list((tmp_path / "outside").iterdir()) == []
    assert any("side" in note and "lead out" in note for note in unpacked.notes)


def test_links_that_lead_out_by_a_detour_are_left_out(unpacked):
    """Read as text, ``a/b/here/../x`` is ``a/b/x``; but ``here`` leads to the top."""
    packed = tar_of(
        member("a/b/here", LINK, "../.."),
        member("a/b/out", LINK, "here/../archive"),
        member("loop", LINK, "loop"),
        member("a/b/good", LINK, "../file"),
        (member("a/file"), b"1"),
        (member("z"), b"2"),
    )
    found = unpacked(packed)
    assert found["a/b/good"] == "-> ../file"
    assert found["a/b/here"] == "-> ../.."
    assert "a/b/out" not in found
    assert "a/b/out was left out" in unpacked.notes[0]


def test_links_are_judged_by_where_they_end_up(unpacked):
    """What is beside the one folder that is taken off is outside afterwards."""
    packed = tar_of((member("top/a"), b"1"), member("top/up", LINK, "../top/a"))
    assert unpacked(packed) == {"a": b"1"}
    assert "up was left out" in unpacked.notes[0]


def test_links_of_a_zip_are_links(unpacked):
    entry = zip_entry("b", stat.S_IFLNK | 0o777)
    bad = zip_entry("c", stat.S_IFLNK | 0o777)
    assert unpacked(zip_of(("a", b"1"), (entry, b"a"), (bad, b"/etc/passwd"))) == {
        "a": b"1",
        "b": "-> a",
    }


def test_hard_links_lead_to_files_of_the_archive_only(unpacked, tmp_path):
    packed = tar_of(
        (member("a"), b"1"),
        member("b", HARD, "a"),
        member("c", HARD, "/etc/hostname"),
        member("d", HARD, "archive"),
        member("e", LINK, "a"),
        member("f", HARD, "e"),
        member("a", HARD, "a"),
    )
    assert unpacked(packed) == {"b": b"1", "e": "-> a"}
    assert sorted(note.partition(" was")[0].partition(" were")[0] for note in unpacked.notes) == [
        "a, c, d and 1 more"
    ]
    with pytest.raises(Refused):
        unpacked(tar_of((member("a"), b"1"), member("b", HARD, "../archive")))


def test_devices_and_sockets_are_left_out(unpacked):
    kinds = [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE]
    devices = [member(f"dev{number}", kind) for number, kind in enumerate(kinds)]
    assert unpacked(tar_of((member("a"), b"1"), *devices)) == {"a": b"1"}
    assert unpacked.notes == [
        "dev0, dev1, dev2 were left out: they are neither files, folders nor links."
    ]


def test_a_socket_in_a_zip_is_left_out(unpacked):
    assert unpacked(zip_of(("a", b"1"), (zip_entry("s", stat.S_IFSOCK | 0o777), b""))) == {
        "a": b"1"
    }


def test_of_several_of_one_name_the_last_counts(unpacked):
    assert unpacked(tar_of((member("a"), b"old"), (member("a"), b"new"))) == {"a": b"new"}


def test_names_that_differ_by_case_are_two(unpacked):
    files = {"Data.csv": b"1", "data.csv": b"2", "DATA/x": b"3"}
    assert unpacked(make_zip(files)) == files


@pytest.mark.parametrize(
    "members",
    [
        [(member("a"), b"1"), (member("a/b"), b"2")],
        [(member("a/b"), b"2"), (member("a"), b"1")],
        [member("a", FOLDER), (member("a"), b"1")],
    ],
)
def test_what_contradicts_itself_is_left_out(unpacked, members):
    unpacked(tar_of((member("z"), b"0"), *members))
    assert "contradicts itself" in unpacked.notes[0]


@pytest.mark.parametrize(
    "name", ["x" * 256, "é" * 200, "a/" * 600 + "b", "a\nb", "a\x1b[31m", "\x7f"]
)
def test_names_that_cannot_be_are_left_out(unpacked, name: str):
    assert unpacked(tar_of((member("a"), b"1"), (member(name), b"2"))) == {"a": b"1"}
    assert "their names cannot be used here" in unpacked.notes[0]
    assert "\x1b" not in unpacked.notes[0]


def test_names_of_any_encoding_are_written(unpacked):
    raw = tar_of((member("caf\udce9.txt"), b"1"), (member("z"), b"2"))
    unpacked(raw)
    assert os.listdir(os.fsencode(unpacked.tree)).count(b"caf\xe9.txt") == 1


def test_names_in_utf_8_that_do_not_say_so_are_read_as_they_are(unpacked):
    packed = make_zip({"cafe.txt": b"1", "z": b"2"}).replace(b"cafe.txt", "ä.txt".encode() + b"xx")
    assert "ä.txtxx" in unpacked(packed)


def test_what_a_mac_adds_is_left_out_silently(unpacked):
    files = {"top/a": b"1", "__MACOSX/top/._a": b"2"}
    assert unpacked(make_zip(files)) == {"a": b"1"}
    assert unpacked.notes == []


@pytest.mark.parametrize("kind", ["zip", "gz", "bz2", "xz"])
def test_a_bomb_is_given_up_at_its_limit(unpacked, tmp_path, kind: str):
    files = {"zeros": bytes(40 * 1024**2)}
    packed = make_zip(files) if kind == "zip" else make_tar(files, kind=kind)
    assert len(packed) < 300_000
    with pytest.raises(TooLarge, match="larger than 20 MB"):
        unpacked(packed, 20 * 1024**2)
    size = sum(path.stat().st_size for path in unpacked.tree.rglob("*"))
    assert size <= 21 * 1024**2


def test_a_bomb_is_known_by_its_ratio(unpacked, monkeypatch):
    monkeypatch.setattr(unpacking, "FREE", 5 * 1024**2)
    with pytest.raises(TooLarge, match="300 times its own size"):
        unpacked(make_zip({"zeros": bytes(40 * 1024**2)}))


def test_many_small_files_are_limited_too(unpacked, monkeypatch, tmp_path):
    monkeypatch.setattr(unpacking, "MOST_MEMBERS", 50)
    with pytest.raises(TooLarge, match="more than 50 files"):
        unpacked(make_tar({f"{n}": b"" for n in range(60)}))
    monkeypatch.setattr(unpacking, "LARGEST_INDEX", 1000)
    with pytest.raises(TooLarge, match="more files than are unpacked"):
        unpacked(make_zip({f"{n}": b"" for n in range(60)}))
    with pytest.raises(TooLarge):  # each takes a block of the disk
        unpacked(make_tar({f"{n}": b"" for n in range(40)}), 20 * 4096)


def test_a_header_that_wants_all_memory_is_refused(unpacked):
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 3 * 1024**3
    for kind in (tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.XGLTYPE):
        info.type = kind
        head = info.tobuf(tarfile.GNU_FORMAT)
        with pytest.raises(Refused, match="header that is too large"):
            unpacked(head + bytes(10240))


def test_xz_that_wants_all_memory_is_refused(unpacked):
    packed = bytearray(lzma.compress(make_tar(FILES, kind="")))
    at = packed.index(b"\x21\x01")  # the id of LZMA2, and the length of its property
    packed[at + 2] = 38  # which asks for a dictionary of 3 GB
    end = 12 + (packed[12] + 1) * 4  # of the block's header, which ends in its checksum
    packed[end - 4 : end] = struct.pack("<I", zlib.crc32(bytes(packed[12 : end - 4])))
    with pytest.raises(Unreachable, match=r"broken.*[Mm]emory"):
        unpacked(bytes(packed))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_ways_of_packing_that_have_no_limit_are_refused(unpacked, method: int):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        archive.writestr("a", b"1")
    with pytest.raises(Unreachable, match="unusual for a zip"):
        unpacked(stream.getvalue())


def test_a_locked_zip_is_refused(unpacked):
    packed = bytearray(make_zip({"a": b"secret"}))
    packed[6] |= 1
    packed[packed.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(Refused, match="password"):
        unpacked(bytes(packed))


@pytest.mark.parametrize("kind", ["zip", "", "gz", "bz2", "xz"])
def test_half_an_archive_is_said_to_be_broken(unpacked, kind: str):
    files = {f"{n}.bin": os.urandom(5000) for n in range(9)}
    packed = make_zip(files) if kind == "zip" else make_tar(files, kind=kind)
    with pytest.raises(Unreachable):
        unpacked(packed[: len(packed) // 2])


@pytest.mark.parametrize("text", [b"", b"<html>sign in</html>", b"PK", b"Rar!\x1a\x07\x00"])
def test_what_is_no_archive_is_said(unpacked, text: bytes):
    with pytest.raises(Unreachable, match="not an archive"):
        unpacked(text)


async def test_it_is_done_in_a_process_that_says_what_it_found(tmp_path):
    archive, tree = tmp_path / "archive", tmp_path / "tree"
    archive.write_bytes(tar_of((member("a"), b"1"), member("b", LINK, "/etc/passwd")))
    notes = await unpack_apart(archive, tree, 10**9)
    assert contents(tree) == {"a": b"1"}
    assert notes == ["b was left out: they are links that lead out of the archive."]
    archive.write_bytes(zip_of((zip_entry("../x"), b"bad")))
    with pytest.raises(Refused, match="outside of its folder"):
        await unpack_apart(archive, tmp_path / "other", 10**9)
    archive.write_bytes(make_zip({"zeros": bytes(9 * 1024**2)}))
    with pytest.raises(TooLarge, match="8 MB") as caught:
        await unpack_apart(archive, tmp_path / "third", 8 * 1024**2)
    assert "max_size" in caught.value.hint


async def test_a_process_that_takes_too_much_memory_is_too_much(tmp_path, monkeypatch):
    monkeypatch.setattr(unpacker, "MEMORY", 4 * 1024**2)
    (tmp_path / "archive").write_bytes(make_zip(FILES))
    with pytest.raises(TooLarge, match="too much for this machine"):
        await unpack_apart(tmp_path / "archive", tmp_path / "tree", 10**9)


async def test_it_is_ended_when_nobody_waits(tmp_path):
    packed = make_tar({f"{n}/{m}": b"x" for n in range(300) for m in range(100)}, kind="")
    (tmp_path / "archive").write_bytes(packed)
    task = asyncio.ensure_future(unpack_apart(tmp_path / "archive", tmp_path / "tree", 10**12))
    while not (tmp_path / "tree/9").exists():
        await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
    count = len(os.listdir(tmp_path / "tree"))
    await asyncio.sleep(0.2)
    assert len(os.listdir(tmp_path / "tree")) == count < 300


names = st.text(st.sampled_from("ab/.\\é\n\0~ "), min_size=1, max_size=12)
links = st.one_of(st.none(), names)
tars = st.lists(
    st.tuples(names, st.sampled_from([tarfile.REGTYPE, LINK, HARD, FOLDER]), names), max_size=12
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(tars, st.booleans())
def test_whatever_a_tar_says_nothing_lands_or_leads_outside(tmp_path_factory, members, top):
    folder = tmp_path_factory.mktemp("any")
    (folder / "bystander").write_bytes(b"untouched")
    infos = [
        member(("t/" if top else "") + name.replace("\0", ""), kind, link.replace("\0", ""))
        for name, kind, link in members
    ]
    (folder / "archive").write_bytes(
        tar_of(*[(i, b"x") if i.type == tarfile.REGTYPE else i for i in infos])
    )
    try:
        unpack(folder / "archive", folder / "tree", Room(folder, 10**9))
    except AtollError:
        pass
    else:
        root = os.path.realpath(folder / "tree")
        for path in (folder / "tree").rglob("*"):
            assert os.path.realpath(path).startswith(root)
    assert (folder / "bystander").read_bytes() == b"untouched"
    assert {path.name for path in folder.iterdir()} <= {"archive", "bystander", "tree"}


@settings(max_examples=150, deadline=None)
@given(
    st.binary(max_size=600),
    st.sampled_from([b"PK\x03\x04", b"\x1f\x8b\x08", b"BZh9", b"\xfd7zXZ\x00"]),
)
def test_any_bytes_are_an_archive_or_refused_politely(tmp_path_factory, body: bytes, mark: bytes):
    folder = tmp_path_factory.mktemp("bytes")
    (folder / "archive").write_bytes(mark + body)
    with pytest.raises(AtollError):
        unpack(folder / "archive", folder / "tree", Room(folder, 10**9))


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 255), st.sampled_from(["zip", "", "gz", "bz2", "xz"]))
def test_an_archive_with_one_wrong_byte_ends_in_files_or_in_our_words(
    tmp_path_factory, at: int, byte: int, kind: str
):
    folder = tmp_path_factory.mktemp("flipped")
    packed = bytearray(make_zip(FILES) if kind == "zip" else make_tar(FILES, kind=kind))
    packed[at % len(packed)] = byte
    (folder / "archive").write_bytes(packed)
    try:
        unpack(folder / "archive", folder / "tree", Room(folder, 10**9))
    except AtollError as error:
        said = str(error)
    else:
        said = "."
    assert said.endswith(".")
