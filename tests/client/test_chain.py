"""Along the chain: who is asked, who waits for whom, what was paused or blocked, and what one caller may not do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from answering_server import serving
from asyncllm import Client, ResponseEnd, ResponseStart, errors
from asyncllm.testing import Fault, Reply, Simulator

pytestmark = pytest.mark.anyio
QUICK: dict[str, Any] = {"retry": {"base_delay": 0.002, "max_delay": 0.01}}
OFF: dict[str, Any] = {"retry": {"max_attempts": 1}}
CHAIN = ["gpt-sim-mini", "gpt-sim-nano"]


@asynccontextmanager
async def opened(sim: Simulator, **changes: Any) -> AsyncIterator[Client]:
    async with Client(sim.config(**{**QUICK, **changes}), environ={}) as client:
        yield client


async def ask(client: Client, streamed: bool, **keywords: Any) -> Any:
    """The reply, taken whole or as a stream."""
    if not streamed:
        return await client.send("Hi", **keywords)
    stream = client.stream("Hi", **keywords)
    text = "".join([str(event) async for event in stream])
    assert text == stream.response.text
    return stream.response


both_ways = pytest.mark.parametrize("streamed", [False, True], ids=["unary", "streamed"])


# --- who is asked ----------------------------------------------------------------------------------------------------


@both_ways
async def test_a_longer_chain_than_attempts_is_asked_to_its_end(streamed: bool) -> None:
    """Every target has one attempt, however few the attempts of a call; the last one answers."""
    async with (
        Simulator(reply="ok") as sim,
        opened(sim, retry={"max_attempts_per_call": 2, "base_delay": 0.001}) as client,
    ):
        chain = ["gpt-sim-a", "gpt-sim-b", "gpt-sim-c", "gpt-sim-d"]
        for model in ("gpt-sim", *chain[:-1]):
            sim.on(model, Fault.status(500))
        reply = await ask(client, streamed, fallback=chain)
    assert ["gpt-sim", *chain] == [attempt.model for attempt in reply.attempts]


async def test_a_hop_is_allowed_where_no_retry_is(caplog: pytest.LogCaptureFixture) -> None:
    """The retries of the first model stop where they would take the attempts of the others."""
    async with Simulator() as sim, opened(sim, retry={"max_attempts_per_call": 4, "base_delay": 0.001}) as client:
        sim.on("*", Fault.status(503))
        with pytest.raises(errors.AllFallbacksFailedError) as caught:
            await client.send("Hi", fallback=CHAIN)
    assert ["gpt-sim", "gpt-sim", *CHAIN] == [attempt.model for attempt in caught.value.attempts]
    assert {} == caught.value.not_asked


async def test_the_deadline_names_whom_it_left_unasked() -> None:
    """When the time is over, the error says which targets were not asked."""
    async with Simulator() as sim, opened(sim, **OFF) as client:
        sim.on("gpt-sim", Fault.stall(after="request"))
        with pytest.raises(errors.DeadlineExceededError, match="not asked: openai/gpt-sim-mini") as caught:
            await client.send("Hi", timeout=0.1, fallback=CHAIN)
    assert ["openai/gpt-sim-mini", "openai/gpt-sim-nano"] == list(caught.value.not_asked)


@both_ways
async def test_both_lines_of_a_hedged_call_raise_what_a_chain_raises(streamed: bool) -> None:
    """The class is the same with and without hedging, and every attempt is in the error."""
    async with Simulator(latency=0.05) as sim, opened(sim, **OFF) as client:
        sim.on("*", Fault.status(503))
        with pytest.raises(errors.AllFallbacksFailedError) as caught:
            await ask(client, streamed, fallback=CHAIN, hedge=0.01)
    assert ["gpt-sim", *CHAIN] == sorted(attempt.model for attempt in caught.value.attempts)


# --- who waits -------------------------------------------------------------------------------------------------------


@both_ways
async def test_a_throttled_target_is_not_waited_for_while_another_is_free(streamed: bool) -> None:
    """Six seconds are longer than a call waits with another model at hand; the pause stays on its target."""
    async with Simulator(reply="ok") as sim, opened(sim) as client:
        sim.on("gpt-sim", Fault.status(429, retry_after=6, times=1))
        began = anyio.current_time()
        reply = await ask(client, streamed, fallback=CHAIN)
        assert ["gpt-sim", "gpt-sim-mini"] == [attempt.model for attempt in reply.attempts]
        assert "gpt-sim-mini" == (await ask(client, streamed, fallback=CHAIN)).model
        assert anyio.current_time() - began < 3
        assert 3 < client.health()[0].retry_after <= 6


async def test_a_short_pause_is_waited_for() -> None:
    """Another model is asked only for a pause longer than `wait_before_fallback`."""
    retry = {"base_delay": 0.002, "wait_before_fallback": 0.05}
    async with Simulator(reply="ok") as sim, opened(sim, retry=retry) as client:
        sim.on("gpt-sim", Fault.status(429, retry_after_ms=30, times=1))
        assert "gpt-sim" == (await client.send("Hi", fallback=CHAIN)).model
        sim.on("gpt-sim", Fault.status(429, retry_after_ms=90, times=1))
        assert "gpt-sim-mini" == (await client.send("Hi", fallback=CHAIN)).model


async def test_where_all_are_throttled_the_first_pause_is_waited_for() -> None:
    """With nobody left the call waits for the target that is free first, and asks that one."""
    retry = {"base_delay": 0.002, "wait_before_fallback": 0}
    async with Simulator(reply="ok") as sim, opened(sim, retry=retry) as client:
        sim.on("gpt-sim", Fault.status(429, retry_after_ms=4000, times=1))
        sim.on("gpt-sim-mini", Fault.status(429, retry_after_ms=100, times=1))
        began = anyio.current_time()
        reply = await client.send("Hi", fallback=["gpt-sim-mini"])
        assert 0.1 <= anyio.current_time() - began < 3
    assert ["gpt-sim", "gpt-sim-mini", "gpt-sim-mini"] == [attempt.model for attempt in reply.attempts]


@pytest.mark.parametrize("header", [{"retry_after": "0"}, {"retry_after": "Wed, 21 Oct 2015 07:28:00 GMT"}])
async def test_a_retry_after_that_says_nothing_is_the_usual_pause(header: dict[str, Any]) -> None:
    """0 and a date in the past are no advice: the backoff decides."""
    async with Simulator() as sim, opened(sim, retry={"base_delay": 4, "max_delay": 8}) as client:
        sim.on("*", Fault.status(429, **header))
        with pytest.raises((errors.RateLimitError, errors.DeadlineExceededError)):
            await client.send("Hi", fallback=[], timeout=0.5)
        assert sim.count() <= 2


# --- pauses of the provider ------------------------------------------------------------------------------------------


class Pausing:
    """A model that pauses so many times, and goes on with what it said before."""

    def __init__(self, times: int) -> None:
        self.times = times
        self.asked: list[Any] = []

    def __call__(self, request: Any) -> Reply:
        self.asked.append(request)
        number = len(self.asked)
        finish: Any = "pause" if number <= self.times else "stop"
        return Reply(text=f"part {number} ", finish=finish, input_tokens=10, output_tokens=5)


@both_ways
async def test_a_paused_reply_is_continued(streamed: bool) -> None:
    """To the caller it is one reply: all of the text, all tokens, every attempt."""
    model = Pausing(2)
    async with Simulator(reply=model) as sim, opened(sim) as client:
        if streamed:
            stream = client.stream("Hi", provider="anthropic")
            events = [event async for event in stream]
            kinds = [type(event) for event in events]
            assert (1, 1) == (kinds.count(ResponseStart), kinds.count(ResponseEnd))
            assert "part 1 part 2 part 3 " == "".join(map(str, events))
            reply = stream.response
        else:
            reply = await client.send("Hi", provider="anthropic")
        rows = [record async for record in client.ledger.records()]
        bodies = [request.body for request in sim.requests]
    assert ("part 1 part 2 part 3 ", "stop", 3) == (reply.text, reply.finish_reason, len(reply.attempts))
    assert (30, 15) == (reply.usage.input_tokens, reply.usage.output_tokens)
    assert [(10, 5)] * 3 == [(row.usage.input_tokens, row.usage.output_tokens) for row in rows]
    assert [1, 2, 2] == [len(body["messages"]) for body in bodies if isinstance(body, dict)]
    assert "assistant" == bodies[-1]["messages"][-1]["role"]


def _piece(*parts: dict[str, Any], token: str | None = None) -> dict[str, Any]:
    """An answer of Gemini's, or a chunk of one; with a token it is paused."""
    end = {"finishReason": "STOP"} if token is None else {"finishReason": "CONTINUATION", "continuationToken": token}
    usage = {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5}
    return {"candidates": [{"content": {"role": "model", "parts": list(parts)}, **end}], "usageMetadata": usage}


