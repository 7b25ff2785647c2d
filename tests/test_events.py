import asyncio

from atoll.events import Event, Story


async def test_everybody_reads_the_whole_story_early_or_late():
    story = Story()

    async def read(start=0):
        return [(number, event.message) async for number, event in story.follow(start)]

    early = asyncio.create_task(read())
    await asyncio.sleep(0)
    story.tell(Event("build", "one"))
    await asyncio.sleep(0)
    middle = asyncio.create_task(read())
    story.tell(Event("build", "two"))
    story.end()
    whole = [(0, "one"), (1, "two")]
    assert await early == whole
    assert await middle == whole
    assert await read() == whole
    assert await read(1) == whole[1:]


async def test_a_reader_who_leaves_disturbs_nobody():
    story = Story()
    leaving = asyncio.create_task(anext(story.follow()))
    await asyncio.sleep(0)
    leaving.cancel()
    story.tell(Event("build", "one"))
    story.end()
    assert [event.message async for _, event in story.follow()] == ["one"]
