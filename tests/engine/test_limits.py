"""Limits: what goes out in any minute and at a time, who waits, in which order; exact on a clock that jumps."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import anyio.lowlevel
import pytest
import trio
import trio.testing

from asyncllm import errors
from asyncllm._auth.keys import HeaderKey
from asyncllm._config.sections import LimitBounds
from asyncllm._engine.limits import LimitRules, Limits, Meter
from asyncllm._engine.target import Target
from asyncllm._providers.provider import Provider
from asyncllm._schema.response import RateLimits
from asyncllm._transport.base import Timeouts


def on_mock_clock(run: Callable[[], Awaitable[Any]]) -> Any:
    """Runs on trio with a clock that jumps to the next thing that happens."""
    return trio.run(run, clock=trio.testing.MockClock(autojump_threshold=0))


def target(name: str = "a", model: str = "m") -> Target:
    def never(model: str, stream: bool) -> Any:
        raise AssertionError(model, stream)

    provider = Provider(name=name, kind="openai", base_url="http://x", auth=HeaderKey(None), resolve=never)
    return Target(provider, model, Timeouts())


def tokens() -> int:
    """What an attempt is expected to take."""
    return 200


def test_requests_in_any_minute() -> None:
    """Three a minute: the fourth goes sixty seconds after the first, the fifth after the second."""

    async def run() -> list[float]:
        meter = Meter("m", trio.current_time, requests=3)
        times = []
        for number in range(7):
            if number == 2:
                await trio.sleep(20)
            await meter.acquire(1, 0, math.inf)
            times.append(trio.current_time())
            meter.release()
        return [round(moment - times[0], 6) for moment in times]

    assert [0, 0, 20, 60, 60, 80, 120] == on_mock_clock(run)


def test_tokens_in_any_minute_are_reserved_and_corrected() -> None:
    """A correction down lets the next one go at once, one up makes it wait; too large an estimate goes alone."""

    async def run() -> list[float]:
        meter = Meter("m", trio.current_time, tokens=1000)
        began, times = trio.current_time(), []
        first = await meter.acquire(900, 0, math.inf)
        meter.release()
        meter.correct(first, 100)
        second = await meter.acquire(900, 0, math.inf)
        times.append(trio.current_time() - began)
        meter.release()
        meter.correct(second, 2000)
        await meter.acquire(10, 0, math.inf)
        times.append(trio.current_time() - began)
        meter.release()
        await meter.acquire(5000, 0, math.inf)
        times.append(trio.current_time() - began)
        return [round(moment, 6) for moment in times]

    assert [0, 60, 120] == on_mock_clock(run)


def test_a_correction_that_makes_room_wakes_the_one_who_waits() -> None:
    """Nobody sleeps until the minute is over when the tokens came back before."""

    async def run() -> float:
        meter = Meter("m", trio.current_time, tokens=1000)
        began = trio.current_time()
        first = await meter.acquire(1000, 0, math.inf)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(meter.acquire, 500, 0, math.inf)
            await trio.sleep(5)
            meter.correct(first, 10)
            meter.release()
        return round(trio.current_time() - began, 6)

    assert 5 == on_mock_clock(run)


@pytest.mark.anyio
async def test_waiters_are_served_by_priority_then_in_order() -> None:
    """A higher priority goes first, equal ones in the order in which they came."""
    meter = Meter("m", anyio.current_time, concurrent=1)
    await meter.acquire(0, 0, math.inf)
    served: list[str] = []

    async def wait(name: str, priority: int) -> None:
        await meter.acquire(0, priority, math.inf)
        served.append(name)
        meter.release()

    async with anyio.create_task_group() as tasks:
        for name, priority in (("a", 0), ("b", 0), ("low", -1), ("high", 5), ("c", 0), ("high too", 5)):
            tasks.start_soon(wait, name, priority)
            await anyio.lowlevel.checkpoint()
        await anyio.sleep(0.01)
        assert 6 == meter.depth
        meter.release()
    assert ["high", "high too", "a", "b", "c", "low"] == served
    assert 0 == meter.depth


@pytest.mark.anyio
async def test_a_waiter_gives_up_at_its_deadline() -> None:
    """Whose turn does not come in time gets LimitTimeoutError, no later than the deadline, and leaves the queue."""
    meter = Meter("the limit", anyio.current_time, concurrent=1)
    await meter.acquire(0, 0, math.inf)
    began = anyio.current_time()
    with pytest.raises(errors.LimitTimeoutError, match="the limit"):
        await meter.acquire(0, 0, began + 0.05)
    assert 0.03 < anyio.current_time() - began < 0.3
    with pytest.raises(errors.LimitTimeoutError):
        await meter.acquire(0, 0, anyio.current_time())
    assert 0 == meter.depth
    meter.release()
    await meter.acquire(0, 0, anyio.current_time() + 1)


@pytest.mark.anyio
async def test_a_cancelled_waiter_takes_nothing() -> None:
    """Whether cancelled while it waits or in the moment of its turn, the room goes to the next one."""
    meter = Meter("m", anyio.current_time, concurrent=1, requests=100)
    await meter.acquire(0, 0, math.inf)
    served: list[str] = []

    async def wait(name: str) -> None:
        await meter.acquire(0, 0, math.inf)
        served.append(name)
        meter.release()

    async with anyio.create_task_group() as tasks:
        scopes = [anyio.CancelScope() for _ in range(2)]

        async def inside(scope: anyio.CancelScope, name: str) -> None:
            with scope:
                await wait(name)

        for start in (
            lambda: tasks.start_soon(inside, scopes[0], "first"),
            lambda: tasks.start_soon(inside, scopes[1], "second"),
            lambda: tasks.start_soon(wait, "third"),
        ):
            start()
            await anyio.sleep(0.005)  # trio starts tasks in any order
        scopes[0].cancel()
        await anyio.sleep(0.01)
        meter.release()
        scopes[1].cancel()  # in the same step in which its turn came
    assert "third" == served[-1]
    assert 0 == meter._under_way


@pytest.mark.anyio
async def test_the_providers_own_word_counts() -> None:
    """When its headers say that nothing is left, nothing goes out before the reset."""
    meter = Meter("m", anyio.current_time)
    await meter.acquire(10, 0, math.inf)
    meter.observe(RateLimits(requests_remaining=1, requests_reset=0.08, tokens_remaining=None))
    await meter.acquire(10, 0, math.inf)
    began = anyio.current_time()
    await meter.acquire(10, 0, math.inf)
    assert 0.05 < anyio.current_time() - began < 0.4
    meter.observe(RateLimits(tokens_remaining=5, tokens_reset=60))
    with pytest.raises(errors.LimitTimeoutError):
        await meter.acquire(10, 0, anyio.current_time() + 0.02)
    await meter.acquire(5, 0, math.inf)


@pytest.mark.anyio
async def test_a_call_passes_every_limit_that_holds_for_it() -> None:
    """The model's, the provider's and the client's; another provider is held up by the client's alone."""
    rules = LimitRules(
        whole=LimitBounds(concurrent=3),
        accounts={("a",): LimitBounds(concurrent=2)},
        models={("a", "m"): LimitBounds(concurrent=1)},
    )
    limits = Limits(rules, anyio.current_time)
    first = await limits.acquire(target(), tokens, 0, math.inf)
    with pytest.raises(errors.LimitTimeoutError, match="a/m"):
        await limits.acquire(target(), tokens, 0, 0.02)
    second = await limits.acquire(target(model="n"), tokens, 0, math.inf)
    with pytest.raises(errors.LimitTimeoutError, match="limit of a "):
        await limits.acquire(target(model="o"), tokens, 0, 0.02)
    third = await limits.acquire(target("b"), tokens, 0, math.inf)
    with pytest.raises(errors.LimitTimeoutError, match="this client"):
        await limits.acquire(target("b"), tokens, 0, 0.02)
    for ticket in (first, second, third):
        assert ticket is not None
        ticket.ended(None, None)
        ticket.ended(None, None)
    assert (0, 0.0) == (limits.queue(("a", "m"))[0], round(limits.queue(("a", "m"))[1] or 0, 2))
    assert await limits.acquire(target(), tokens, 0, 0.02)


@pytest.mark.anyio
async def test_what_is_not_limited_does_not_wait() -> None:
    """Without a bound there is no ticket; after the loop is gone nothing is under way any more."""
    limits = Limits(LimitRules(accounts={("a",): LimitBounds(concurrent=1)}), anyio.current_time)
    assert await limits.acquire(target("b"), tokens, 0, math.inf) is None
    assert (0, None) == limits.queue(("b", "m"))
    await limits.acquire(target(), tokens, 0, math.inf)
    limits.forget()
    assert await limits.acquire(target(), tokens, 0, 0.02)
    assert not LimitRules()
    assert LimitRules(models={("a", "m"): LimitBounds(concurrent=1)})


def test_a_low_priority_waits_and_is_served() -> None:
    """Calls of a higher priority that keep coming hold up a lower one for a minute at most."""

    async def run() -> float:
        meter = Meter("x", trio.current_time, requests=6)  # one every ten seconds, on average
        for _ in range(6):
            await meter.acquire(0, 0, math.inf)
        began, served = trio.current_time(), 0.0

        async def low() -> None:
            nonlocal served
            await meter.acquire(0, -100, math.inf)
            served = trio.current_time() - began

        async def high() -> None:
            await meter.acquire(0, 100, math.inf)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(low)
            for _ in range(60):
                nursery.start_soon(high)
                await trio.sleep(5)
        return served

    assert 60 <= on_mock_clock(run) <= 180


def test_a_header_that_nothing_is_left_blocks_for_a_minute_at_most() -> None:
    """A reset an hour away is not waited for: after a minute one attempt shows how things are."""

    async def run() -> float:
        meter = Meter("x", trio.current_time, concurrent=5)
        meter.observe(RateLimits(requests_remaining=0, requests_reset=3600.0))
        began = trio.current_time()
        await meter.acquire(0, 0, math.inf)
        return trio.current_time() - began

    assert 60 == on_mock_clock(run)


@pytest.mark.anyio
async def test_names_of_models_do_not_add_up() -> None:
    """However many names callers ask for, those with limits of their own keep them, and the others are forgotten."""
    rules = LimitRules(whole=LimitBounds(concurrent=5), models={("a", "m"): LimitBounds(concurrent=1)})
    limits = Limits(rules, anyio.current_time)
    held = await limits.acquire(target(), tokens, 0, math.inf)
    for number in range(1500):
        turn = await limits.acquire(target(model=f"x{number}"), tokens, 0, math.inf)
        assert turn is not None
        turn.ended(None, None)
    assert len(limits._meters) <= 1001
    assert held is not None
    with pytest.raises(errors.LimitTimeoutError):
        await limits.acquire(target(), tokens, 0, 0.02)
