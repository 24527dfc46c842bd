"""A value that is fetched in a thread: once for all, ahead of expiry, never in the way of the loop."""

from __future__ import annotations

import asyncio
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import anyio
import pytest
import trio

from asyncllm._auth.fetching import RETRY_AFTER, SETTLED, Fetched, Refreshing
from asyncllm.errors import AuthenticationError


class Clock:
    """Time that stands until it is told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Server:
    """A blocking token server: counts, and answers when it is let."""

    def __init__(self, clock: Callable[[], float], *, life: float = 100.0, seconds: float = 0.0) -> None:
        self.clock, self.life, self.seconds = clock, life, seconds
        self.gate = threading.Event()
        self.gate.set()
        self.asked: list[bool] = []
        self.fail: Exception | None = None

    def fetch(self, renew: bool) -> Fetched[str]:
        self.asked.append(renew)
        number = len(self.asked)
        assert self.gate.wait(5)
        time.sleep(self.seconds)
        if self.fail is not None:
            raise self.fail
        now = self.clock()
        return Fetched(f"token-{number}", refresh_at=now + self.life / 2, expires_at=now + self.life)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server(clock: Clock) -> Server:
    return Server(clock)


@pytest.fixture
def tokens(clock: Clock, server: Server) -> Refreshing[str]:
    return Refreshing(server.fetch, clock=clock)


async def until(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(10):
        while not condition():
            await anyio.sleep(0.002)


async def gather(tokens: Refreshing[str], callers: int, before: Callable[[], None] = lambda: None) -> list[str]:
    """What many callers get who ask at once; ``before`` runs when all of them wait."""
    got: list[str] = []

    async def call() -> None:
        got.append(await tokens.get())

    async with anyio.create_task_group() as group:
        for _ in range(callers):
            group.start_soon(call)
        await anyio.sleep(0.02)
        before()
    return got


@pytest.mark.anyio
async def test_one_fetch_serves_everybody(tokens: Refreshing[str], server: Server) -> None:
    """A hundred callers at once cause one fetch, and so do those that come later while the value is fresh."""
    server.gate.clear()
    assert ["token-1"] * 100 == await gather(tokens, 100, server.gate.set)
    assert "token-1" == await tokens.get()
    assert [False] == server.asked


@pytest.mark.slow
@pytest.mark.anyio
async def test_a_slow_token_server_does_not_stall_the_loop(clock: Clock) -> None:
    """While a token takes a second, a ticker of 5 ms goes on ticking."""
    tokens = Refreshing(Server(clock, seconds=1.0).fetch, clock=clock)
    gaps: list[float] = []

    async def tick() -> None:
        last = time.monotonic()
        while True:
            await anyio.sleep(0.005)
            now = time.monotonic()
            gaps.append(now - last)
            last = now

    async with anyio.create_task_group() as group:
        group.start_soon(tick)
        began = time.monotonic()
        assert ["token-1"] * 50 == await gather(tokens, 50)
        assert 0.9 < time.monotonic() - began < 2.5
        group.cancel_scope.cancel()
    assert 80 < len(gaps)
    assert 0.015 > sorted(gaps)[len(gaps) // 2]
    assert 0.5 > max(gaps)


@pytest.mark.anyio
async def test_a_stale_value_is_used_while_the_next_one_is_fetched(
    tokens: Refreshing[str], server: Server, clock: Clock
) -> None:
    """Between refresh and expiry nobody waits: one fetch runs in the background and the old value is good."""
    await tokens.get()
    clock.now += 60
    server.gate.clear()
    assert ["token-1"] * 20 == [await tokens.get() for _ in range(20)]
    server.gate.set()
    await until(lambda: len(server.asked) == 2)

    async def renewed() -> bool:
        return await tokens.get() == "token-2"

    with anyio.fail_after(10):
        while not await renewed():
            await anyio.sleep(0.002)
    assert [False, False] == server.asked


@pytest.mark.anyio
async def test_an_expired_value_is_never_given(tokens: Refreshing[str], server: Server, clock: Clock) -> None:
    """After expiry every caller waits for the next value."""
    await tokens.get()
    clock.now += 101
    assert ["token-2"] * 5 == await gather(tokens, 5)


@pytest.mark.anyio
async def test_a_failed_refresh_keeps_the_good_value(
    tokens: Refreshing[str], server: Server, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """A refresh ahead of time that fails is logged and tried again later; the old value serves until it expires."""
    await tokens.get()
    server.fail = AuthenticationError("log in again")
    clock.now += 60
    assert "token-1" == await tokens.get()
    await until(lambda: "log in again" in caplog.text)
    assert "token-1" == await tokens.get()
    assert 2 == len(server.asked)
    clock.now += RETRY_AFTER
    assert "token-1" == await tokens.get()
    await until(lambda: len(server.asked) == 3)
    clock.now += 60
    with pytest.raises(AuthenticationError, match="log in again"):
        await tokens.get()


@pytest.mark.anyio
async def test_a_failure_reaches_everybody_who_waited(tokens: Refreshing[str], server: Server) -> None:
    """One failed fetch raises in each caller an exception of its own; the next caller tries again."""
    server.fail = AuthenticationError("log in again", code="expired")
    server.gate.clear()
    caught: list[AuthenticationError] = []

    async def call() -> None:
        with pytest.raises(AuthenticationError, match="log in again") as info:
            await tokens.get()
        caught.append(info.value)

    async with anyio.create_task_group() as group:
        for _ in range(10):
            group.start_soon(call)
        await anyio.sleep(0.02)
        server.gate.set()
    assert 10 == len({id(error) for error in caught})
    assert {"expired"} == {error.code for error in caught}
    assert all(error.__cause__ is None and error.__context__ is None for error in caught)
    assert "log in again" in str(pickle.loads(pickle.dumps(caught[0])))
    assert 1 == len(server.asked)
    server.fail = None
    assert "token-2" == await tokens.get()


@pytest.mark.anyio
async def test_a_refused_value_is_fetched_again_once(tokens: Refreshing[str], server: Server, clock: Clock) -> None:
    """Refusals that come in together cost one renewal; a later one costs another."""
    await tokens.get()
    server.gate.clear()
    got: list[bool] = []

    async def refuse() -> None:
        got.append(await tokens.refresh())

    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(refuse)
        await anyio.sleep(0.02)
        server.gate.set()
    assert [True] * 20 == got
    assert await tokens.refresh()  # a straggler
    assert [False, True] == server.asked
    assert "token-2" == await tokens.get()
    clock.now += SETTLED
    assert await tokens.refresh()
    assert 3 == len(server.asked)


@pytest.mark.anyio
async def test_the_same_value_again_is_no_refresh(clock: Clock) -> None:
    """When the renewal gives what was refused, there is nothing to try again with."""
    tokens = Refreshing(lambda renew: Fetched("same"), clock=clock)
    assert await tokens.refresh()
    clock.now += SETTLED
    assert not await tokens.refresh()
    assert not await tokens.refresh()


@pytest.mark.anyio
async def test_a_failed_renewal_is_raised(tokens: Refreshing[str], server: Server) -> None:
    """A renewal that fails says why, although the refused value has not expired."""
    await tokens.get()
    server.fail = AuthenticationError("log in again")
    with pytest.raises(AuthenticationError, match="log in again"):
        await tokens.refresh()


@pytest.mark.anyio
async def test_a_cancelled_caller_leaves_at_once(tokens: Refreshing[str], server: Server) -> None:
    """The caller that waits for all is cancelled; it leaves at once, and the others get the value all the same."""
    server.gate.clear()
    got: list[str] = []

    async def wait() -> None:
        got.append(await tokens.get())

    began = time.monotonic()
    with anyio.move_on_after(0.02) as scope:
        await tokens.get()
    assert scope.cancelled_caught
    assert 0.5 > time.monotonic() - began
    async with anyio.create_task_group() as group:
        with anyio.CancelScope() as leader:
            async with anyio.create_task_group() as leading:
                leading.start_soon(tokens.get)
                await anyio.sleep(0.01)
                group.start_soon(wait)
                group.start_soon(wait)
                await anyio.sleep(0.01)
                leader.cancel()
        await anyio.sleep(0.01)
        server.gate.set()
    assert ["token-1"] * 2 == got
    assert 1 == len(server.asked)


def test_a_native_cancellation_of_the_leader(tokens: Refreshing[str], server: Server) -> None:
    """A ``task.cancel`` of the caller that waits for all hands the wait on to the next one."""

    async def main() -> None:
        server.gate.clear()
        tasks = [asyncio.create_task(tokens.get()) for _ in range(5)]
        await asyncio.sleep(0.02)
        for task in tasks[:3]:
            task.cancel()
            await asyncio.sleep(0)
        server.gate.set()
        assert ["token-1"] * 2 == await asyncio.gather(*tasks[3:])
        assert all(task.cancelled() for task in tasks[:3])

    asyncio.run(main())
    assert 1 == len(server.asked)


@pytest.mark.slow
def test_five_loops_then_trio(tokens: Refreshing[str], server: Server, clock: Clock) -> None:
    """One value serves one event loop after another, whether it is fresh, stale or expired there."""
    for number in range(5):
        clock.now += 101
        assert [f"token-{number + 1}"] * 3 == asyncio.run(gather(tokens, 3))
    clock.now += 101
    assert ["token-6"] * 3 == trio.run(gather, tokens, 3)
    assert "token-6" == asyncio.run(tokens.get())


def test_a_loop_that_ends_in_the_middle(tokens: Refreshing[str], server: Server) -> None:
    """A fetch whose loop was dropped without a word is still the one that the next loop waits for."""
    server.gate.clear()
    loop = asyncio.new_event_loop()
    task = loop.create_task(tokens.get())
    loop.run_until_complete(asyncio.sleep(0.02))
    timer = threading.Timer(0.05, server.gate.set)
    timer.start()
    assert ["token-1"] * 3 == asyncio.run(gather(tokens, 3))
    timer.join()
    assert 1 == len(server.asked)
    loop.run_until_complete(task)
    loop.close()


def test_two_loops_at_once(tokens: Refreshing[str], server: Server) -> None:
    """Loops in two threads share one fetch."""
    server.gate.clear()
    got: list[list[str]] = []
    threads = [
        threading.Thread(target=lambda: got.append(asyncio.run(gather(tokens, 3)))),
        threading.Thread(target=lambda: got.append(trio.run(gather, tokens, 3))),
    ]
    for thread in threads:
        thread.start()
    time.sleep(0.05)
    server.gate.set()
    for thread in threads:
        thread.join(5)
    assert [["token-1"] * 3] * 2 == got
    assert 1 == len(server.asked)


def test_busy_worker_threads_hold_nothing_up(tokens: Refreshing[str]) -> None:
    """A value is fetched although the application keeps every worker thread busy."""

    async def main() -> None:
        stop = threading.Event()
        async with anyio.create_task_group() as group:
            anyio.to_thread.current_default_thread_limiter().total_tokens = 1
            group.start_soon(anyio.to_thread.run_sync, stop.wait)
            await anyio.sleep(0.01)
            with anyio.fail_after(10):
                assert "token-1" == await tokens.get()
            stop.set()

    asyncio.run(main())


@pytest.mark.slow
def test_a_fetch_that_never_ends_does_not_keep_the_interpreter() -> None:
    """With a token server that never answers, a program whose caller gave up exits at once."""
    code = """
import anyio, time
from asyncllm._auth.fetching import Refreshing
async def main():
    with anyio.move_on_after(0.1):
        await Refreshing(lambda renew: time.sleep(60)).get()
anyio.run(main)
print("out")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=True)
    assert "out\n" == done.stdout


def test_the_value_is_in_no_repr(tokens: Refreshing[str]) -> None:
    """Neither the holder nor what it holds shows the value."""
    asyncio.run(tokens.get())
    assert "token-1" not in repr(tokens)
    assert "token-1" not in repr(Fetched("token-1"))