@both_ways
@pytest.mark.parametrize("kind", ["text", "thought"])
async def test_a_part_that_a_pause_cut_is_one_part(streamed: bool, kind: str) -> None:
    """Gemini pauses in the middle of a text, or of a thought; each request has the token of the one before it."""
    extra = {"thought": True} if kind == "thought" else {}
    answers = [_piece({"text": "Hel", **extra}, token="t1"), _piece({"text": "lo ", **extra}, token="t2")]
    last = _piece({"text": "you", **extra}, {"text": "!"})
    replies = [[one] if streamed else one for one in (*answers, last)]
    with serving(*replies) as server:
        keys = {"base_url": server.url, "api_key": "k", "fallback_models": ["gemini-3.8-flash"]}
        settings = {"active_provider": "gemini", "providers": {"gemini": keys}}
        async with Client(settings, environ={}) as client:
            reply = await ask(client, streamed)
    said = ["Hello you!"] if kind == "text" and streamed else ["Hello you", "!"]
    assert said == [part.text for part in reply.message.content]
    assert ("stop", 15, 3) == (reply.finish_reason, reply.usage.total_tokens, len(reply.attempts))
    assert [None, "t1", "t2"] == [body.get("continuationToken") for body in server.bodies]


@both_ways
async def test_what_follows_a_pause_may_be_another_part(streamed: bool) -> None:
    """The text before it ends there, and a call follows."""
    replies = [_piece({"text": "Hel"}, token="t1"), _piece({"functionCall": {"name": "f", "args": {}}})]
    with serving(*([one] if streamed else one for one in replies)) as server:
        keys = {"base_url": server.url, "api_key": "k", "fallback_models": ["gemini-3.8-flash"]}
        async with Client({"active_provider": "gemini", "providers": {"gemini": keys}}, environ={}) as client:
            reply = await ask(client, streamed)
    assert ("Hel", "f", "tool_calls") == (reply.text, reply.tool_calls[0].name, reply.finish_reason)


