"""A provider's bad day is not the caller's: retries, fallback, circuits and deadlines, over real sockets."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import anyio
import pydantic
import pytest

from asyncllm import Client, errors
from asyncllm._auth.keys import HeaderKey
from asyncllm._providers.spec import build_host
from asyncllm._transport.base import Headers
from asyncllm.testing import Fault, Simulator

pytestmark = pytest.mark.anyio
QUICK: dict[str, Any] = {"retry": {"base_delay": 0.002, "max_delay": 0.01}}
OFF: dict[str, Any] = {"retry": {"max_attempts": 1}}


@asynccontextmanager
async def opened(sim: Simulator, **changes: Any) -> AsyncIterator[Client]:
    async with Client(sim.config(**{**QUICK, **changes}), environ={}) as client:
        yield client


def tried(reply: Any) -> list[tuple[str, int | None]]:
    return [(attempt.model, attempt.status) for attempt in reply.attempts]


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_passing_failure_is_retried_on_the_same_model(streamed: bool) -> None:
    """Two failures and a success are one answer of the model that was asked for."""
    async with Simulator(reply="ok") as sim, opened(sim) as client:
        sim.on("gpt-sim", Fault.status(503, times=2))
        if streamed:
            stream = client.stream("Hi")
            assert "ok" == "".join([str(event) async for event in stream])
            reply = stream.response
        else:
            reply = await client.send("Hi")
    assert [("gpt-sim", 503), ("gpt-sim", 503), ("gpt-sim", 200)] == tried(reply)


async def test_attempts_are_bounded_on_a_model_and_in_a_call() -> None:
    """Three on a model, six in all, and a retry leaves an attempt for every model that was not asked yet."""
    async with Simulator() as sim, opened(sim) as client:
        sim.on("*", Fault.status(500))
        with pytest.raises(errors.AllFallbacksFailedError) as caught:
            await client.send("Hi")
        assert 6 == sim.count()
    assert [("gpt-sim", 500)] * 3 + [("gpt-sim-mini", 500)] * 2 + [("gpt-sim-nano", 500)] == tried(caught.value)


@pytest.mark.parametrize(
    "fault",
    [
        Fault.status(429, retry_after_ms=60, times=1),
        Fault.status(529, headers={"x-amz-retry-after": "60"}, times=1),
        Fault.status(503, retry_after="0.06", times=1),
    ],
    ids=["retry-after-ms", "x-amz-retry-after", "seconds"],
)
async def test_retry_after_is_obeyed(fault: Fault) -> None:
    """The next attempt comes no sooner than the provider asked for, in whichever header."""
    async with Simulator() as sim, opened(sim) as client:
        sim.on("gpt-sim", fault)
        began = anyio.current_time()
        reply = await client.send("Hi")
        assert 0.06 <= anyio.current_time() - began < 0.5
    assert [fault.code, 200] == [attempt.status for attempt in reply.attempts]


async def test_a_long_retry_after_means_the_next_model_at_once() -> None:
    """Nobody waits for more than a minute while another model can answer."""
    async with Simulator() as sim, opened(sim) as client:
        sim.on("gpt-sim", Fault.status(429, retry_after=61))
        reply = await client.send("Hi")
        assert [("gpt-sim", 429), ("gpt-sim-mini", 200)] == tried(reply)
        again = await client.send("Hi")
        assert [("gpt-sim-mini", 200)] == tried(again)
        (limited, _) = client.health()
    assert ("open", "cooldown", 0) == (limited.state, limited.reason, limited.failures)
    assert 59 < limited.retry_after <= 61


async def test_callers_wait_for_a_short_cooldown() -> None:
    """With a single target that asked for a pause, a new call waits for its end instead of failing."""
    async with Simulator() as sim, opened(sim, **OFF) as client:
        sim.on("gpt-sim", Fault.status(429, retry_after_ms=80, times=1))
        with pytest.raises(errors.RateLimitError):
            await client.send("Hi", fallback=[])
        began = anyio.current_time()
        assert (await client.send("Hi", fallback=[])).text
        assert 0.06 <= anyio.current_time() - began < 0.5
        sim.on("gpt-sim", Fault.status(429, retry_after=20, times=1))
        with pytest.raises(errors.RateLimitError):
            await client.send("Hi", fallback=[])
        with pytest.raises(errors.CircuitOpenError) as caught:
            await client.send("Hi", fallback=[], timeout=5)
    assert 19 < (caught.value.retry_after or 0) <= 20


async def test_the_provider_may_forbid_and_ask_for_retries() -> None:
    """x-should-retry outranks what the status would mean."""
    async with Simulator() as sim, opened(sim) as client:
        sim.on("gpt-sim", Fault.status(503, should_retry=False, times=1))
        assert [("gpt-sim", 503), ("gpt-sim-mini", 200)] == tried(await client.send("Hi"))
        sim.on("gpt-sim", Fault.status(400, should_retry=True, times=1))
        assert [("gpt-sim", 400), ("gpt-sim", 200)] == tried(await client.send("Hi"))


async def test_one_deadline_bounds_retries_waits_and_fallbacks() -> None:
    """With more waiting ahead than time left, the call ends within its deadline."""
    async with Simulator() as sim, opened(sim, retry={"base_delay": 8, "max_delay": 8}) as client:
        sim.on("*", Fault.status(503))
        began = anyio.current_time()
        with pytest.raises((errors.AllFallbacksFailedError, errors.DeadlineExceededError)):
            await client.send("Hi", timeout=0.2)
        assert anyio.current_time() - began < 0.6
        assert sim.count() <= 6


async def test_every_hop_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Provider, model, class of the error and request id, at WARNING; retries within a model are no hops."""
    async with Simulator() as sim, opened(sim) as client:
        sim.on("gpt-sim", Fault.status(500))
        with caplog.at_level(logging.WARNING, "asyncllm"):
            reply = await client.send("Hi")
    (record,) = caplog.records
    assert "openai/gpt-sim failed (ServerError, status 500" in record.message
    assert str(reply.attempts[2].request_id) in record.message


