"""Many calls while much goes wrong: how many fail, what an outage costs, how soon it is over."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
import trio
import trio.testing

from asyncllm import Client, errors
from asyncllm._transport.base import HTTPReply
from asyncllm.testing import Fault, Simulator
from machine_speed import slowness

pytestmark = pytest.mark.slow
AT_ONCE = 64
SHARE = 0.3  # of the attempts go wrong
STALL = 4
FAULTS: tuple[Callable[[float], Fault], ...] = (
    lambda share: Fault.status(429, probability=share),
    lambda share: Fault.status(503, probability=share),
    lambda share: Fault.status(500, probability=share),
    lambda share: Fault.reset(probability=share),
    lambda share: Fault.stall(after="headers", probability=share),
    lambda share: Fault.error_event(status=529, probability=share),
)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Thousands of hops are not worth printing."""
    logger = logging.getLogger("asyncllm")
    before, logger.level = logger.level, logging.CRITICAL
    yield
    logger.setLevel(before)


def inject(sim: Simulator, stalls: bool = True) -> None:
    """Thirty percent of faults, of each kind as many: a later rule sees only what the earlier ones left."""
    kinds = [make for number, make in enumerate(FAULTS) if stalls or number != STALL]
    left = 1.0
    for make in kinds:
        sim.on("*", make(SHARE / len(kinds) / left))
        left -= SHARE / len(kinds)


async def together(number: int, work: Callable[[int], Awaitable[None]]) -> None:
    """Does the work ``number`` times, sixty-four at once."""
    numbers = iter(range(number))

    async def worker() -> None:
        for one in numbers:
            await work(one)

    async with anyio.create_task_group() as tasks:
        for _ in range(AT_ONCE):
            tasks.start_soon(worker)


async def one_call(client: Client, number: int) -> tuple[str, int]:
    """How a call ended, and how many attempts it says it made."""
    try:
        if number % 2:
            stream = client.stream("Hi")
            async for _ in stream:
                pass
            reply = stream.response
        else:
            reply = await client.send("Hi")
    except errors.AsyncLLMError as error:
        return type(error).__name__, len(error.attempts)
    return "ok", len(reply.attempts)


@pytest.mark.parametrize(("most", "stalls"), [(6, True), (9, True), (9, False)])
def test_thirty_percent_of_faults(record: Any, full: bool, tmp_path: Path, most: int, stalls: bool) -> None:
    """Three models, faults before the first content, half of the calls streams: next to none of them fail.

    A stalled model is not asked again, so with stalls a call may end after three attempts.
    """
    calls = 10_000 if full else 400
    ends: Counter[str] = Counter()
    attempts: list[int] = []

    async def run() -> tuple[int, int, int, list[str]]:
        tasks_before = len(asyncio.all_tasks())
        async with Simulator(seed=1, reply="ok", keep=0) as sim:
            inject(sim, stalls)
            retry = {"base_delay": 0.05 if not full else 0.5, "max_attempts_per_call": most}
            seconds = 2.0 if full else slowness()  # 64 calls and their server share a core with everything else
            patience = {"first_content": seconds, "idle": seconds}
            ledger = {"database": f"sqlite:///{tmp_path}/ledger.db"}
            config = sim.config(retry=retry, timeouts=patience, cost_tracking=ledger)
            async with Client(config, environ={}) as client:

                async def work(number: int) -> None:
                    end, made = await one_call(client, number)
                    ends[end] += 1
                    attempts.append(made)

                await together(calls, work)
                await client.ledger.flush()
                booked = [row.status async for row in client.ledger.records()]
            with anyio.move_on_after(5):
                while sim.open_connections:
                    await anyio.sleep(0.01)
            leaked = sim.open_connections
            served = sim.count()
        return served, leaked, len(asyncio.all_tasks()) - tasks_before, booked

    descriptors = sum(1 for _ in Path("/proc/self/fd").iterdir())
    served, leaked, tasks, booked = asyncio.run(run())
    gc.collect()
    descriptors = sum(1 for _ in Path("/proc/self/fd").iterdir()) - descriptors
    failed = (calls - ends["ok"]) / calls
    record(
        f"{calls} calls, 30% faults{'' if stalls else ' without stalls'}, at most {most} attempts a call",
        f"{failed:.3%} failed ({dict(ends)}), {served / calls:.3f} attempts a call",
        "< 0.5%, aim 0.01%",
    )
    record("  attempts told, in the ledger, at the server", f"{sum(attempts)}, {len(booked)}, {served}", "equal")
    record("  leaked connections, tasks, descriptors", f"{leaked}, {tasks}, {descriptors}", "0, 0, 0")
    assert failed < (0.005 if full else 0.02)
    assert {served} == {sum(attempts), len(booked)}
    assert {"ok", "error"} == set(booked)
    assert (0, 0, 0) == (leaked, tasks, max(0, descriptors))


