"""Background tasks and the loop they belong to."""

from __future__ import annotations

import asyncio
import logging
import os
import threading

import anyio
import pytest
import trio

from asyncllm._engine.lifetime import Background, Lifetime, current_loop, is_alive
from asyncllm.errors import ClientStateError


@pytest.mark.anyio
async def test_a_task_outlives_the_call_that_started_it() -> None:
    """Work that was spawned inside a cancelled scope still ends."""
    background = Background()
    done = anyio.Event()

    async def work() -> None:
        await anyio.sleep(0.01)
        done.set()

    with anyio.CancelScope() as scope:
        background.spawn(work)
        scope.cancel()
        await anyio.sleep(1)
    with anyio.fail_after(10):
        await done.wait()


@pytest.mark.anyio
async def test_a_failing_task_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """An exception of a background task goes to the log and nowhere else."""

    async def work() -> None:
        raise ValueError("broken")

    background = Background()
    with caplog.at_level(logging.ERROR, "asyncllm.engine"):
        background.spawn(work)
        await anyio.sleep(0.01)
    assert [record.message for record in caplog.records] == ["a background task failed"]


@pytest.mark.anyio
async def test_stop_cancels_what_runs() -> None:
    """After stop nothing of the background runs on."""
    background = Background()
    cancelled = anyio.Event()

    async def work() -> None:
        try:
            await anyio.sleep(60)
        finally:
            cancelled.set()

    background.spawn(work)
    await anyio.sleep(0.01)
    background.stop()
    with anyio.fail_after(10):
        await cancelled.wait()


@pytest.mark.anyio
async def test_call_soon_runs_on_the_loop_from_another_thread() -> None:
    """A finaliser on any thread reaches the loop's own thread."""
    background = Background()
    called = anyio.Event()
    thread = threading.Thread(target=background.call_soon, args=(called.set,))
    thread.start()
    with anyio.fail_after(10):
        await called.wait()
    thread.join()


def test_a_loop_is_alive_only_while_it_runs() -> None:
    """The loop of a finished run is known to be gone, on asyncio and on trio."""

    async def here() -> object:
        loop = current_loop()
        assert is_alive(loop)
        return loop

    assert not is_alive(asyncio.run(here()))
    assert not is_alive(trio.run(here))


def test_work_for_a_loop_that_is_gone_is_lost_without_a_word() -> None:
    """Spawning and calling on a finished loop does nothing."""

    async def here() -> Background:
        return Background()

    for background in (asyncio.run(here()), trio.run(here)):
        background.call_soon(lambda: None)
        background.stop()


def test_outside_a_loop_there_is_a_sentence() -> None:
    """Without a running loop the error says what to do."""
    with pytest.raises(RuntimeError, match="use SyncClient"):
        current_loop()


class Forgetful:
    """A transport that counts how often its connections were dropped."""

    def __init__(self) -> None:
        self.forgotten = 0
        self.closed = 0

    def forget(self) -> None:
        self.forgotten += 1

    async def aclose(self) -> None:
        self.closed += 1


class Built:
    """What a lifetime needs of an engine."""

    def __init__(self, background: Background) -> None:
        self.background = background
        self.transport = Forgetful()


def test_a_new_loop_gets_a_new_engine_when_the_old_loop_is_gone() -> None:
    """A client goes on in the next asyncio.run, with its old connections dropped."""
    lifetime = Lifetime(Built)  # type: ignore[arg-type]

    async def engine() -> Built:
        assert lifetime.engine() is lifetime.engine()
        return lifetime.engine()  # type: ignore[return-value]

    first, second = asyncio.run(engine()), trio.run(engine)
    assert first is not second
    assert (1, 0) == (first.transport.forgotten, second.transport.forgotten)


def test_a_second_living_loop_gets_a_sentence() -> None:
    """Two running loops cannot share a client."""
    lifetime = Lifetime(Built)  # type: ignore[arg-type]

    async def elsewhere() -> None:
        lifetime.engine()

    async def main() -> None:
        lifetime.engine()
        with pytest.raises(ClientStateError, match="one client for each loop"):
            await asyncio.to_thread(asyncio.run, elsewhere())

    asyncio.run(main())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # newer Pythons warn about fork beside threads
def test_a_forked_child_gets_a_sentence() -> None:
    """A client that was used before a fork cannot be used after it."""
    lifetime = Lifetime(Built)  # type: ignore[arg-type]

    async def use() -> None:
        lifetime.engine()

    asyncio.run(use())
    child = os.fork()
    if child == 0:
        try:
            asyncio.run(use())
        except ClientStateError as error:
            os._exit(7 if "in the child process" in str(error) else 1)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


@pytest.mark.anyio
async def test_a_closed_lifetime_gets_a_sentence() -> None:
    """After closing, once or twice, every call says so."""
    lifetime = Lifetime(Built)  # type: ignore[arg-type]
    built = lifetime.engine()
    await lifetime.aclose()
    await lifetime.aclose()
    assert built.transport.closed == 1  # type: ignore[attr-defined]
    with pytest.raises(ClientStateError, match="closed"):
        lifetime.engine()
