"""Restarts, hedging, limits, routing and cancellation, over real sockets."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from asyncllm import Client, Restart, SyncClient, errors
from asyncllm.testing import Fault, Simulator

pytestmark = pytest.mark.anyio
LONG = "one two three four five six seven eight nine ten eleven twelve"
OFF: dict[str, Any] = {"retry": {"max_attempts": 1}}


@asynccontextmanager
async def opened(sim: Simulator, **changes: Any) -> AsyncIterator[Client]:
    async with Client(sim.config(**{**OFF, **changes}), environ={}) as client:
        yield client


async def settled(sim: Simulator) -> None:
    """Waits until the server has nothing under way and no connection in the middle of an answer."""
    with anyio.fail_after(10):
        while sim.in_flight:
            await anyio.sleep(0.002)


# --- restarts ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault", [Fault.cut(after_events=3), Fault.truncate(after_events=3), Fault.error_event(status=529, after_events=3)]
)
@pytest.mark.parametrize("provider", ["openai", "anthropic"])
async def test_a_cut_stream_may_begin_again(fault: Fault, provider: str) -> None:
    """With on_interrupt="restart" the next model answers anew, and a Restart event says to clear what was shown."""
    async with Simulator(reply=LONG) as sim, opened(sim) as client:
        first, second, _ = sim.config()["providers"][provider]["fallback_models"]
        sim.on(first, fault)
        stream = client.stream("Count", provider=provider, on_interrupt="restart")
        shown, cleared = "", []
        async for event in stream:
            if isinstance(event, Restart):
                cleared.append(shown)
                shown = ""
                assert event.reason
            shown += event.text
    assert 1 == len(cleared)
    assert cleared[0] and LONG.startswith(cleared[0])
    assert LONG == shown == stream.response.text
    assert (second, first, "stop") == (
        stream.response.model,
        stream.response.requested_model,
        stream.response.finish_reason,
    )
    interrupted, ok = stream.response.attempts
    assert ("interrupted", "ok") == (interrupted.outcome, ok.outcome)
    assert isinstance(interrupted.error, errors.StreamInterruptedError)
    assert interrupted.error.partial is not None
    assert cleared[0] == interrupted.error.partial.text


async def test_a_stream_restarts_until_the_chain_ends() -> None:
    """When the last model is cut as well, the interruption is raised with what that one had delivered."""
    async with Simulator(reply=LONG) as sim, opened(sim) as client:
        sim.on("*", Fault.cut(after_events=2))
        stream = client.stream("Count", on_interrupt="restart")
        restarts, shown = 0, ""
        with pytest.raises(errors.StreamInterruptedError) as caught:
            async for event in stream:
                if isinstance(event, Restart):
                    restarts, shown = restarts + 1, ""
                shown += event.text
    assert (2, 3) == (restarts, len(caught.value.attempts))
    assert caught.value.partial is not None
    assert shown == caught.value.partial.text


async def test_strings_cannot_tell_of_a_restart() -> None:
    """text() refuses a stream that may begin again, in both clients."""
    async with Simulator() as sim, opened(sim) as client:
        with pytest.raises(errors.BadRequestError, match="text"):
            client.stream("Hi", on_interrupt="restart").text()
        with SyncClient(sim.config(), environ={}) as blocking, pytest.raises(errors.BadRequestError, match="text"):
            blocking.stream("Hi", on_interrupt="restart").text()


# --- hedging -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_late_first_content_is_hedged(streamed: bool) -> None:
    """The next model is asked as well, answers first, and the late one is cancelled and recorded as that."""
    async with Simulator(reply=LONG) as sim, opened(sim) as client:
        sim.on("gpt-sim", Fault.stall(after="headers"))
        began = anyio.current_time()
        if streamed:
            stream = client.stream("Count", hedge=0.05)
            assert LONG == "".join([str(event) async for event in stream])
            reply = stream.response
        else:
            reply = await client.send("Count", hedge=0.05)
        assert 0.05 <= anyio.current_time() - began < 0.6
        await settled(sim)
        assert {"gpt-sim": 1, "gpt-sim-mini": 1} == Counter(request.model for request in sim.requests)
    assert ("gpt-sim-mini", LONG) == (reply.model, reply.text)
    assert [("gpt-sim", "cancelled"), ("gpt-sim-mini", "ok")] == [(one.model, one.outcome) for one in reply.attempts]


async def test_a_prompt_answer_is_not_hedged() -> None:
    """Within the delay there is one request only; hedge=False outranks the configuration."""
    async with Simulator(reply="ok") as sim:
        async with opened(sim) as client:
            assert 1 == len((await client.send("Hi", hedge=5)).attempts)
            assert 1 == len((await client.send("Hi", hedge=5, fallback=[])).attempts)
        async with opened(sim, hedging={"after": 0.01}) as client:
            sim.behave("*", latency=0.3)
            assert 1 == len((await client.send("Hi", hedge=False)).attempts)
            assert 2 == len((await client.send("Hi")).attempts)
        await settled(sim)


async def test_a_failure_ahead_of_the_delay_is_an_ordinary_fallback() -> None:
    """Hedging does not stand in the way of fallbacks, nor of the error when all fail."""
    async with Simulator(reply="ok") as sim, opened(sim) as client:
        sim.on("gpt-sim", Fault.status(500))
        reply = await client.send("Hi", hedge=1)
        assert [500, 200] == [one.status for one in reply.attempts]
        sim.on("*", Fault.status(500))
        with pytest.raises(errors.AllFallbacksFailedError) as caught:
            await client.send("Hi", hedge=1)
    assert 3 == len(caught.value.attempts)


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_hedge_that_fails_leaves_the_late_one_running(streamed: bool) -> None:
    """The first model may be late and still the one that answers."""
    async with Simulator(reply="ok") as sim, opened(sim) as client:
        sim.behave("gpt-sim", latency=0.5)
        for model in ("gpt-sim-mini", "gpt-sim-nano"):
            sim.on(model, Fault.status(500))
        if streamed:
            stream = client.stream("Hi", hedge=0.02)
            assert "ok" == "".join([str(event) async for event in stream])
            reply = stream.response
        else:
            reply = await client.send("Hi", hedge=0.02)
    assert ("gpt-sim", 3, "ok") == (reply.model, len(reply.attempts), reply.attempts[-1].outcome)


async def test_both_lines_may_fail() -> None:
    """When neither answers the error lists the attempts of both."""
    async with Simulator() as sim, opened(sim) as client:
        sim.on("*", Fault.status(500))
        sim.behave("gpt-sim", latency=0.05)
        with pytest.raises(errors.AsyncLLMError) as caught:
            await client.send("Hi", hedge=0.01)
    assert ["gpt-sim", "gpt-sim-mini", "gpt-sim-nano"] == sorted(one.model for one in caught.value.attempts)


async def test_a_percentile_needs_samples() -> None:
    """hedge=True waits for the 95th percentile, and is off until twenty latencies are known."""
    async with Simulator(reply="ok") as sim, opened(sim) as client:
        for _ in range(20):
            await client.send("Hi", hedge=True)
        sim.on("gpt-sim", Fault.stall(after="request", times=1))
        reply = await client.send("Hi", hedge=True, timeout=5)
    assert ["cancelled", "ok"] == [one.outcome for one in reply.attempts]


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_cancelled_hedge_leaves_nothing_running(streamed: bool) -> None:
    """Cancelling the call cancels both lines, and both are in the record."""
    async with Simulator(reply=LONG) as sim, opened(sim, limits={"concurrent": 2}) as client:
        sim.on("*", Fault.stall(after="headers", times=2))

        async def ask() -> None:
            if streamed:
                await client.stream("Count", hedge=0.02).__anext__()
            else:
                await client.send("Count", hedge=0.02)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            with anyio.fail_after(10):
                while sim.count() < 2:
                    await anyio.sleep(0.002)
            tasks.cancel_scope.cancel()
        await settled(sim)
        assert [2, (0, 0)] == [sim.count(), tuple(one.queue_depth for one in client.health())]
        async with anyio.create_task_group() as tasks:
            for _ in range(4):
                tasks.start_soon(client.send, "Count")


# --- limits --------------------------------------------------------------------------------------------------


async def test_concurrency_is_limited_and_the_wait_is_told() -> None:
    """Never more than two at a time, streams included; who waited says how long; the queue is visible."""
    async with Simulator(reply=LONG, latency=0.05) as sim, opened(sim, limits={"concurrent": 2}) as client:
        replies: list[Any] = []

        async def ask(number: int) -> None:
            if number % 2:
                stream = client.stream("Count")
                async for _ in stream:
                    pass
                replies.append(stream.response)
            else:
                replies.append(await client.send("Count"))

        async with anyio.create_task_group() as tasks:
            for number in range(8):
                tasks.start_soon(ask, number)
            with anyio.fail_after(10):
                while [6] != [one.queue_depth for one in client.health()]:
                    await anyio.sleep(0.001)
        (known,) = client.health()
        assert 2 == sim.peak_in_flight
    waits = sorted(reply.attempts[0].waited for reply in replies)
    assert waits[0] < 0.01
    assert waits[-1] > 0.14
    assert (0, True) == (known.queue_depth, 0 < (known.waiting_time or 0) < waits[-1])


async def test_priority_decides_who_is_next() -> None:
    """A call with a higher priority overtakes those that wait."""
    async with Simulator(latency=0.3) as sim, opened(sim, limits={"concurrent": 1}) as client:
        done: list[str] = []

        async def ask(name: str, priority: int) -> None:
            await client.send(name, priority=priority)
            done.append(name)

        async with anyio.create_task_group() as tasks:
            for name, priority in (("first", 0), ("second", 0), ("urgent", 9), ("low", -1)):
                tasks.start_soon(ask, name, priority)
                await anyio.sleep(0.001)
            sim.behave("*", latency=0)
    assert ["first", "urgent", "second", "low"] == done


async def test_a_limit_never_holds_a_call_past_its_deadline() -> None:
    """Who cannot go in time gets LimitTimeoutError, and nothing was sent."""
    limits = {"requests_per_minute": 1}
    async with Simulator() as sim, opened(sim, limits=limits) as client:
        await client.send("Hi")
        began = anyio.current_time()
        with pytest.raises(errors.LimitTimeoutError):
            await client.send("Hi", timeout=0.05)
        assert 0.03 < anyio.current_time() - began < 0.4
        assert 1 == sim.count()


async def test_limits_of_a_provider_and_of_a_model() -> None:
    """An entry's limits hold for it alone, and its models may have their own."""
    async with Simulator() as sim:
        config = sim.config(**OFF)
        config["providers"]["openai"]["limits"] = {"models": {"gpt-sim": {"requests_per_minute": 1}}}
        config["providers"]["openai"]["fallback_models"] = ["gpt-sim"]  # nobody to go on to
        config["providers"]["anthropic"]["limits"] = {"tokens_per_minute": 5000}
        async with Client(config, environ={}) as client:
            await client.send("Hi", timeout=20)
            with pytest.raises(errors.LimitTimeoutError):
                await client.send("Hi", timeout=0.05)
            await client.send("Hi", model="gpt-sim-mini", timeout=20)
            for _ in range(3):  # the reservation of the assumed 4,096 tokens shrinks to what was counted
                await client.send("Hi", provider="anthropic", timeout=20)