class Renewable(HeaderKey):
    """A key that becomes a good one when it is refreshed."""

    def __init__(self) -> None:
        super().__init__(None)
        self.key = "expired"
        self.refreshed = 0
        self.works = True

    async def sign(self, method: str, url: str, headers: Headers, body: bytes) -> Headers:
        return Headers([*headers, ("authorization", f"Bearer {self.key}")])

    async def refresh(self) -> bool:
        self.refreshed += 1
        if not self.works:
            raise errors.AuthenticationError("no token to be had")
        self.key = "sk-sim-fresh"
        return True


@pytest.mark.parametrize("works", [True, False])
async def test_a_refused_credential_is_refreshed_once(works: bool) -> None:
    """After a 401 a new credential is fetched and the attempt made again, even where retries are off."""
    async with Simulator(require_key=True) as sim:
        auth = Renewable()
        auth.works = works
        entry = {"api_key": "x", "base_url": sim.url("openai")}
        host = replace(build_host("openai", "openai", {**entry, "api_key": pydantic.SecretStr("x")}, {}), auth=auth)
        config = {"active_provider": "openai", "active_model": "m", "providers": {"openai": entry}, **OFF}
        async with Client(config, providers=[host], environ={}) as client:
            if works:
                reply = await client.send("Hi")
                assert [401, 200] == [attempt.status for attempt in reply.attempts]
                auth.key = "expired"
                assert (await client.send("Hi")).text
            else:
                with pytest.raises(errors.AuthenticationError, match=r"\S"):
                    await client.send("Hi")
                assert ("open", "credential") == (client.health()[0].state, client.health()[0].reason)
    assert (2 if works else 1) == auth.refreshed


async def test_a_refused_key_switches_the_provider_off() -> None:
    """All its models are off; as the last resort one attempt a second still asks; reset_health asks at once."""
    async with Simulator(reply="ok") as sim, opened(sim) as client:
        sim.on("*", Fault.status(401))
        with pytest.raises(errors.AuthenticationError):
            await client.send("Hi")
        with pytest.raises(errors.AuthenticationError):
            await client.send("Hi", model="gpt-sim-nano")
        assert 2 == sim.count()
        with pytest.raises(errors.CircuitOpenError) as caught:
            await client.send("Hi", model="gpt-sim-nano", fallback=[])
        assert ("credential", 2) == (caught.value.code, sim.count())
        assert 0 < (caught.value.retry_after or 0) <= 1
        sim.off()
        client.reset_health("openai")
        assert "ok" == (await client.send("Hi")).text
        with pytest.raises(errors.ConfigurationError, match="opnai"):
            client.reset_health("opnai")


async def test_a_model_that_is_gone_is_not_asked_again() -> None:
    """After a 404 the next calls go to the next model without a try."""
    async with Simulator() as sim, opened(sim) as client:
        sim.on("gpt-sim", Fault.status(404))
        assert [("gpt-sim", 404), ("gpt-sim-mini", 200)] == tried(await client.send("Hi"))
        assert [("gpt-sim-mini", 200)] == tried(await client.send("Hi"))


@pytest.mark.parametrize("status", [401, 402, 500])
async def test_other_providers_only_where_the_configuration_says_so(status: int) -> None:
    """cross_provider_fallback goes on to the other providers' first models; without it nobody else is asked, ever."""
    async with Simulator(reply="ok") as sim:
        sim.on("*", Fault.status(status), provider="openai")
        async with opened(sim, **OFF) as client:
            with pytest.raises(errors.AsyncLLMError):
                await client.send("Hi")
            assert {"openai"} == {request.provider for request in sim.requests}
        async with opened(sim, **OFF, cross_provider_fallback=True) as client:
            reply = await client.send("Hi")
            assert ("ok", "anthropic", "claude-sim") == (reply.text, reply.provider, reply.model)
            stream = client.stream("Hi")
            assert "ok" == "".join([str(event) async for event in stream])
            assert "anthropic" == stream.response.provider


