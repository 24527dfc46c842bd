"""Each timeout by itself: exact on a clock that jumps, never early and soon after on a real one."""

from __future__ import annotations

import time
from typing import Any

import anyio
import pytest
import trio
import trio.testing

from asyncllm import Client, errors
from asyncllm.testing import Fault, Simulator

pytestmark = pytest.mark.slow
LONG = "one two three four five six seven eight nine ten eleven twelve"
WAIT = 0.3
REAL: tuple[tuple[str, dict[str, float], float | None, Fault, bool, type[Exception]], ...] = (
    ("first_content", {"first_content": WAIT}, None, Fault.stall(after="request"), True, errors.FirstTokenTimeoutError),
    ("first_content", {"first_content": WAIT}, None, Fault.heartbeats(interval=0.02), True,
     errors.FirstTokenTimeoutError),
    ("idle", {"idle": WAIT}, None, Fault.stall(after="content"), True, errors.IdleTimeoutError),
    ("idle", {"idle": WAIT}, None, Fault.stall(after="headers"), False, errors.IdleTimeoutError),
    ("no_content", {"no_content": WAIT}, None, Fault.heartbeats(interval=0.02, after_events=1), True,
     errors.NoContentTimeoutError),
    ("total", {"total": WAIT}, None, Fault.stall(after="request"), False, errors.DeadlineExceededError),
    ("total", {"total": WAIT}, None, Fault.heartbeats(interval=0.02), True, errors.DeadlineExceededError),
    ("timeout=", {}, WAIT, Fault.stall(after="request"), False, errors.DeadlineExceededError),
    ("timeout=", {}, WAIT, Fault.heartbeats(interval=0.02, after_events=1), True, errors.DeadlineExceededError),
)  # fmt: skip


@pytest.mark.anyio
async def test_on_a_real_clock(record: Any, anyio_backend: str) -> None:
    """A comment-only heartbeat resets nothing but idle; every timeout is kept to the half second, none is early."""
    late = []
    async with Simulator(reply=LONG) as sim:
        for _, timeouts, timeout, fault, streamed, kind in REAL:
            sim.off()
            sim.on("*", fault)
            config = sim.config(retry={"max_attempts": 1}, timeouts=timeouts)
            async with Client(config, environ={}) as client:
                began = time.monotonic()
                with pytest.raises(errors.AsyncLLMError) as caught:
                    if streamed:
                        async for _event in client.stream("Hi", fallback=[], timeout=timeout):
                            began = max(began, time.monotonic()) if timeout is None else began
                    else:
                        await client.send("Hi", fallback=[], timeout=timeout)
                late.append(time.monotonic() - began - WAIT)
            assert kind in (type(caught.value), type(caught.value.__cause__))
    record(
        f"{len(REAL)} timeouts in real time, {anyio_backend}",
        f"{-min(0.0, *late) * 1000:.0f} ms early, at most {max(late) * 1000:.0f} ms late",
        "never early, <= 500 ms late",
    )
    assert min(late) > -0.02  # the moment of the last event is read a little after it came
    assert max(late) <= 0.5


class Silent:
    """A transport whose answer has so many words, and then heartbeats or nothing."""

    status = 200
    headers = {"content-type": "text/event-stream"}  # noqa: RUF012  # never changed

    def __init__(self, words: int, heartbeat: float | None) -> None:
        self.heartbeat = heartbeat
        self.lost = trio.Event()
        self.pieces = [b'data: {"choices":[{"index":0,"delta":{"content":"Hi"}}]}\n\n'] * words

    async def send(self, request: object) -> Any:
        await trio.sleep_forever()

    async def stream(self, request: object) -> Silent:
        return self

    async def receive(self) -> bytes:
        if self.pieces:
            return self.pieces.pop()
        with trio.move_on_after(self.heartbeat or float("inf")):
            await self.lost.wait()
            raise errors.ConnectionLostError("aborted")
        return b": still here\n\n"

    def abort(self) -> None:
        self.lost.set()

    def release(self) -> None: ...
    def forget(self) -> None: ...
    async def aclose(self) -> None: ...