def test_a_total_outage(record: Any, full: bool) -> None:
    """When nothing works, calls fail at once instead of adding to the load."""
    calls = 10_000 if full else 2000
    served: list[int] = []

    async def run() -> None:
        async with Simulator(keep=0) as sim, Client(sim.config(), environ={}) as client:
            sim.on("*", Fault.status(503))
            done = 0

            async def work(number: int) -> None:
                nonlocal done
                await one_call(client, number)
                done += 1
                if done == 1000:
                    served.append(sim.count())

            await together(calls, work)
            served.append(sim.count())

    asyncio.run(run())
    whole, later = served[1] / calls, (served[1] - served[0]) / (calls - 1000)
    record("total outage: attempts a call, and after the first 1,000", f"{whole:.3f}, {later:.4f}", "<= 1.1, <= 0.1")
    assert whole <= 1.1
    assert later <= 0.1


def test_recovery_without_an_alternative(record: Any) -> None:
    """A single target that comes back is in use within a second and one call."""

    async def run() -> float:
        async with Simulator() as sim, Client(sim.config(retry={"max_attempts": 1}), environ={}) as client:
            sim.on("*", Fault.status(503))
            for number in range(30):
                await one_call(client, number)
            sim.off()
            began = time.monotonic()
            while True:
                try:
                    await client.send("Hi", fallback=[])
                except errors.CircuitOpenError:
                    await anyio.sleep(0.005)
                else:
                    return time.monotonic() - began

    seconds = asyncio.run(run())
    record("recovery of a single target", f"{seconds:.3f} s", "<= 1 s + one call")
    assert seconds <= 1.5


class ByModel:
    """A transport whose models work or do not, as the test says."""

    def __init__(self) -> None:
        self.dead: set[str] = set()
        self.asked: list[str] = []

    async def send(self, request: Any) -> HTTPReply:
        model = "first" if b'"first"' in request.body else "second"
        self.asked.append(model)
        if model in self.dead:
            return HTTPReply(status=503, headers={}, body=b"{}")
        message = {"role": "assistant", "content": "ok"}
        body = f'{{"id":"1","model":"{model}","choices":[{{"index":0,"message":{message},"finish_reason":"stop"}}]}}'
        return HTTPReply(status=200, headers={}, body=body.replace("'", '"').encode())

    def forget(self) -> None: ...
    async def aclose(self) -> None: ...


class Offline(Client):
    """A client on such a transport."""

    transport: ByModel

    def _build_transport(self, background: object) -> Any:
        return self.transport


def test_recovery_beside_an_alternative(record: Any) -> None:
    """On a clock that jumps: a target that recovers is asked again after its thirty seconds, by one probe."""

    async def run() -> tuple[float, int]:
        config = {
            "active_provider": "openai",
            "providers": {"openai": {"api_key": "k", "fallback_models": ["first", "second"]}},
            "cost_tracking": {"enabled": False},  # the clock would jump ahead of the ledger's thread
        }
        client = Offline(config, environ={})
        transport = client.transport = ByModel()
        transport.dead = {"first"}
        for _ in range(10):
            await client.send("Hi")
        opened = next(one.retry_after for one in client.health() if one.model == "first")
        transport.dead = set()
        transport.asked.clear()
        began = trio.current_time()
        while (await client.send("Hi")).model != "first":
            await trio.sleep(0.01)
        seconds = trio.current_time() - began
        await client.aclose()
        assert seconds <= opened + 0.02
        return seconds, transport.asked.count("first")

    seconds, probes = trio.run(run, clock=trio.testing.MockClock(autojump_threshold=0))
    record("recovery beside a living target", f"{seconds:.2f} s, {probes} probe", "<= 30 s + one probe")
    assert (1, True) == (probes, seconds <= 30.02)


@pytest.mark.anyio
async def test_failover_from_a_dead_host(record: Any, anyio_backend: str) -> None:
    """Connections are refused on one host: the other one answers every call, the first within a second."""
    async with Simulator(reply="ok") as sim:
        config = sim.config(cross_provider_fallback=True)
        config["providers"]["openai"]["base_url"] = "http://127.0.0.1:9/v1"
        config["providers"]["openai"]["fallback_models"] = ["gpt-sim"]
        async with Client(config, environ={}) as client:
            seconds = []
            for _ in range(50):
                began = time.monotonic()
                assert "ok" == (await client.send("Hi")).text
                seconds.append(time.monotonic() - began)
    record(
        f"failover from a refusing host, {anyio_backend}",
        f"0 of 50 failed, worst {max(seconds):.3f} s, median {sorted(seconds)[25] * 1000:.1f} ms",
        "< 1 s, 0 failed",
    )
    assert max(seconds) < 1