async def test_an_abandoned_stream_gives_its_place_back() -> None:
    """Neither leaving the loop nor cancelling keeps a place under the limit."""
    async with Simulator(reply=LONG, chunk_delay=0.005) as sim, opened(sim, limits={"concurrent": 1}) as client:

        async def leave() -> None:
            async for event in client.stream("Count"):
                if event.text:
                    break

        await leave()
        gc.collect()
        with anyio.fail_after(1):
            await client.send("Hi")
        with anyio.move_on_after(0.03):
            async for _ in client.stream("Count"):
                pass
        with anyio.fail_after(1):
            await client.send("Hi")


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_native_cancel_while_waiting_takes_nothing(anyio_backend: str) -> None:
    """task.cancel() in the queue of a limit leaves no trace."""
    async with Simulator(latency=0.02) as sim, opened(sim, limits={"concurrent": 1}) as client:
        tasks = [asyncio.ensure_future(client.send("Hi")) for _ in range(5)]
        await asyncio.sleep(0.01)
        for task in tasks[1:4]:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert [False, True, True, True, False] == [isinstance(one, BaseException) for one in outcomes]
        assert (2, 0) == (sim.count(), client.health()[0].queue_depth)


async def test_a_stale_connection_is_an_attempt_of_its_own() -> None:
    """The server closed a kept connection: one more attempt at once, a row for each, and no failure of the target."""
    async with Simulator() as sim, opened(sim, limits={"concurrent": 1}) as client:
        sim.on("*", Fault.stale(late=True, times=1))
        await client.send("Hi")
        reply = await client.send("Hi")
        (known,) = client.health()
    assert [("error", errors.ConnectionLostError), ("ok", type(None))] == [
        (one.outcome, type(one.error)) for one in reply.attempts
    ]
    assert (0, "closed", 2) == (known.failures, known.state, known.attempts)