class Offline(Client):
    """A client on such a transport."""

    silent: Silent

    def _build_transport(self, background: object) -> Any:
        return self.silent


EXACT: tuple[tuple[float, type[Exception], dict[str, float], float | None, int, float | None, bool], ...] = (
    (300, errors.FirstTokenTimeoutError, {}, None, 0, None, True),
    (300, errors.FirstTokenTimeoutError, {}, None, 0, 7, True),
    (12, errors.FirstTokenTimeoutError, {"first_content": 12}, None, 0, 7, True),
    (60, errors.IdleTimeoutError, {}, None, 1, None, True),
    (20, errors.IdleTimeoutError, {"idle": 20}, None, 3, None, True),
    (300, errors.NoContentTimeoutError, {}, None, 1, 7, True),
    (90, errors.NoContentTimeoutError, {"no_content": 90}, None, 1, 7, True),
    (600, errors.DeadlineExceededError, {}, None, 0, None, False),
    (33, errors.DeadlineExceededError, {"total": 33}, None, 0, 7, True),
    (45, errors.DeadlineExceededError, {}, 45, 1, 7, True),
    (700, errors.DeadlineExceededError, {"no_content": 1000}, 700, 1, 7, True),
)


def test_on_a_clock_that_jumps(record: Any) -> None:
    """Each timeout fires at its moment exactly, with its default and with another value."""

    async def run(timeouts: dict[str, float], timeout: float | None, silent: Silent, streamed: bool) -> Any:
        config = {
            "active_provider": "openai",
            "active_model": "m",
            "providers": {"openai": {"api_key": "k"}},
            "cost_tracking": {"enabled": False},  # the clock would jump ahead of the ledger's thread
            "timeouts": timeouts,
            "retry": {"max_attempts": 1},
        }
        client = Offline(config, environ={})
        client.silent = silent
        began = trio.current_time()
        with pytest.raises(errors.AsyncLLMError) as caught:
            if streamed:
                async for _ in client.stream("Hi", timeout=timeout):
                    pass
            else:
                await client.send("Hi", timeout=timeout)
        await client.aclose()
        return round(trio.current_time() - began, 6), type(caught.value.__cause__ or caught.value)

    for seconds, kind, timeouts, timeout, words, heartbeat, streamed in EXACT:
        clock = trio.testing.MockClock(autojump_threshold=0)
        assert (seconds, kind) == trio.run(run, timeouts, timeout, Silent(words, heartbeat), streamed, clock=clock)
    record(f"{len(EXACT)} timeouts on a clock that jumps", "0 s off", "exact")


def test_retries_waits_and_fallbacks_share_one_deadline(record: Any) -> None:
    """On a clock that jumps: however much waiting lies ahead, the call ends at its deadline at the latest."""

    class Failing(Silent):
        async def send(self, request: object) -> Any:
            await trio.sleep(1)
            raise errors.OverloadedError("busy", status=503, retry_after=20)

    async def run(timeout: float) -> float:
        config = {
            "active_provider": "openai",
            "providers": {"openai": {"api_key": "k", "fallback_models": ["a", "b", "c"]}},
            "cost_tracking": {"enabled": False},
            "retry": {"max_attempts": 50, "max_attempts_per_call": 500},
        }
        async with Offline(config, environ={}) as client:  # what a first call imports takes real time, in a thread
            client.silent = Failing(0, None)
            began = trio.current_time()
            with pytest.raises(errors.AsyncLLMError), anyio.fail_after(timeout + 1):
                await client.send("Hi", timeout=timeout)
            return float(trio.current_time() - began)

    ends = [
        trio.run(run, timeout, clock=trio.testing.MockClock(autojump_threshold=0)) - timeout
        for timeout in (0.5, 10.0, 30.0, 100.0, 500.0)
    ]
    record("one deadline over retries, waits and fallbacks", f"latest {max(ends):+.3f} s", "<= 0 s")
    assert max(ends) <= 1e-6
