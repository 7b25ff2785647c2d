"""What a store promises, on both real databases."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from atoll import errors
from atoll.accounting import LaunchRecord
from atoll.environments import Environment, EnvKey
from atoll.errors import AtollError, BuildFailed, NotFound
from atoll.launching import LaunchRequest
from atoll.launching.copies import new_link
from atoll.launching.desk import Launch, State
from atoll.people import Person
from atoll.servers import NO_ENDS, Ends, Limits, Network, ServerPlan, Stop, Why
from atoll.sources import RepoRef, ResolvedRef
from atoll.stores.sql import open_store
from atoll.stores.sql.schema import environments
from atoll.volumes import Content, Copied

KEY = EnvKey("0123456789abcdef0123")
REPO = RepoRef("git", "https://example.org/a/répo.git", "main")
ENVIRONMENT = Environment(
    KEY,
    "local",
    "/data/environments/0123",
    python="3.11.7",
    as_of=date(2021, 2, 3),
    notes=("No Python 3.5 here; 3.6 was taken instead.",),
    own_lab=True,
)
PLAN = ServerPlan(
    id="plan1",
    owner=Person("ada", frozenset({"maths", "engines"}), admin=True),
    name="notes",
    ref=ResolvedRef(REPO, "c" * 40, "t" * 40, datetime(2021, 2, 3, 4, 5, tzinfo=UTC), "a/b.ipynb"),
    environment=ENVIRONMENT,
    content=Content("/data/checkouts/c", temporary=True),
    opening="lab/tree/a/b.ipynb",
    start=".binder/start",
    limits=Limits(1.5, 123456789012, 77, 1),
    network=Network.NONE,
    title="Ma thèse",
    ends=Ends(3600, 0),
)
NOON = datetime(2026, 1, 2, 12, 0, 0, 123456, tzinfo=UTC)
LAUNCH = Launch("l1", LaunchRequest(Person("ada"), REPO), NOON, facts={"origin": "example.org"})
RECORD = LaunchRecord(
    "l1", NOON, "ada", "gh:a/b", "GitHub", "a/b/main", "success", seconds={"build": 1.25}
)


async def test_an_environment_comes_back_as_it_was_put(store):
    await store.shelf.put(ENVIRONMENT)
    assert await store.shelf.get(KEY, "local") == ENVIRONMENT


async def test_a_pairs_plan_launch_and_record_come_back_with_both(store):
    theirs = replace(PLAN.ref, version="e" * 40)
    plan = replace(PLAN, environment_ref=theirs, script='exec "$@"')
    await store.plans.put(plan)
    assert await store.plans.get(plan.id, "ada") == plan
    request = replace(LAUNCH.request, environment=theirs.repo, rebuild=True)
    launch = replace(LAUNCH, request=request, environment_ref=theirs.version)
    await store.launches.put(launch)
    assert await store.launches.get(launch.id) == launch
    record = replace(RECORD, environment=str(theirs.repo), environment_ref=theirs.version)
    await store.records.add(record)
    assert await store.records.newest() == [record]


async def test_an_environment_is_one_engines_only(store):
    await store.shelf.put(ENVIRONMENT)
    assert await store.shelf.get(KEY, "docker") is None


async def test_putting_an_environment_again_replaces_it(store):
    await store.shelf.put(ENVIRONMENT)
    await store.shelf.put(replace(ENVIRONMENT, handle="/elsewhere"))
    assert (await store.shelf.get(KEY, "local")).handle == "/elsewhere"
    assert len(await store.shelf.all()) == 1


async def test_a_pin_outlives_a_rebuild_and_goes_with_the_environment(store):
    await store.shelf.put(ENVIRONMENT)
    assert [one.pinned for one in await store.shelf.all()] == [False]
    await store.shelf.pin(KEY, "local", pinned=True)
    await store.shelf.put(replace(ENVIRONMENT, made="2026-01-02T03:04:05+00:00"))
    assert [one.pinned for one in await store.shelf.all()] == [True]
    await store.shelf.pin(KEY, "local", pinned=False)
    assert [one.pinned for one in await store.shelf.all()] == [False]
    await store.shelf.pin(KEY, "local", pinned=True)
    await store.shelf.drop(KEY, "local")
    await store.shelf.put(ENVIRONMENT)
    assert [one.pinned for one in await store.shelf.all()] == [False]


async def test_what_is_not_there_cannot_be_pinned(store):
    with pytest.raises(NotFound):
        await store.shelf.pin(KEY, "local", pinned=True)


async def test_asking_for_an_environment_notes_that_it_was_used(store):
    await store.shelf.put(ENVIRONMENT)
    long_ago = datetime.now(UTC) - timedelta(days=30)
    async with store.database.writing() as connection:
        await connection.execute(environments.update().values(used=long_ago, made=long_ago))
    await store.shelf.get(KEY, "local")
    (shelved,) = await store.shelf.all()
    assert shelved.environment == ENVIRONMENT
    assert shelved.made == long_ago
    assert datetime.now(UTC) - shelved.used < timedelta(minutes=1)


async def test_environments_are_listed_with_the_last_used_first(store):
    for number in range(3):
        await store.shelf.put(replace(ENVIRONMENT, key=EnvKey(f"key{number}")))
    assert [one.environment.key for one in await store.shelf.all()] == ["key2", "key1", "key0"]


async def test_a_dropped_environment_and_its_failure_are_forgotten(store):
    await store.shelf.put(ENVIRONMENT)
    await store.shelf.put_failure(KEY, "local", BuildFailed("no"))
    await store.shelf.drop(KEY, "local")
    await store.shelf.drop(KEY, "local")
    assert await store.shelf.all() == []
    assert await store.shelf.failure(KEY, "local") is None


def every_error():
    return [
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, AtollError)
    ]


@pytest.mark.parametrize("kind", every_error())
async def test_a_failure_keeps_its_class_message_hint_and_log(store, kind):
    await store.shelf.put_failure(KEY, "local", kind("It broke.", hint="Mend it.", log=KEY))
    shelved = await store.shelf.failure(KEY, "local")
    failure = shelved.error
    assert type(failure) is kind
    assert (str(failure), failure.hint, failure.log) == ("It broke.", "Mend it.", KEY)
    assert datetime.now(UTC) - shelved.at < timedelta(minutes=1)


async def test_a_failure_whose_class_is_no_more_is_a_failed_build(store):
    await store.shelf.put_failure(KEY, "local", type("Vanished", (AtollError,), {})("Gone."))
    assert type((await store.shelf.failure(KEY, "local")).error) is BuildFailed


async def test_a_failure_may_quote_any_bytes_that_a_build_printed(store):
    await store.shelf.put_failure(KEY, "local", BuildFailed("a\0b \ud800 \N{PILE OF POO}"))
    assert "\N{PILE OF POO}" in str((await store.shelf.failure(KEY, "local")).error)


async def test_a_build_that_works_after_all_clears_the_failure(store):
    await store.shelf.put_failure(KEY, "local", BuildFailed("no"))
    await store.shelf.put(ENVIRONMENT)
    assert await store.shelf.failure(KEY, "local") is None


async def test_a_plan_comes_back_as_it_was_put(store):
    await store.plans.put(PLAN)
    assert await store.plans.get("plan1", "ada") == PLAN


@pytest.mark.parametrize(
    ("plan_id", "owner"),
    [
        ("plan1", "eve"),
        ("plan1", "ADA"),
        ("plan1", "ada "),
        ("plan2", "ada"),
        ("plan%", "ada"),
        ("", "ada"),
        ("plan1\0", "ada"),
        ("\ud800", "ada"),
        ("' OR 1=1 --", "ada"),
        ("x" * 100_000, "ada"),
    ],
)
async def test_somebody_elses_plan_is_not_there(store, plan_id, owner):
    await store.plans.put(PLAN)
    with pytest.raises(NotFound):
        await store.plans.get(plan_id, owner)


async def test_nobody_can_overwrite_somebody_elses_plan(store):
    await store.plans.put(PLAN)
    with pytest.raises(NotFound):
        await store.plans.put(replace(PLAN, owner=Person("eve")))
    assert await store.plans.get("plan1", "ada") == PLAN


async def test_the_newest_plan_of_each_server_is_found(store):
    for number, name in enumerate(["notes", "lab", "notes", "lab", "notes"]):
        await store.plans.put(replace(PLAN, id=f"p{number}", name=name))
    await store.plans.put(replace(PLAN, id="eves", owner=Person("eve"), name="notes"))
    latest = await store.plans.latest("ada")
    assert {name: plan.id for name, (plan, _) in latest.items()} == {"notes": "p4", "lab": "p3"}
    assert all(datetime.now(UTC) - made < timedelta(minutes=1) for _, made in latest.values())


async def test_the_newest_plans_of_everybodys_kept_servers_are_found(store):
    kept = replace(PLAN, content=replace(PLAN.content, temporary=False))
    await store.plans.put(replace(kept, id="p0"))
    await store.plans.put(replace(kept, id="p1"))
    await store.plans.put(replace(kept, id="p2", owner=Person("eve")))
    await store.plans.put(replace(PLAN, id="p3", name="gone"))
    assert {plan.id for plan in await store.plans.kept()} == {"p1", "p2"}


async def test_a_servers_newest_plan_gets_another_title_and_nothing_else_changes(store):
    for number in range(3):
        await store.plans.put(replace(PLAN, id=f"p{number}"))
    (_, made) = (await store.plans.latest("ada"))["notes"]
    await store.plans.retitle("ada", "notes", "Mein <b>Heft</b>")
    renamed = replace(PLAN, id="p2", title="Mein <b>Heft</b>")
    assert await store.plans.newest("ada", "notes") == renamed
    assert await store.plans.latest("ada") == {"notes": (renamed, made)}
    assert (await store.plans.get("p1", "ada")).title == PLAN.title
    assert await store.plans.newest("eve", "notes") is None
    for owner, name in (("eve", "notes"), ("ada", "other")):
        with pytest.raises(NotFound):
            await store.plans.retitle(owner, name, "x")


@pytest.mark.parametrize("ends", [Ends(lifetime=600), Ends(idle=0)])
async def test_it_is_known_whether_anybody_has_said_when_a_server_ends(store, ends):
    assert not await store.plans.any_ends()
    await store.plans.put(replace(PLAN, ends=NO_ENDS))
    assert not await store.plans.any_ends()
    await store.plans.put(replace(PLAN, id="other", ends=ends))
    assert await store.plans.any_ends()


async def test_the_copies_of_a_server_are_known(store):
    copied = replace(PLAN.content, copied=Copied("ada", "notes", "mark"))
    vera = replace(PLAN, id="veras", owner=Person("vera"), name="notes-1", content=copied)
    others = replace(copied, copied=Copied("eve", "notes", "mark"))
    for plan in (PLAN, vera, replace(vera, id="other", name="notes-2", content=others)):
        await store.plans.put(plan)
    assert await store.plans.copies("ada", "notes") == {("vera", "notes-1")}
    assert await store.plans.copies("ada", "other") == set()


async def test_forgetting_a_server_forgets_its_owners_plans_only(store):
    await store.plans.put(PLAN)
    await store.plans.put(replace(PLAN, id="eves", owner=Person("eve")))
    await store.plans.forget("ada", "notes")
    assert await store.plans.latest("ada") == {}
    assert await store.plans.get("eves", "eve")


async def test_a_launch_comes_back_as_it_was_put(store):
    launch = replace(
        LAUNCH,
        request=LaunchRequest(
            PLAN.owner,
            REPO,
            opening="lab",
            name="notes",
            temporary=True,
            at="today",
            retry=True,
            limits=PLAN.limits,
            network=PLAN.network,
            typed="gh:a/b",
        ),
        state=State.FAILED,
        error="no",
    )
    await store.launches.put(LAUNCH)
    await store.launches.put(launch)
    assert await store.launches.get("l1") == launch


async def test_a_launch_may_quote_whatever_was_typed(store):
    request = LaunchRequest(Person("ada"), REPO, typed="a\0b\ud800c\u202e")
    await store.launches.put(replace(LAUNCH, request=request))
    assert (await store.launches.get("l1")).request.typed.startswith("a")


@pytest.mark.parametrize("launch_id", ["l2", "", "l1\0", "\udfff", "%"])
async def test_a_launch_that_never_was_is_none(store, launch_id):
    await store.launches.put(LAUNCH)
    assert await store.launches.get(launch_id) is None


async def test_unfinished_launches_come_oldest_first(store):
    for number, state in enumerate(State):
        made = NOON - timedelta(minutes=number)
        await store.launches.put(replace(LAUNCH, id=f"l{number}", state=state, made=made))
    found = [launch.state for launch in await store.launches.unfinished()]
    assert found == [State.STARTING, State.PREPARING]


async def test_a_persons_newest_launches_are_theirs_and_newest_first(store):
    for number in range(5):
        made = NOON + timedelta(minutes=number)
        await store.launches.put(replace(LAUNCH, id=f"l{number}", made=made))
    eves = LaunchRequest(Person("eve"), REPO)
    await store.launches.put(replace(LAUNCH, id="eves", request=eves, made=NOON.replace(year=2030)))
    assert [one.id for one in await store.launches.newest("ada", limit=2)] == ["l4", "l3"]


async def test_records_come_newest_first_and_for_one_person_if_asked(store):
    for number, person in enumerate(["ada", "eve", "ada"]):
        at = NOON + timedelta(minutes=number)
        await store.records.add(replace(RECORD, id=f"r{number}", person=person, at=at))
    assert [one.id for one in await store.records.newest()] == ["r2", "r1", "r0"]
    assert [one.id for one in await store.records.newest(person="ada", limit=1)] == ["r2"]


async def test_a_record_comes_back_as_it_was_added(store):
    await store.records.add(RECORD)
    assert await store.records.newest() == [RECORD]


async def test_a_launch_taken_up_again_leaves_one_record(store):
    await store.records.add(replace(RECORD, status="failed"))
    await store.records.add(RECORD)
    assert await store.records.newest() == [RECORD]


async def test_times_from_other_time_zones_are_sorted_as_moments(store):
    paris = timezone(timedelta(hours=2))
    early = replace(RECORD, id="early", at=NOON.replace(hour=11).astimezone(paris))  # says 13:00
    await store.records.add(RECORD)
    await store.records.add(early)
    assert [one.id for one in await store.records.newest()] == ["l1", "early"]


async def test_what_was_put_is_there_after_a_restart(settings):
    first = open_store(settings)
    await first.open()
    await first.plans.put(PLAN)
    await first.close()
    second = open_store(settings)
    await second.open()
    assert await second.plans.get("plan1", "ada") == PLAN
    await second.close()


async def test_fifty_writers_at_once_all_get_their_turn(store):
    await asyncio.gather(
        *(store.plans.put(replace(PLAN, id=f"p{n}", name=f"s{n}")) for n in range(50))
    )
    assert len(await store.plans.latest("ada")) == 50


async def test_the_last_stop_of_each_server_is_its_owners(store):
    first, last = Stop("ada", "notes", NOON, Why.AGE), Stop("ada", "notes", NOON, Why.IDLE)
    for stop in (
        first,
        last,
        Stop("ada", "other", NOON, Why.AGE),
        Stop("eve", "notes", NOON, Why.AGE),
    ):
        await store.stops.put(stop)
    found = await store.stops.latest("ada")
    assert set(found) == {"notes", "other"}
    assert found["notes"] == last
    assert await store.stops.latest("nobody") == {}


async def test_what_needs_no_question_is_one_persons_until_they_say_otherwise(store):
    for person, what in (("ada", "b@main"), ("ada", "a@v1"), ("ada", "b@main"), ("eve", "c@main")):
        await store.trusts.put(person, what)
    assert list(await store.trusts.all("ada")) == ["a@v1", "b@main"]
    await store.trusts.drop("ada", "b@main")
    await store.trusts.drop("ada", "c@main")
    assert list(await store.trusts.all("ada")) == ["a@v1"]
    assert list(await store.trusts.all("eve")) == ["c@main"]


async def test_a_server_has_one_link_to_its_copies_until_it_is_dropped(store):
    first, second = new_link("ada", "notes", ()), new_link("ada", "notes", ("v1", "v2"))
    await store.copies.put(first)
    await store.copies.put(second)
    await store.copies.put(new_link("ada", "other", ()))
    assert await store.copies.get(first.key) is None
    assert await store.copies.get(second.key) == second
    assert await store.copies.of("ada", "notes") == second
    assert await store.copies.get("x" * 5000 + "\0") is None
    await store.copies.drop("ada", "notes")
    await store.copies.drop("ada", "notes")
    assert await store.copies.of("ada", "notes") is None
    assert await store.copies.of("ada", "other")
