"""What people do with volumes, and what they are refused."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from atoll.access import HUB, Deed, Kind, Party, Share
from atoll.errors import BadRequest, Busy, NotFound, Refused, TooLarge
from atoll.people import Person
from atoll.testing.engines import FakeFiles
from atoll.testing.stores import MemoryVolumes
from atoll.volumes import Mount, Volume, Wish
from atoll.volumes.keeper import Keeper, Rules

ADA, GRACE, MALLORY = Person("ada"), Person("grace"), Person("mallory")
MATE, OTHER = (Person(name, frozenset({"maths"})) for name in ("emmy", "sofia"))
ROOT = Person("root", admin=True)
LONG_AGO = datetime.now(UTC) - timedelta(days=8)


@pytest.fixture
def keeper():
    since = datetime(2020, 1, 1, tzinfo=UTC)
    public = Volume("hub:sky", HUB, "sky", since, shares=(Share(HUB),))
    private = Volume("hub:lab", HUB, "lab", since, shares=(Share(Party(Kind.GROUP, "maths")),))
    folders = {"sky": public, "lab": private}
    files = FakeFiles(kept=["hub:sky", "hub:lab"])
    return Keeper(MemoryVolumes(), files, Rules(quota=1000, each=3, folders=folders))


async def names(keeper, person, **more):
    return [str(one) for one in await keeper.seen_by(person, **more)]


async def test_a_volume_is_seen_by_its_owner_whom_it_is_shared_with_and_the_operator(keeper):
    await keeper.make(ADA, "thesis", description=" My \n thesis ")
    await keeper.make(MATE, "@maths/proofs")
    assert await names(keeper, ADA) == ["ada/thesis", "@/sky"]
    assert await names(keeper, GRACE) == ["@/sky"]
    assert await names(keeper, OTHER) == ["@maths/proofs", "@/sky", "@/lab"]
    await keeper.share(ADA, "thesis", "grace")
    await keeper.share(ADA, "thesis", "@maths", writable=True)
    assert await names(keeper, GRACE) == ["ada/thesis", "@/sky"]
    assert "ada/thesis" in await names(keeper, OTHER)
    assert "ada/thesis" not in await names(keeper, ROOT)
    assert {"ada/thesis", "@maths/proofs"} <= set(await names(keeper, ROOT, everybodys=True))
    assert await names(keeper, MALLORY, everybodys=True) == ["@/sky"]
    assert (await keeper.find(ADA, "thesis")).description == "My thesis"


@pytest.mark.parametrize("text", ["ada/thesis", "ada/nothing", "thesis", "@/lab", "@maths/proofs"])
async def test_whether_somebody_elses_volume_is_there_cannot_be_told_by_guessing(keeper, text):
    await keeper.make(ADA, "thesis")
    await keeper.make(MATE, "@maths/proofs")
    with pytest.raises(NotFound) as caught:
        await keeper.find(MALLORY, text)
    assert str(caught.value) == f"There is no volume “{text}” of yours or shared with you."
    with pytest.raises(NotFound):
        await keeper.mounts(MALLORY, [Wish("data", text)])


@pytest.mark.parametrize("text", ["../x", "ada/../x", "ada/a/b", "x" * 99, "a\0b", "@/../x", "/"])
async def test_odd_names_lead_to_no_volume(keeper, text):
    with pytest.raises((NotFound, BadRequest)):
        await keeper.find(ADA, text)


@pytest.mark.parametrize("name", ["", "A", "a b", ".a", "a.", "-a", "a" * 65, "é", "a\n", "hub:x"])
async def test_names_are_slugs(keeper, name):
    with pytest.raises(BadRequest, match="cannot be a volume's name"):
        await keeper.make(ADA, name)
    assert keeper.files.kept == ["hub:sky", "hub:lab"]


async def test_volumes_are_made_for_oneself_and_ones_groups_only(keeper):
    for person, text in ((ADA, "grace/x"), (ADA, "@maths/x"), (ADA, "@/x"), (MATE, "@physics/x")):
        with pytest.raises(Refused, match="may not make a volume"):
            await keeper.make(person, text)
    with pytest.raises(Refused):
        await keeper.make(Person("visitor-1"), "x")
    assert (await keeper.make(ADA, "ada/x")).owner == Party(Kind.PERSON, "ada")


async def test_nobody_has_more_volumes_or_a_larger_one_than_the_operator_allows(keeper):
    with pytest.raises(TooLarge, match="A volume of yours may have"):
        await keeper.make(ADA, "big", quota=1001)
    for name in "abc":
        await keeper.make(ADA, name)
    with pytest.raises(Refused, match="as many as one may have"):
        await keeper.make(ADA, "d")
    with pytest.raises(Refused, match="as many as one may have"):
        await keeper.snapshot(ADA, "a")
    await keeper.make(GRACE, "gift")
    with pytest.raises(Refused, match="as many as one may have"):
        await keeper.hand_over(GRACE, "gift", "ada")
    with pytest.raises(TooLarge):
        await keeper.change(ADA, "a", quota=1001)
    await keeper.change(ROOT, "ada/a", quota=5000)
    assert (await keeper.change(ADA, "a", description="still")).quota == 5000


async def test_a_name_is_taken_once_also_by_a_deleted_volume(keeper):
    await keeper.make(ADA, "x")
    with pytest.raises(BadRequest, match="already"):
        await keeper.make(ADA, "x")
    await keeper.make(GRACE, "x")
    with pytest.raises(BadRequest, match="already"):
        await keeper.hand_over(GRACE, "x", "ada")
    await keeper.delete(ADA, "x")
    with pytest.raises(BadRequest, match="can be restored"):
        await keeper.make(ADA, "x")
    await keeper.delete(ADA, "x", now=True)
    await keeper.make(ADA, "x")


async def test_what_is_handed_over_is_the_others_alone(keeper):
    await keeper.make(ADA, "x")
    await keeper.share(ADA, "x", "grace")
    done = await keeper.hand_over(ADA, "x", "grace")
    assert (str(done), done.shares) == ("grace/x", ())
    with pytest.raises(NotFound):
        await keeper.find(ADA, "grace/x")
    await keeper.make(MATE, "@maths/proofs")
    with pytest.raises(Refused, match="may not hand over"):
        await keeper.hand_over(OTHER, "@maths/proofs", "sofia")
    assert str(await keeper.hand_over(ROOT, "@maths/proofs", "sofia")) == "sofia/proofs"


async def test_a_share_is_read_only_unless_it_says_so_and_can_be_changed_and_taken_back(keeper):
    await keeper.make(ADA, "x")
    wishes = [Wish("data", "ada/x")]
    for writable in (False, True, False):
        await keeper.share(ADA, "x", "grace", writable=writable)
        [mount] = await keeper.mounts(GRACE, wishes)
        assert mount.writable == writable
    [mine] = await keeper.mounts(ADA, [Wish("data", "x")])
    assert mine.writable
    [less] = await keeper.mounts(ADA, [Wish("data", "x", read_only=True)])
    assert not less.writable
    for deed in (keeper.snapshot, keeper.delete, keeper.restore):
        with pytest.raises(Refused, match="may not"):
            await deed(GRACE, "ada/x")
    with pytest.raises(Refused, match="may not share"):
        await keeper.share(GRACE, "ada/x", "mallory")
    with pytest.raises(BadRequest, match="already"):
        await keeper.share(ADA, "x", "ada")
    await keeper.unshare(ADA, "x", "grace")
    with pytest.raises(NotFound, match="not shared with grace"):
        await keeper.unshare(ADA, "x", "grace")
    given, notes = await keeper.granted(GRACE, [mount])
    assert given == ()
    assert "not mounted: it was deleted, or is not shared with you now" in notes[0]


async def test_a_volume_is_shared_with_a_bounded_number(keeper):
    await keeper.make(ADA, "x")
    for number in range(100):
        await keeper.share(ADA, "x", f"p{number}")
    with pytest.raises(BadRequest, match="with 100 people"):
        await keeper.share(ADA, "x", "grace")
    await keeper.share(ADA, "x", "p7", writable=True)


async def test_what_may_only_be_read_by_now_is_mounted_so_and_the_notes_say_it(keeper):
    await keeper.make(ADA, "x")
    await keeper.share(ADA, "x", "grace", writable=True)
    mounts = await keeper.mounts(GRACE, [Wish("data", "ada/x")])
    assert await keeper.granted(GRACE, mounts) == (mounts, ())
    await keeper.share(ADA, "x", "grace")
    given, [note] = await keeper.granted(GRACE, mounts)
    assert given == (replace(mounts[0], writable=False),)
    assert "can only be read" in note


async def test_who_has_left_a_group_has_its_volumes_no_more(keeper):
    await keeper.make(MATE, "@maths/x")
    mounts = await keeper.mounts(OTHER, [Wish("data", "@maths/x"), Wish("lab", "@/lab")])
    assert (await keeper.granted(OTHER, mounts))[0] == mounts
    left = replace(OTHER, groups=frozenset())
    given, notes = await keeper.granted(left, mounts)
    assert (given, len(notes)) == ((), 2)


async def test_a_full_volume_is_read_only_for_all_but_who_can_make_room(keeper):
    volume = await keeper.make(ADA, "x", quota=500)
    await keeper.share(ADA, "x", "grace", writable=True)
    theirs = await keeper.mounts(GRACE, [Wish("data", "ada/x")])
    mine = await keeper.mounts(ADA, [Wish("data", "x")])
    keeper.files.sizes[volume.id] = 500
    given, [note] = await keeper.granted(GRACE, theirs)
    assert [one.writable for one in given] == [False]
    assert "is full: " in note
    assert "until ada makes room" in note
    given, [note] = await keeper.granted(ADA, mine)
    assert given == mine
    assert "Make room in it" in note
    keeper.files.sizes[volume.id] = 499
    assert await keeper.granted(GRACE, theirs) == (theirs, ())


async def test_the_hubs_volumes_are_read_and_missed_when_they_are_away(keeper):
    [mount] = await keeper.mounts(ADA, [Wish("/data/sky", "@/sky")])
    assert mount == Mount("/data/sky", "hub:sky", "@/sky", writable=False)
    keeper.files.kept.remove("hub:sky")
    given, [note] = await keeper.granted(ADA, [mount])
    assert given == ()
    assert "files are not there now" in note
    for deed in (keeper.delete, keeper.snapshot):
        with pytest.raises(Refused):
            await deed(ROOT, "@/sky")


async def test_a_deleted_volume_can_be_restored_until_its_days_are_over(keeper):
    volume = await keeper.make(ADA, "x")
    await keeper.share(ADA, "x", "grace")
    mounts = await keeper.mounts(ADA, [Wish("data", "x")])
    await keeper.delete(ADA, "x")
    assert (await keeper.granted(ADA, mounts))[0] == ()
    assert await names(keeper, GRACE) == ["@/sky"]
    with pytest.raises(Refused, match="was deleted"):
        await keeper.mounts(ADA, [Wish("data", "x")])
    await keeper.restore(ADA, "x")
    assert (await keeper.granted(ADA, mounts))[0] == mounts
    assert "ada/x" in await names(keeper, GRACE)
    with pytest.raises(BadRequest, match="not deleted"):
        await keeper.restore(ADA, "x")
    gone = await keeper.delete(ADA, "x")
    await keeper.records.change(gone, replace(gone, deleted=LONG_AGO))
    with pytest.raises(NotFound):
        await keeper.restore(ADA, "x")
    assert volume.id not in keeper.files.kept
    assert await keeper.records.all() == []


async def test_what_a_running_server_has_is_not_removed_under_it(keeper):
    volume = await keeper.make(ADA, "x")
    keeper.files.used.append((volume.id, "grace/first"))
    with pytest.raises(BadRequest, match="in use by grace/first"):
        await keeper.delete(ADA, "x", now=True)
    gone = await keeper.delete(ADA, "x")
    old = replace(gone, deleted=LONG_AGO)
    await keeper.records.change(gone, old)
    await keeper.clear_up()
    assert volume.id in keeper.files.kept
    keeper.files.used.clear()
    await keeper.clear_up()
    assert volume.id not in keeper.files.kept


async def test_a_snapshot_is_a_volume_of_the_owners_that_nobody_changes(keeper):
    await keeper.make(ADA, "x")
    await keeper.share(ADA, "x", "grace")
    snapshot, shared = await keeper.snapshot(ADA, "x")
    assert not shared
    assert snapshot.name.startswith("x-2")
    assert snapshot.shares == ()
    [mount] = await keeper.mounts(ADA, [Wish("old", snapshot.name)])
    assert not mount.writable
    with pytest.raises(BadRequest, match="Nobody writes to a snapshot"):
        await keeper.share(ADA, snapshot.name, "grace", writable=True)
    await keeper.share(ADA, snapshot.name, "grace")
    with pytest.raises(BadRequest, match="already"):
        await keeper.snapshot(ADA, "x", snapshot.name)


async def test_of_two_who_change_a_volume_at_once_one_is_told(keeper):
    await keeper.make(ADA, "x")
    before = await keeper.find(ADA, "x", Deed.DELETE)
    await keeper.delete(ADA, "x")
    with pytest.raises(Busy):
        await keeper._change(before, replace(before, owner=Party(Kind.PERSON, "grace")))


async def test_a_server_has_a_bounded_number_of_volumes(keeper):
    await keeper.make(ADA, "x")
    with pytest.raises(BadRequest, match="may have 20 volumes"):
        await keeper.mounts(ADA, [Wish(f"a{n}", "x") for n in range(21)])


async def test_the_next_person_of_a_name_finds_no_volume_and_no_share(keeper):
    await keeper.make(ADA, "x")
    await keeper.make(GRACE, "y")
    await keeper.share(GRACE, "y", "ada", writable=True)
    await keeper.share(GRACE, "y", "mallory")
    await keeper.forget("ada")
    assert await names(keeper, ADA) == ["@/sky"]
    assert len(keeper.files.kept) == 3
    assert [str(one.whom) for one in (await keeper.find(GRACE, "y")).shares] == ["mallory"]


@pytest.mark.parametrize("text", ["x" * 1001, "\x1b[31mred", "\u202eevil"])
async def test_a_description_is_a_line_of_text(keeper, text):
    with pytest.raises(BadRequest, match="description"):
        await keeper.make(ADA, "x", description=text)


async def test_what_was_being_deleted_for_good_when_all_was_killed_is_not_restored_empty(keeper):
    volume = await keeper.make(ADA, "x")
    await keeper.delete(ADA, "x")
    await keeper.files.remove(volume.id)
    with pytest.raises(BadRequest, match="are deleted for good") as caught:
        await keeper.restore(ADA, "x")
    assert "delete --now x" in caught.value.hint
    await keeper.delete(ADA, "x", now=True)
    await keeper.make(ADA, "x")