@both_ways
async def test_pauses_have_an_end(streamed: bool) -> None:
    """After ten the reply is handed over as it is."""
    async with Simulator(reply=Pausing(100)) as sim, opened(sim) as client:
        reply = await ask(client, streamed, provider="anthropic")
    assert ("pause", 11) == (reply.finish_reason, len(reply.attempts))


async def test_a_stream_that_fails_after_a_pause_was_interrupted() -> None:
    """What came before the pause was delivered: no other model begins anew, and the error holds it."""
    model = Pausing(1)

    def once(request: Any) -> Reply:
        reply = model(request)
        sim.on("*", Fault.status(500))
        return reply

    async with Simulator(reply=once) as sim, opened(sim, **OFF) as client:
        shown = ""
        with pytest.raises(errors.StreamInterruptedError) as caught:
            async for event in client.stream("Hi", provider="anthropic"):
                shown += str(event)
    assert caught.value.partial is not None
    assert ("part 1 ", "part 1 ") == (shown, caught.value.partial.text)
    assert ["ok", "error"] == [attempt.outcome for attempt in caught.value.attempts]


# --- what is left for the next target by choice ----------------------------------------------------------------------


async def test_a_blocked_reply_goes_on_where_the_call_says_so() -> None:
    """fallback_on, as a keyword or in the configuration: a blocked reply is left for the next model, and paid."""

    def moderated(request: Any) -> Reply:
        return Reply(text="no", finish="content_filter") if request.model == "gpt-sim" else Reply(text="yes")

    async with Simulator(reply=moderated) as sim:
        async with opened(sim) as client:
            assert "content_filter" == (await client.send("Hi", fallback=CHAIN)).finish_reason
            reply = await client.send("Hi", fallback=CHAIN, fallback_on=["content_filter"])
            assert ("yes", "gpt-sim-mini") == (reply.text, reply.model)
            assert ["ok", "ok"] == [attempt.outcome for attempt in reply.attempts]
            with pytest.raises(errors.BadRequestError, match="fallback_on"):
                await client.send("Hi", fallback_on=["weather"])  # type: ignore[list-item]
        async with opened(sim, fallback_on=["content_filter"]) as client:
            assert "gpt-sim-mini" == (await client.send("Hi", fallback=CHAIN)).model
            assert "content_filter" == (await client.send("Hi", fallback=[])).finish_reason


async def test_where_every_reply_is_blocked_the_last_one_is_the_reply() -> None:
    """Nobody did better: the blocked reply is what the call gets, with all attempts."""
    async with Simulator(reply=Reply(text="no", finish="content_filter")) as sim, opened(sim) as client:
        reply = await client.send("Hi", fallback=CHAIN, fallback_on=["content_filter"])
    assert ("content_filter", 3) == (reply.finish_reason, len(reply.attempts))


