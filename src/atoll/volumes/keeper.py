"""The keeper: makes, shares, mounts and deletes volumes for whoever may, as `access` says."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from atoll.access import HUB, Deed, Kind, Party, Share, parties, party
from atoll.errors import AtollError, BadRequest, Busy, NotFound, Refused, TooLarge
from atoll.names import new_id
from atoll.people import Person
from atoll.volumes import Files, Mount, Records, Volume, Wish, written
from atoll.volumes.points import check_points

NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?")
LONGEST = 1000  # characters of a description
MOST = 20  # mounts of one server
SHARES = 100  # people and groups that one volume is shared with
LEFT = timedelta(hours=25)  # for which files may be half made: a copy may take 24


@dataclass(frozen=True, slots=True)
class Rules:
    """What the operator allows.

    ``quota`` is what a volume gets, and at most, in bytes; ``each`` how many volumes one party may
    own; ``grace`` how long a deleted one can be restored. ``folders`` are the operator's own
    volumes.
    """

    quota: int = 10 * 1024**3
    each: int = 20
    grace: timedelta = timedelta(days=7)
    folders: Mapping[str, Volume] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Keeper:
    """Does with volumes what people ask, if they may."""

    records: Records
    files: Files
    rules: Rules = Rules()
    allowed: Callable[[Party, Person], Awaitable[int]] | None = None  # bytes; whose, and who asks

    async def seen_by(self, person: Person, *, everybodys: bool = False) -> list[Volume]:
        """Return what *person* may see; *everybodys*, too, of an operator."""
        await self.clear_up()
        found = await (self.records.all() if everybodys else self.records.of(parties(person)))
        return [one for one in (*found, *self.rules.folders.values()) if one.lets(person, Deed.SEE)]

    async def find(self, person: Person, text: str, deed: Deed = Deed.SEE) -> Volume:
        """Return the volume that *person* calls *text*, to do *deed* with it.

        It is ``NAME`` of one's own, ``PERSON/NAME``, ``@GROUP/NAME`` or ``@/NAME`` of the hub's.
        Raises `NotFound` for what they may not even see, `Refused` for what they may not do.
        """
        owner, name = _parts(person, text)
        if owner == HUB:
            volume = self.rules.folders.get(name)
        else:
            volume = await self.records.find(owner, name) if NAME.fullmatch(name) else None
        if volume is None or not volume.lets(person, Deed.SEE):
            message = f"There is no volume “{text}” of yours or shared with you."
            raise NotFound(message, hint="`atoll volumes` lists those that there are for you.")
        if not volume.lets(person, deed):
            raise _refusal(volume, text, deed)
        return volume

    async def make(
        self, person: Person, text: str, *, quota: int | None = None, description: str = ""
    ) -> Volume:
        """Make an empty volume ``NAME`` of *person*'s, or ``@GROUP/NAME`` of a group of theirs."""
        owner, name = _parts(person, text)
        new = Volume(new_id(), owner, name, datetime.now(UTC))
        await self._check_new(person, new)
        new = await self._described(person, new, quota, description)
        await self.files.make(new.id)
        return await self._add(new)

    async def change(
        self, person: Person, text: str, *, quota: int | None = None, description: str | None = None
    ) -> Volume:
        """Give a volume another quota, or another description."""
        volume = await self.find(person, text, Deed.CHANGE)
        after = await self._described(
            person,
            volume,
            volume.quota if quota is None else quota,
            volume.description if description is None else description,
        )
        return await self._change(volume, after)

    async def snapshot(self, person: Person, text: str, name: str = "") -> tuple[Volume, bool]:
        """Make a copy of a volume to which nobody writes; return it, and whether blocks are shared.

        It is a volume of the same owner's, of which the name has the day and the time if none is
        given.
        """
        volume = await self.find(person, text, Deed.SNAPSHOT)
        now = datetime.now(UTC)
        name = name or f"{volume.name[:45]}-{now:%Y%m%d-%H%M%S}"
        new = replace(volume, id=new_id(), name=name, made=now, shares=(), origin=volume.id)
        await self._check_new(person, new)
        shared = await self.files.copy(volume.id, new.id)
        return await self._add(new), shared

    async def share(
        self, person: Person, text: str, whom: str, *, writable: bool = False
    ) -> Volume:
        """Let *whom*, a person or an @group, read the volume, or, if *writable*, change it."""
        volume = await self.find(person, text, Deed.SHARE)
        share = Share(party(whom), writable)
        if len(volume.shares) >= SHARES and share.whom not in {one.whom for one in volume.shares}:
            message = f"“{text}” is shared with {SHARES} people and groups, as many as may be."
            raise BadRequest(message, hint="Share it with a group.")
        if share.whom == volume.owner:
            raise BadRequest(f"“{text}” is {whom}'s already.")
        if writable and volume.origin:
            message = "Nobody writes to a snapshot."
            raise BadRequest(message, hint="Share it to be read.")
        await self.records.share(volume.id, share)
        return await self._again(volume)

    async def unshare(self, person: Person, text: str, whom: str) -> Volume:
        """Take *whom*'s share back; running servers keep it until they are stopped."""
        volume = await self.find(person, text, Deed.SHARE)
        known = party(whom)
        if known not in {one.whom for one in volume.shares}:
            raise NotFound(f"“{text}” is not shared with {whom}.")
        await self.records.unshare(volume.id, known)
        return await self._again(volume)

    async def hand_over(self, person: Person, text: str, to: str) -> Volume:
        """Make the person or @group *to* the owner. Who gave it away has no share in it."""
        volume = await self.find(person, text, Deed.HAND_OVER)
        owner = party(to)
        await self._check_room(owner)
        after = await self._change(volume, replace(volume, owner=owner))
        await self.records.unshare(volume.id, owner)
        return await self._again(after)

    async def delete(self, person: Person, text: str, *, now: bool = False) -> Volume:
        """Delete a volume: it can be restored for some days, unless it is to go *now*."""
        volume = await self.find(person, text, Deed.DELETE)
        if now:
            self._check_unused(volume)
        if not volume.deleted:
            volume = await self._change(volume, replace(volume, deleted=datetime.now(UTC)))
        if now:
            await self._remove(volume)
        return volume

    async def restore(self, person: Person, text: str) -> Volume:
        """Take the deletion of a volume back."""
        await self.clear_up()
        volume = await self.find(person, text, Deed.RESTORE)
        if not volume.deleted:
            raise BadRequest(f"“{text}” was not deleted.")
        if not await self.files.has(volume):  # whoever deleted it for good was killed meanwhile
            hint = f"To have its name again: atoll volumes delete --now {text}"
            raise BadRequest(f"The files of “{text}” are deleted for good.", hint=hint)
        return await self._change(volume, replace(volume, deleted=None))

    async def forget(self, name: str) -> None:
        """Remove the volumes of a person who is no more, and the shares that they had."""
        gone = Party(Kind.PERSON, name)
        for volume in await self.records.of([gone]):
            if volume.owner == gone:
                await self._remove(volume)
            else:
                await self.records.unshare(volume.id, gone)

    async def clear_up(self) -> None:
        """Remove the volumes that were deleted long enough ago, and that no server has mounted."""
        await self.files.sweep(datetime.now(UTC) - LEFT)
        before = datetime.now(UTC) - self.rules.grace
        used = {volume for volume, _ in self.files.users()}
        for volume in await self.records.all():
            if volume.deleted and volume.deleted < before and volume.id not in used:
                await self._remove(volume)

    async def mounts(self, person: Person, wishes: Sequence[Wish]) -> tuple[Mount, ...]:
        """Return what *wishes* come to, each as writable as *person* may have it, or raise."""
        if len(wishes) > MOST:
            raise BadRequest(f"A server may have {MOST} volumes.", hint="Leave some out.")
        points = check_points(wish.point for wish in wishes)
        found = []
        for point, wish in zip(points, wishes, strict=True):
            volume = await self.find(person, wish.volume, Deed.READ)
            writable = not wish.read_only and volume.lets(person, Deed.WRITE)
            found.append(Mount(point, volume.id, wish.volume, writable))
        return tuple(found)

    async def granted(
        self, person: Person, mounts: Iterable[Mount]
    ) -> tuple[tuple[Mount, ...], tuple[str, ...]]:
        """Return *mounts* as far as *person* may have them now, and sentences about the rest.

        Since a plan was made, a share may have been taken back or a volume have filled up.
        """
        given, notes = [], []
        for mount in mounts:
            volume = await self._known(mount.volume)
            now, note = await self._grant(person, mount, volume)
            given += [now] if now else []
            notes += [note] if note else []
        return tuple(given), tuple(notes)

    async def shown(
        self, host: Person | None, person: Person, mounts: Iterable[Mount], ids: Container[str]
    ) -> tuple[tuple[Mount, ...], tuple[str, ...]]:
        """Return *mounts* of *host*'s server as *person*'s copy of it has them, and what it lacks.

        They can be read and no more; and only those that *host* shows, whose *ids* are given, and
        may share as of now, or that *person* may read without that. ``None`` is nobody any more.
        """
        given, notes = [], []
        for mount in mounts:
            volume = await self._known(mount.volume)
            what = f"The volume “{mount.name}” (at {mount.point})"
            if volume is None or not (
                (host and mount.volume in ids and volume.lets(host, Deed.SHARE))
                or volume.lets(person, Deed.READ)
            ):
                notes.append(f"{what} is not in this copy: visitors may not read it.")
            elif not await self.files.has(volume):
                notes.append(f"{what} is not in this copy: its files are not there now.")
            else:
                given.append(replace(mount, writable=False))
        return tuple(given), tuple(notes)

    async def may_show(self, host: Person, mounts: Iterable[Mount]) -> list[Mount]:
        """Return those of *mounts* that *host* may let visitors read."""
        found = [(mount, await self._known(mount.volume)) for mount in mounts]
        return [mount for mount, volume in found if volume and volume.lets(host, Deed.SHARE)]

    async def _grant(
        self, person: Person, mount: Mount, volume: Volume | None
    ) -> tuple[Mount | None, str]:
        what = f"The volume “{mount.name}” (at {mount.point})"
        if volume is None or not volume.lets(person, Deed.READ):
            return None, f"{what} is not mounted: it was deleted, or is not shared with you now."
        if not await self.files.has(volume):
            return None, f"{what} is not mounted: its files are not there now. Tell the operator."
        writable, note = mount.writable, ""
        if writable and not volume.lets(person, Deed.WRITE):
            writable, note = False, f"{what} can only be read: it is not shared for writing now."
        elif writable and (full := await self._fullness(volume)):
            writable = volume.lets(person, Deed.DELETE)
            until = f"It can only be read until {volume.owner} makes room in it."
            room = "Make room in it; others can only read it until you have."
            note = f"{what} is full: {full}. {room if writable else until}"
        return replace(mount, writable=writable), note

    async def _fullness(self, volume: Volume) -> str:
        """Return how full *volume* is, if it is, else ""."""
        if not volume.quota or (size := await self.files.size(volume)) < volume.quota:
            return ""
        return f"{written(size)} of {written(volume.quota)}"

    async def _known(self, volume_id: str) -> Volume | None:
        for one in self.rules.folders.values():
            if one.id == volume_id:
                return one
        return await self.records.get(volume_id)

    async def _described(
        self, person: Person, volume: Volume, quota: int | None, description: str
    ) -> Volume:
        """Return *volume* with them, or raise; an operator may give any quota.

        Without one it gets as much as a volume of its owner's may have.
        """
        owner = volume.owner
        most = await self.allowed(owner, person) if self.allowed else self.rules.quota
        quota = most if quota is None else quota
        description = " ".join(description.split())
        if len(description) > LONGEST or not description.isprintable():
            raise BadRequest(f"A description may have {LONGEST} characters, all of them printable.")
        if quota != volume.quota and quota > most and not person.admin:
            whose = "yours" if owner.kind is Kind.PERSON else owner
            message = f"A volume of {whose} may have {written(most)} here."
            raise TooLarge(message, hint="Ask for less, or ask the operator to give it more.")
        return replace(volume, quota=quota, description=description)

    async def _again(self, volume: Volume) -> Volume:
        return await self.records.get(volume.id) or volume

    async def _check_new(self, person: Person, new: Volume) -> None:
        """Raise unless *person* may have a volume like *new*; its name may still be taken."""
        mine = new.owner == Party(Kind.PERSON, person.name)
        if person.visitor or not (mine or (new.owner.kind is Kind.GROUP and new.owner.has(person))):
            raise Refused(
                f"You may not make a volume for {new.owner}.",
                hint="Make one of your own, by its name alone, or of a group that you are in.",
            )
        if not NAME.fullmatch(new.name):
            raise BadRequest(
                f"“{new.name[:100]}” cannot be a volume's name.",
                hint="Use up to 64 of a-z, 0-9, hyphen, dot and underscore; begin with a letter.",
            )
        if known := await self.records.find(new.owner, new.name):
            raise _taken(known)
        await self._check_room(new.owner)

    async def _check_room(self, owner: Party) -> None:
        if sum(one.owner == owner for one in await self.records.of([owner])) >= self.rules.each:
            message = f"{owner} has {self.rules.each} volumes, as many as one may have here."
            raise Refused(message, hint="Delete one for good: atoll volumes delete --now NAME")

    async def _add(self, new: Volume) -> Volume:
        if not await self.records.add(new):  # somebody was quicker
            await self.files.remove(new.id)
            raise _taken(new)
        return new

    async def _change(self, before: Volume, after: Volume) -> Volume:
        if before.owner != after.owner and (
            known := await self.records.find(after.owner, after.name)
        ):
            raise _taken(known)
        if not await self.records.change(before, after):
            raise Busy(f"“{before.name}” was changed at this moment.", hint="Look, and try again.")
        return after

    def _check_unused(self, volume: Volume) -> None:
        users = sorted(who for known, who in self.files.users() if known == volume.id)
        if users:
            message = f"“{volume.name}” is in use by {', '.join(users)}."
            raise BadRequest(message, hint="Stop that first, or delete it without --now.")

    async def _remove(self, volume: Volume) -> None:
        await self.files.remove(volume.id)  # first: what is not recorded, nobody would find again
        await self.records.forget(volume.id)


def _parts(person: Person, text: str) -> tuple[Party, str]:
    """Return whose volume *text* means, and its name."""
    whose, slash, name = text.partition("/")
    if not slash:
        return Party(Kind.PERSON, person.name), text
    return (HUB if whose == "@" else party(whose)), name


def _refusal(volume: Volume, text: str, deed: Deed) -> AtollError:
    if volume.deleted:
        hint = f"To have it again: atoll volumes restore {text}"
        return Refused(f"The volume “{text}” was deleted.", hint=hint)
    message = f"You may not {deed.value} the volume “{text}”."
    return Refused(message, hint=f"It is {volume.owner}'s." if volume.owner != HUB else "")


def _taken(volume: Volume) -> AtollError:
    if volume.deleted:
        message = f"{volume.owner} has a deleted volume “{volume.name}”, which can be restored."
        return BadRequest(message, hint="Restore it, or delete it for good with --now.")
    return BadRequest(f"{volume.owner} has a volume “{volume.name}” already.")