async def test_a_provider_without_its_key_is_no_fallback() -> None:
    """Going across providers passes over those that cannot be used."""
    async with Simulator(reply="ok") as sim:
        config = sim.config(cross_provider_fallback=True, **OFF)
        config["providers"]["anthropic"]["api_key"] = "${NOT_SET}"
        sim.on("*", Fault.status(500), provider="openai")
        async with Client(config, environ={}) as client:
            assert "gemini" == (await client.send("Hi")).provider


async def test_a_prompt_too_long_goes_to_a_larger_window_only() -> None:
    """Of the chain only a model whose window is known to be larger is asked."""
    windows = {"gpt-sim": 100, "gpt-sim-mini": 100, "gpt-sim-nano": 100_000}
    capabilities = {model: {"context_window": window} for model, window in windows.items()}
    async with Simulator() as sim:
        for model, window in windows.items():
            sim.behave(model, context_window=window)
        async with opened(sim, catalog={"capabilities": capabilities}) as client:
            reply = await client.send("word " * 200)
            assert ["gpt-sim", "gpt-sim-nano"] == [attempt.model for attempt in reply.attempts]
        async with opened(sim) as client:
            with pytest.raises(errors.ContextWindowExceededError):
                await client.send("word " * 200)


async def test_a_dead_target_is_passed_over_and_comes_back() -> None:
    """Ten failures open the circuit; then the next model answers without a try, and health() says why."""
    async with Simulator() as sim, opened(sim, **OFF) as client:
        sim.on("gpt-sim", Fault.status(500))
        for _ in range(10):
            assert 2 == len((await client.send("Hi")).attempts)
        assert [("gpt-sim-mini", 200)] == tried(await client.send("Hi"))
        dead, living = client.health()
        assert ("open", "failures", 10, 10, 1.0) == (
            dead.state,
            dead.reason,
            dead.failures,
            dead.consecutive_failures,
            dead.failure_rate,
        )
        assert 29 < dead.retry_after <= 30
        assert ("closed", None, 11, 0) == (living.state, living.reason, living.attempts, living.failures)
        assert living.latency_p50 and living.latency_p95 and living.latency_p50 <= living.latency_p95
        assert (500, None) == (living.retry_quota, living.waiting_time)


@pytest.mark.slow
async def test_when_everything_is_off_one_attempt_a_second_passes() -> None:
    """A single target: after ten failures calls fail at once with CircuitOpenError, until a passing one succeeds."""
    async with Simulator(reply="ok") as sim, opened(sim, **OFF) as client:
        sim.on("*", Fault.status(500))
        for _ in range(11):  # the eleventh passes as the attempt of this second
            with pytest.raises(errors.ServerError):
                await client.send("Hi", fallback=[])
        for _ in range(20):
            with pytest.raises(errors.CircuitOpenError, match=r"reset_health") as caught:
                await client.send("Hi", fallback=[])
        assert (11, "failures") == (sim.count(), caught.value.code)
        assert 0 < (caught.value.retry_after or 0) <= 1
        sim.off()
        await anyio.sleep(caught.value.retry_after or 0)
        assert "ok" == (await client.send("Hi", fallback=[])).text
        assert "closed" == client.health()[0].state
        assert "ok" == (await client.send("Hi", fallback=[])).text


@pytest.mark.slow
async def test_a_dead_host_costs_less_than_a_second() -> None:
    """A refused connection is tried again and left for a living host within a second."""
    async with Simulator(reply="ok") as sim:
        config = sim.config()
        config["providers"]["openai"]["base_url"] = "http://127.0.0.1:9/v1"
        async with Client(config, environ={}) as client:
            began = anyio.current_time()
            reply = await client.send("Hi", fallback=[("anthropic", "claude-sim")])
            assert anyio.current_time() - began < 1
    assert [errors.ConnectError] * 3 + [type(None)] == [type(attempt.error) for attempt in reply.attempts]


async def test_bad_waiting_keywords_get_a_sentence() -> None:
    """timeout, hedge, priority and on_interrupt are checked before anything is sent."""
    async with Simulator() as sim, opened(sim) as client:
        for keywords in (
            {"timeout": 0},
            {"timeout": "soon"},
            {"hedge": -1},
            {"hedge": "fast"},
            {"priority": 1.5},
            {"on_interrupt": "restrat"},
        ):
            with pytest.raises(errors.BadRequestError, match=next(iter(keywords))):
                await client.send("Hi", **keywords)  # type: ignore[arg-type]
            with pytest.raises(errors.BadRequestError, match=next(iter(keywords))):
                client.stream("Hi", **keywords)  # type: ignore[arg-type]
        assert 0 == len(sim.requests)
