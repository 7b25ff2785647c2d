"""An environment from one place and files from another: form, link and stream."""

from __future__ import annotations

import pytest

from atoll.errors import NotFound, Refused
from support.browsing import PREFIX, parse_stream
from support.web_service import REPO

COURSE = "https://github.com/ada/course"
LINK = "/v2/gh/ada/engine/main?content=gh/ada/course/v2&labpath=a.ipynb"
STREAM = "/build/gh/ada/engine/main?content=gh/ada/course/v2"


@pytest.fixture(autouse=True)
def _course(service):
    service.source.repositories[COURSE] = {"a.ipynb": b"{}", "requirements.txt": b"numpy"}


async def follow(service, browser, path=STREAM, **headers):
    sent = {"Accept": "text/event-stream", "Authorization": f"token {service.hub.token_of('ada')}"}
    answer = await browser.http.get(path, headers=sent | headers)
    return parse_stream(answer.text)


async def test_both_halves_and_their_versions_are_on_the_pages_and_in_the_record(browse, service):
    ada = browse()
    launch = await ada.launch(f"{REPO}@main + {COURSE}", version="v2", opening="a.ipynb")
    assert (await ada.events(launch))[-1][2]["state"] == "ready"
    kept = service.store.launches.kept[launch]
    (plan,) = [plan for plan, _ in service.store.plans.made.values()]
    assert (plan.ref.repo.locator, plan.ref.repo.version) == (COURSE, "v2")
    assert plan.environment_ref.repo.locator == REPO
    assert (kept.ref, kept.environment_ref) == (plan.ref.version, plan.environment_ref.version)
    assert (plan.name, plan.opening) == ("course", "lab/tree/a.ipynb")

    page = (await ada.get(f"launches/{launch}")).text
    for said in (
        "ada/course",
        kept.ref[:7],
        "GitHub repository ada/engine",
        kept.environment_ref[:7],
    ):
        assert said in page
    servers = (await ada.get("servers")).text
    assert "GitHub repository ada/engine, version main" in servers
    assert kept.environment_ref[:7] in servers

    (record,) = service.store.records.kept
    assert record.reference == f"{REPO}@main + {COURSE}"
    assert (record.spec, record.ref) == ("ada/course/v2", kept.ref)
    assert (record.environment, record.environment_ref) == (f"{REPO}@main", kept.environment_ref)


async def test_the_environment_is_the_one_that_its_repository_has_alone(browse, service):
    ada = browse()
    keys = []
    for text in (REPO, f"{REPO} + {COURSE}", f"{REPO} + {COURSE}@other"):
        launch = await ada.launch(text, name=f"server-{len(keys)}")
        await ada.events(launch)
        keys.append(service.store.launches.kept[launch].key)
    assert len(set(keys)) == 1
    assert service.engine.builder.built == 1


async def test_a_link_fills_the_form_in_with_both(browse):
    page = (await browse().get(LINK)).text
    assert "Launch ada/course" in page
    assert f'value="{REPO}@main + {COURSE}"' in page
    assert 'value="v2"' in page
    assert "in the environment of <b>GitHub repository ada/engine, version main</b>" in page
    assert "/v2/gh/ada/engine/main?content=gh/ada/course/v2&amp;labpath=a.ipynb" in page


async def test_a_failed_launch_can_be_edited_with_both(browse, service):
    service.source.errors[COURSE] = NotFound(f"There is no repository at {COURSE}.")
    ada = browse()
    launch = await ada.launch(f"{REPO} + {COURSE}", version="v2")
    await ada.events(launch)
    page = (await ada.get(f"launches/{launch}/edit")).text
    assert f'value="{REPO} + {COURSE}"' in page
    assert 'value="v2"' in page


@pytest.mark.parametrize(("missing", "part"), [(COURSE, "content"), (REPO, "environment")])
async def test_it_is_said_which_of_the_two_is_missing(browse, service, missing, part):
    service.source.errors[missing] = NotFound("There is no such repository, or it is private.")
    ada = browse()
    launch = await ada.launch(f"{REPO} + {COURSE}")
    await ada.events(launch)
    page = (await ada.get(f"launches/{launch}")).text
    assert f"The {part}’s repository: There is no such repository, or it is private." in page
    assert service.store.launches.kept[launch].error_name == "NotFound"


@pytest.mark.parametrize("refused", [COURSE, REPO])
async def test_neither_half_may_be_where_nothing_may_be_fetched(browse, service, refused):
    service.source.errors[refused] = Refused("That address is not allowed.")
    answer = await browse().get(
        f"recognise?repository={REPO} %2B {COURSE}", Accept="application/json"
    )
    assert answer.json()["error"] == "That address is not allowed."


async def test_the_stream_takes_a_content(browse, service):
    last = (await follow(service, browse()))[-1][2]
    assert last["phase"] == "ready"
    assert last["repo_url"] == COURSE
    assert last["binder_request"] == "v2/gh/ada/engine/main?content=gh/ada/course/v2"
    (launch,) = service.store.launches.kept.values()
    assert last["binder_persistent_request"] == (
        f"v2/gh/ada/engine/{launch.environment_ref}?content=gh/ada/course/{launch.ref}"
    )
    assert (launch.request.repo.locator, launch.request.environment.locator) == (COURSE, REPO)


async def test_a_broken_stream_is_taken_up_for_the_same_pair_only(browse, service):
    ada = browse()
    first = (await follow(service, ada))[2][0]
    await follow(service, ada, **{"Last-Event-ID": first})
    assert len(service.store.launches.kept) == 1
    other = STREAM.replace("engine/main", "engine/dev")
    await follow(service, ada, other, **{"Last-Event-ID": first})
    assert len(service.store.launches.kept) == 2


@pytest.mark.parametrize(
    "content", ["nothing/a/b", "gh/ada", "git/ext%253A%253Ash/HEAD", "gh/a/b/HEAD%3Fcontent=gh/c/d/HEAD"]
)  # fmt: skip
async def test_a_wrong_content_is_a_failed_event(browse, service, content):
    answer = await follow(service, browse(), f"/build/gh/ada/engine/main?content={content}")
    assert answer[-1][2]["phase"] == "failed"
    assert not service.store.launches.kept


async def test_a_stopped_server_of_a_pair_starts_as_a_pair_when_its_environment_is_gone(
    browse, service
):
    ada = browse()
    await ada.events(await ada.launch(f"{REPO} + {COURSE}"))
    (plan,) = [plan for plan, _ in service.store.plans.made.values()]
    await ada.get("servers")
    await ada.post("servers/course/stop")
    service.engine.builder.ill.add(plan.environment.handle)
    answer = await ada.post("servers/course/start")
    again = service.store.launches.kept[answer.url.path.removeprefix(f"{PREFIX}launches/")]
    assert again.request.repo.version == plan.ref.version
    assert again.request.environment.version == plan.environment_ref.version