# --- routing -------------------------------------------------------------------------------------------------


async def test_load_balancing_splits_and_sticks() -> None:
    """Calls are split by weight, the same key goes to the same model, and the variant stays with a fallback."""
    routing = {
        "strategy": "load_balance",
        "targets": [{"model": "gpt-sim", "weight": 3}, {"provider": "anthropic", "model": "claude-sim", "weight": 1}],
    }
    async with Simulator() as sim, opened(sim, routing=routing) as client:
        firsts = Counter([(await client.send("Hi", sticky_key=f"user-{number}")).provider for number in range(60)])
        assert firsts["openai"] > firsts["anthropic"] > 3
        again = {(await client.send("Hi", sticky_key="user-7")).provider for _ in range(5)}
        assert 1 == len(again)
        sim.on("gpt-sim", Fault.status(500))
        variants = [(await client.send("Hi")).attempts for _ in range(8)]
    assert {"openai/gpt-sim", "anthropic/claude-sim"} >= {one.variant for attempts in variants for one in attempts}
    fallen = next(attempts for attempts in variants if len(attempts) == 2)
    assert [("openai/gpt-sim", "gpt-sim"), ("openai/gpt-sim", "claude-sim")] == [
        (one.variant, one.model) for one in fallen
    ]


async def test_a_task_finds_its_model() -> None:
    """Capability routing goes by the task of a call; without one the chain of the active provider serves."""
    routing = {
        "strategy": "capability",
        "tiers": {"economy": ["gpt-sim-nano"], "premium": [["anthropic", "claude-sim"], "gpt-sim"]},
        "tasks": {"legal": "premium"},
    }
    async with Simulator() as sim, opened(sim, routing=routing) as client:
        assert "gpt-sim-nano" == (await client.send("Hi", task="speed")).model
        assert "claude-sim" == (await client.send("Hi", task="legal")).model
        stream = client.stream("Hi", task="analytical")
        async for _ in stream:
            pass
        assert ("claude-sim", "claude-sim") == (stream.response.model, stream.response.requested_model)
        assert "gpt-sim" == (await client.send("Hi")).model
        with pytest.raises(errors.BadRequestError, match="poetry"):
            await client.send("Hi", task="poetry")


