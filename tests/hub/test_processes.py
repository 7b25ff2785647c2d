from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys

import pytest

from atoll.errors import StartFailed
from atoll.hub import processes
from atoll.hub.journal import Journal
from atoll.hub.processes import Process


@pytest.fixture
def process_of(tmp_path):
    journal = Journal(tmp_path / "log", lambda _: None, {"hush-hush"})

    def make(code, healthy=None, **more):
        marker = tmp_path / "marker"

        async def there():
            return marker.exists()

        return Process(
            name="part",
            command=[sys.executable, "-c", code, str(marker)],
            environ=dict(os.environ),
            healthy=healthy or there,
            socket=tmp_path / "part.sock",
            journal=journal,
            **more,
        )

    yield make
    journal.close()


LASTING = "import sys, time; open(sys.argv[1], 'w'); print('hello', flush=True); time.sleep(60)"


@contextlib.asynccontextmanager
async def kept(process):
    task = asyncio.create_task(process.keep())
    try:
        yield task
    finally:
        await process.end(seconds=2)
        await asyncio.gather(task, return_exceptions=True)


async def test_what_dies_is_started_again_and_greeted_each_time(process_of):
    risen = asyncio.Queue()

    async def greet():
        risen.put_nowait(process._process.pid)

    process = process_of(LASTING, risen=greet)
    async with kept(process):
        first = await risen.get()
        os.kill(first, signal.SIGKILL)
        assert await risen.get() != first


async def test_what_never_answered_is_an_error_with_its_last_words(process_of):
    process = process_of("print('no such luck'); raise SystemExit(3)")
    with pytest.raises(StartFailed, match=r"exit status 3\).\n(.*\n)*  no such luck"):
        await process.keep()


async def test_a_secret_that_a_program_prints_stays_secret(process_of):
    process = process_of("print('db at u:hush-hush@db'); raise SystemExit(3)")
    with pytest.raises(StartFailed) as caught:
        await process.keep()
    assert "u:•••@db" in str(caught.value)
    assert "u:•••@db" in process.journal.file.read_text()
    assert "hush-hush" not in process.journal.file.read_text()


async def test_what_hangs_instead_of_answering_is_not_waited_for_for_ever(process_of, monkeypatch):
    monkeypatch.setattr(processes, "PATIENCE", 0.5)

    async def never():
        return False

    with pytest.raises(StartFailed):
        await process_of(LASTING, healthy=never).keep()


async def test_what_ignores_a_polite_request_is_made_to_end(process_of):
    process = process_of("import signal; signal.signal(15, signal.SIG_IGN);" + LASTING)
    async with kept(process):
        await process.ready.wait()
        await process.end(seconds=0.3)
        assert await process._process.wait() == -signal.SIGKILL


async def test_a_socket_left_behind_is_not_in_the_way(process_of):
    process = process_of(LASTING)
    process.socket.write_text("left behind")
    async with kept(process):
        await process.ready.wait()
        assert not process.socket.exists()


async def test_a_line_without_end_is_cut_and_what_follows_is_heard(process_of):
    code = "print('x' * 300_000); print('after', flush=True);" + LASTING
    process = process_of(code)
    async with kept(process):
        await process.ready.wait()
        while "hello" not in process.last_words():
            await asyncio.sleep(0.02)
        assert "  after" in process.last_words()
    assert max(len(line) for line in process.journal.file.read_text().splitlines()) < 150_000


async def test_it_is_out_of_reach_of_the_terminals_interrupt(process_of):
    process = process_of(LASTING)
    async with kept(process):
        await process.ready.wait()
        assert os.getpgid(process._process.pid) != os.getpgid(0)