@both_ways
async def test_a_full_budget_goes_on_where_the_call_says_so(streamed: bool) -> None:
    """A model whose budget has no room is passed over; without fallback_on the budget's error is raised."""
    budgets = [{"limit": 0.000001, "per": "day", "scope": {"model": "gpt-sim"}}]
    prices = {"prices": {name: {"input": 1, "output": 10} for name in ("gpt-sim", "gpt-sim-mini")}}
    async with Simulator(reply="ok") as sim, opened(sim, budgets=budgets, catalog=prices) as client:
        with pytest.raises(errors.BudgetExceededError):
            await ask(client, streamed, fallback=CHAIN)
        reply = await ask(client, streamed, fallback=CHAIN, fallback_on=["budget"])
    assert ["gpt-sim-mini"] == [attempt.model for attempt in reply.attempts]


# --- full limits -----------------------------------------------------------------------------------------------------

FULL = {"limits": {"models": {"gpt-sim": {"requests_per_minute": 1}, "gpt-sim-mini": {"requests_per_minute": 1}}}}


def with_limits(sim: Simulator) -> dict[str, Any]:
    entry = {**sim.config()["providers"]["openai"], **FULL}
    return {"providers": {"openai": entry}, **OFF}


@both_ways
async def test_a_call_goes_on_where_the_limits_of_a_target_have_no_room(streamed: bool) -> None:
    """A minute's limit that is used up is not waited for while another model of the chain has room."""
    async with Simulator(reply="ok") as sim, opened(sim, **with_limits(sim)) as client:
        for expected in ("gpt-sim", "gpt-sim-mini", "gpt-sim-nano", "gpt-sim-nano"):
            assert (
                expected == (await ask(client, streamed, fallback=["gpt-sim-mini", "gpt-sim-nano"], timeout=50)).model
            )
        # nobody else has room: the call waits for its turn, and not past its deadline
        with pytest.raises(errors.LimitTimeoutError):
            await ask(client, streamed, fallback=["gpt-sim-mini"], timeout=0.2)


async def test_the_next_target_is_asked_where_the_provider_says_that_nothing_is_left() -> None:
    """A header that says 0 for an hour sends the next call to a model with room."""
    told = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1h"}
    body = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}]}
    entry = {"kind": "openai_compatible", "api_key": "k", "fallback_models": ["gpt-a", "gpt-b"]}
    with serving(body, headers=told) as server:
        entry["base_url"] = f"{server.url}/v1"
        config = {"active_provider": "p", "providers": {"p": entry}, "limits": {"requests_per_minute": 1000}}
        async with Client(config, environ={}) as client:
            for _ in range(2):
                await client.send("Hi", timeout=50)
    assert ["gpt-a", "gpt-b"] == [body["model"] for body in server.bodies]


# --- what one caller may not do --------------------------------------------------------------------------------------


async def test_headers_of_one_call_switch_nothing_off() -> None:
    """A call that brings headers of its own may be refused for them; the others are answered by the same model."""
    async with Simulator(reply="ok") as sim, opened(sim, **OFF) as client:
        sim.on("gpt-sim", Fault.status(401, times=1))
        with pytest.raises(errors.AuthenticationError):
            await client.send("Hi", fallback=[], extra_headers={"openai-organization": "another"})
        assert "gpt-sim" == (await client.send("Hi", fallback=CHAIN)).model
        assert "closed" == client.health()[0].state


@both_ways
@pytest.mark.parametrize("body", [{"model": "another"}, {"provider": {"only": ["nobody"]}}, {"models": ["another"]}])
async def test_a_model_that_one_call_names_in_its_body_switches_nothing_off(streamed: bool, body: Any) -> None:
    """A call whose `extra_body` chooses another model may be refused for it; the model of the others stays on."""
    async with Simulator(reply="ok") as sim, opened(sim, **OFF) as client:
        sim.on("*", Fault.status(404, code="model_not_found", times=1))
        with pytest.raises(errors.ModelNotFoundError):
            await ask(client, streamed, fallback=[], extra_body=body)
        assert "closed" == client.health()[0].state


async def test_a_throttled_key_of_one_call_delays_nobody() -> None:
    """A call with a credential of its own is told to wait; the calls with the configured key are not."""
    async with Simulator(reply="ok") as sim, opened(sim, **OFF) as client:
        sim.on("gpt-sim", Fault.status(429, retry_after=50, times=1))
        with pytest.raises(errors.RateLimitError):
            await client.send("Hi", fallback=[], timeout=5, extra_headers={"OpenAI-Project": "another"})
        assert "closed" == client.health()[0].state