@pytest.mark.slow
async def test_the_cheapest_and_the_fastest() -> None:
    """Cost goes by the configured prices, latency by what was measured."""
    prices = {"gpt-sim": {"input": 5, "output": 5}, "gpt-sim-mini": {"input": 1, "output": 1}}
    async with Simulator() as sim:
        async with opened(sim, routing={"strategy": "cost"}, catalog={"prices": prices}) as client:
            assert "gpt-sim-mini" == (await client.send("Hi")).model
        sim.behave("gpt-sim", latency=0.05)
        sim.behave("gpt-sim-nano", latency=0.05)
        async with opened(sim, routing={"strategy": "latency"}) as client:
            models = [(await client.send("Hi")).model for _ in range(20)]
    assert "gpt-sim-mini" == Counter(models).most_common(1)[0][0]


def test_health_of_the_blocking_client() -> None:
    """SyncClient passes the keywords on and has health() and reset_health()."""
    with Simulator.in_thread() as sim, SyncClient(sim.config(**OFF), environ={}) as client:
        client.send("Hi", priority=1, hedge=5, sticky_key="x")
        (known,) = client.health()
        assert ("openai", "gpt-sim", "closed", 1) == (known.provider, known.model, known.state, known.attempts)
        client.reset_health()
        with pytest.raises(errors.ConfigurationError):
            client.reset_health("nobody")


async def test_health_lives_on_in_the_next_event_loop() -> None:
    """What was learnt in one asyncio.run is known in the next, and a limit's places are free again."""

    async def fail(client: Client) -> str:
        try:
            return (await client.send("Hi", fallback=[])).text
        except errors.AsyncLLMError as error:
            return type(error).__name__

    def run() -> list[str]:
        with Simulator.in_thread() as sim:
            sim.on("gpt-sim", Fault.status(429, retry_after=50))
            client = Client(sim.config(**OFF, limits={"concurrent": 1}, timeouts={"total": 5}), environ={})
            return [asyncio.run(fail(client)) for _ in range(2)]

    assert ["RateLimitError", "CircuitOpenError"] == await anyio.to_thread.run_sync(run)
