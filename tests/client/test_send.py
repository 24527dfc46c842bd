"""Whole answers, from the caller's words to the provider's bytes and back, over real sockets."""

from __future__ import annotations

import logging
from typing import Any

import anyio
import pydantic
import pytest

import asyncllm
from asyncllm import Client, Message, errors
from asyncllm.testing import Fault, Reply, Simulator
from clients import OpenClient

pytestmark = pytest.mark.anyio
WIRES = ["openai", "anthropic"]
WEATHER = asyncllm.Tool(
    "get_weather",
    "The weather in a city.",
    {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)


@pytest.mark.parametrize("wire", WIRES)
async def test_a_question_is_answered(open_client: OpenClient, wire: str) -> None:
    """A string gets a reply with text, usage, ids and one attempt, the same on every provider."""
    async with Simulator(reply="Four.") as sim, open_client(sim) as client:
        reply = await client.send("What is 2+2?", provider=wire)
    assert ("Four.", "stop", wire) == (reply.text, reply.finish_reason, reply.provider)
    assert (reply.requested_model, "provider") == (reply.model, reply.usage.source)
    assert reply.usage.input_tokens and reply.usage.output_tokens and reply.id and reply.request_id
    assert [("ok", 200, reply.request_id)] == [(one.outcome, one.status, one.request_id) for one in reply.attempts]
    assert reply.attempts[0].latency is not None and reply.attempts[0].latency > 0
    assert reply.rate_limits is not None


@pytest.mark.parametrize("wire", WIRES)
async def test_a_conversation_with_a_tool(open_client: OpenClient, wire: str) -> None:
    """A call, its result and the final answer: response.message goes back as it is."""
    async with Simulator() as sim, open_client(sim) as client:
        messages: list[Any] = [Message.user("What is the weather in Oslo? Use get_weather.")]
        reply = await client.send(messages, provider=wire, tools=[WEATHER], tool_choice="get_weather")
        (call,) = reply.tool_calls
        assert ("tool_calls", "get_weather") == (reply.finish_reason, call.name)
        assert call.id and set(call.arguments or {}) == {"city"}
        messages += [reply.message, Message.tool(call.id, {"celsius": 3})]
        answer = await client.send(messages, provider=wire, tools=[WEATHER])
    assert ("stop", ()) == (answer.finish_reason, answer.tool_calls)
    assert "celsius" in answer.text


class Weather(pydantic.BaseModel):
    """What the model shall fill in."""

    city: str
    celsius: int


@pytest.mark.parametrize("wire", WIRES)
async def test_an_answer_of_a_type(open_client: OpenClient, wire: str) -> None:
    """With a pydantic class the parsed answer is an instance of it."""
    async with Simulator(reply='{"city": "Oslo", "celsius": 3}') as sim, open_client(sim) as client:
        reply = await client.send("Weather?", provider=wire, response_format=Weather)
    assert Weather(city="Oslo", celsius=3) == reply.parsed


async def test_an_answer_that_does_not_fit_its_type(open_client: OpenClient) -> None:
    """An answer outside the schema raises, with the text and what is wrong with it."""
    async with Simulator(reply='{"city": "Oslo"}') as sim, open_client(sim) as client:
        with pytest.raises(errors.StructuredOutputError) as caught:
            await client.send("Weather?", response_format=Weather)
    assert ('{"city": "Oslo"}', 1) == (caught.value.text, len(caught.value.attempts))
    assert "celsius" in caught.value.problems[0]


async def test_a_server_that_echoes_the_key_leaks_nothing(open_client: OpenClient) -> None:
    """A key of any shape is taken out of what a server says, unary, before and after a stream's first content."""
    key = "Zq81plainlettersanddigits"
    async with Simulator(reply="one two three four five six") as sim:
        config = sim.config(retry={"max_attempts": 1})
        config["providers"]["openai"]["api_key"] = key
        async with Client(config, environ={}) as client:
            for fault in (Fault.status(401, message=f"no such key: {key}!"), Fault.error_event(message=f"bad {key}")):
                sim.on("*", fault)
                with pytest.raises(errors.AsyncLLMError) as caught:
                    await client.send("Hi", fallback=[])
                sim.off()
                assert "[redacted]" in str(caught.value)
                assert key not in str(caught.value) + repr(caught.value) + repr(caught.value.attempts)
                client.reset_health()
            for after in (0, 2):
                sim.on("*", Fault.error_event(message=f"bad {key}", after_events=after))
                with pytest.raises(errors.AsyncLLMError) as caught:
                    async for _ in client.stream("Hi", fallback=[]):
                        pass
                sim.off()
                shown = caught.value, caught.value.__cause__, caught.value.attempts
                assert "[redacted]" in str(caught.value)
                assert key not in "".join(map(repr, shown)) + str(caught.value)


async def test_an_answer_that_does_not_fit_is_asked_for_again(open_client: OpenClient) -> None:
    """The model is told what is wrong; every asking is an attempt of the same call, and the last word counts."""
    answers = iter(['{"city": "Oslo"}', '{"city": "Oslo", "celsius": "warm"}', '{"city": "Oslo", "celsius": 3}'])
    async with Simulator(reply=lambda request: next(answers)) as sim, open_client(sim) as client:
        reply = await client.send("Weather?", response_format=Weather, validation_retries=2)
        told = [message["content"] for message in sim.requests[-1].body["messages"]]
        records = [(record.attempt, record.status) async for record in client.ledger.records()]
    assert (Weather(city="Oslo", celsius=3), 3) == (reply.parsed, len(reply.attempts))
    assert ["Weather?", '{"city": "Oslo"}'] == told[:2]
    assert "celsius" in told[2]
    assert [(1, "ok"), (2, "ok"), (3, "ok")] == records


async def test_asking_again_has_an_end(open_client: OpenClient) -> None:
    """After the last asking the error carries every attempt; nonsense is refused before any."""
    async with Simulator(reply="{}") as sim, open_client(sim) as client:
        with pytest.raises(errors.StructuredOutputError) as caught:
            await client.send("Weather?", response_format=Weather, validation_retries=1)
        assert 2 == sim.count() == len(caught.value.attempts)
        for retries, wanted in ((-1, Weather), (True, Weather), (1, None)):
            with pytest.raises(errors.BadRequestError, match="validation_retries"):
                await client.send("Weather?", response_format=wanted, validation_retries=retries)


async def test_an_answer_that_was_cut_is_not_asked_for_again(open_client: OpenClient) -> None:
    """A cut answer raises at once, with its text and the word for it: asking again would cut it again."""
    async with Simulator(reply=Reply(text='{"city": "Os', finish="length")) as sim, open_client(sim) as client:
        for ask in (client.send, _streamed(client)):
            with pytest.raises(errors.StructuredOutputError, match="cut") as caught:
                await ask("Weather?", response_format=Weather, validation_retries=2)
            assert ('{"city": "Os', "length", 1) == (
                caught.value.text,
                caught.value.finish_reason,
                len(caught.value.attempts),
            )


def _streamed(client: Client) -> Any:
    async def read(*arguments: Any, **keywords: Any) -> asyncllm.Response:
        stream = client.stream(*arguments, **keywords)
        async for _ in stream:
            pass
        return stream.response

    return read


async def test_a_call_keeps_what_stands_beside_it(open_client: OpenClient) -> None:
    """What a dict of a call holds besides its usual keys goes back to a host of the same format, or a warning tells."""
    beside = {"google": {"thought_signature": "s"}}
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}, "extra_content": beside}
    history = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "ok"},
    ]
    async with Simulator(reply="done") as sim, open_client(sim) as client:
        await client.send(history, provider="openai")
        assert beside == sim.requests[-1].body["messages"][1]["tool_calls"][0]["extra_content"]
        reply = await client.send(history, provider="anthropic")
    assert reply.warnings


async def test_a_schema_gives_parsed_json(open_client: OpenClient) -> None:
    """With a JSON schema the parsed answer is plain JSON."""
    async with Simulator(reply='{"a": 1}') as sim, open_client(sim) as client:
        reply = await client.send("JSON?", response_format={"type": "object"})
    assert {"a": 1} == reply.parsed


async def test_a_failing_model_is_followed_by_the_next(
    open_client: OpenClient, caplog: pytest.LogCaptureFixture
) -> None:
    """A fallback is invisible but for the attempts and one warning in the log, which holds no content."""
    async with Simulator() as sim, open_client(sim) as client:
        sim.on("gpt-sim", Fault(status=503, retry_after=1))
        with caplog.at_level(logging.INFO, "asyncllm"):
            reply = await client.send("tell me of a secret garden")
    assert ("gpt-sim-mini", "gpt-sim") == (reply.model, reply.requested_model)
    assert [("gpt-sim", "error", 503), ("gpt-sim-mini", "ok", 200)] == [
        (one.model, one.outcome, one.status) for one in reply.attempts
    ]
    assert isinstance(reply.attempts[0].error, errors.OverloadedError)
    warnings = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert "gpt-sim failed (OverloadedError, status 503" in warnings[0]
    infos = [record.message for record in caplog.records if record.levelno == logging.INFO]
    assert len(infos) == 1
    assert not any("secret" in record.message or "sk-sim" in record.message for record in caplog.records)


async def test_when_all_models_fail_every_attempt_is_told(open_client: OpenClient) -> None:
    """AllFallbacksFailedError carries the attempts in order and the last error as its cause."""
    async with Simulator() as sim, open_client(sim) as client:
        sim.on("*", Fault(status=500))
        with pytest.raises(errors.AllFallbacksFailedError) as caught:
            await client.send("Hi")
    assert ["gpt-sim", "gpt-sim-mini", "gpt-sim-nano"] == [one.model for one in caught.value.attempts]
    assert isinstance(caught.value.__cause__, errors.ServerError)


async def test_one_target_raises_its_own_error(open_client: OpenClient) -> None:
    """Without a fallback the error itself is raised, with its attempt."""
    async with Simulator() as sim, open_client(sim) as client:
        sim.on("*", Fault(status=429, retry_after=7))
        with pytest.raises(errors.RateLimitError) as caught:
            await client.send("Hi", fallback=[])
    assert (7.0, "openai", "gpt-sim", 1) == (
        caught.value.retry_after,
        caught.value.provider,
        caught.value.model,
        len(caught.value.attempts),
    )


async def test_a_bad_request_never_falls_back(open_client: OpenClient) -> None:
    """What another model would refuse too is raised at once."""
    async with Simulator() as sim, open_client(sim) as client:
        sim.on("*", Fault(status=400))
        with pytest.raises(errors.BadRequestError):
            await client.send("Hi")
        assert sim.count() == 1


async def test_another_provider_only_when_the_call_names_it(open_client: OpenClient) -> None:
    """A bad key stays with its provider, unless the call's own chain leads elsewhere."""
    async with Simulator() as sim, open_client(sim) as client:
        sim.on("*", Fault(status=401), provider="openai")
        with pytest.raises(errors.AuthenticationError):
            await client.send("Hi")
        client.reset_health("openai")
        reply = await client.send("Hi", fallback=["gpt-sim-mini", ("anthropic", "claude-sim")])
    assert ("anthropic", "claude-sim") == (reply.provider, reply.model)
    assert ["gpt-sim", "claude-sim"] == [one.model for one in reply.attempts]


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        (Fault(status=401), errors.AuthenticationError, ""),
        (Fault(status=404), errors.ModelNotFoundError, ""),
        (Fault.malformed(), errors.ProtocolError, ""),
        (Fault.html(), errors.ProtocolError, "HTML"),
        (Fault.empty(), errors.ProtocolError, ""),
        (Fault.bad_utf8(), errors.ProtocolError, ""),
        (Fault.redirect(), errors.ProtocolError, "base_url"),
        (Fault.reset(), errors.ConnectionLostError, ""),
        (Fault.cut(), errors.ConnectionLostError, ""),
        (Fault.error_event(status=429), errors.RateLimitError, ""),
        (Fault.huge(size=66 * 2**20), errors.ResponseTooLargeError, ""),
        (Fault.gzip_bomb(size=66 * 2**20), errors.ResponseTooLargeError, ""),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else "",
)
@pytest.mark.slow
async def test_whatever_goes_wrong_has_its_error(
    open_client: OpenClient, wire: str, fault: Fault, kind: type[errors.AsyncLLMError], words: str
) -> None:
    """Each fault raises its documented error, attributed and with its attempt, and the client works on."""
    async with Simulator() as sim, open_client(sim) as client:
        sim.on("*", fault)
        with pytest.raises(errors.AsyncLLMError) as caught:
            await client.send("Hi", provider=wire, fallback=[])
        sim.off()
        assert (await client.send("Hi", provider=wire)).text
    assert (kind, wire) == (type(caught.value), caught.value.provider)
    assert words.lower() in str(caught.value).lower()
    assert [type(caught.value)] == [type(one.error) for one in caught.value.attempts]


async def test_a_server_that_is_not_there(open_client: OpenClient) -> None:
    """A refused connection is a ConnectError that names the host."""
    async with Simulator() as sim:
        config = sim.config()
    for entry in config["providers"].values():
        entry["fallback_models"] = ["m"]
    async with Client({**config, "active_model": "m"}, environ={}) as client:
        with pytest.raises(errors.ConnectError) as caught:
            await client.send("Hi")
    assert "127.0.0.1" in str(caught.value)


async def test_the_total_deadline(open_client: OpenClient) -> None:
    """A server that never answers costs the caller the deadline, and no more."""
    async with Simulator() as sim, open_client(sim) as client:
        sim.on("*", Fault.stall(after="request"))
        began = anyio.current_time()
        with pytest.raises(errors.DeadlineExceededError) as caught:
            await client.send("Hi", timeout=0.05)
        assert 0.05 <= anyio.current_time() - began < 0.55
    assert ["cancelled"] == [one.outcome for one in caught.value.attempts]


async def test_a_cancelled_call_leaves_nothing_behind(open_client: OpenClient) -> None:
    """After a cancel the connection is closed and the client works on."""
    async with Simulator() as sim, open_client(sim) as client:
        sim.on("*", Fault.stall(after="request", times=1))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.send, "Hi")
            with anyio.fail_after(10):
                while sim.count() < 1:
                    await anyio.sleep(0.002)
            tasks.cancel_scope.cancel()
        assert (await client.send("Hi", timeout=30)).text
        with anyio.fail_after(10):
            while sim.open_connections > 1:
                await anyio.sleep(0.005)


@pytest.mark.slow
async def test_a_prompt_of_five_megabytes(open_client: OpenClient) -> None:
    """A large prompt arrives whole."""
    async with Simulator(reply="ok") as sim, open_client(sim) as client:
        assert "ok" == (await client.send("x" * 5_000_000)).text
        assert 5_000_000 == len(sim.requests[0].body["messages"][0]["content"])


@pytest.mark.slow
async def test_a_body_over_the_hosts_limit_is_not_sent(open_client: OpenClient) -> None:
    """Anthropic takes 32 MB: more is refused here, with advice."""
    async with Simulator() as sim, open_client(sim) as client:
        with pytest.raises(errors.RequestTooLargeError, match="shorten the conversation"):
            await client.send("x" * 33_600_000, provider="anthropic", fallback=[])
        assert sim.count() == 0


async def test_nothing_is_sent_for_a_bad_call(open_client: OpenClient) -> None:
    """Empty messages, unknown providers and misspelt keywords never reach the network."""
    async with Simulator() as sim, open_client(sim) as client:
        with pytest.raises(errors.BadRequestError, match="empty"):
            await client.send([])
        with pytest.raises(errors.ConfigurationError, match="no provider 'opnai'"):
            await client.send("Hi", provider="opnai")
        with pytest.raises(TypeError, match="temprature"):
            await client.send("Hi", temprature=1)  # type: ignore[call-arg]
        with pytest.raises(TypeError, match="hegde"):
            client.stream("Hi", hegde=True)  # type: ignore[call-arg]
        assert 0 == len(sim.requests)


async def test_every_option_reaches_the_wire(open_client: OpenClient) -> None:
    """Sampling, limits, stop words and the escape hatches arrive as the provider spells them."""
    async with Simulator() as sim, open_client(sim) as client:
        await client.send(
            "Hi",
            temperature=0.5,
            top_p=0.9,
            max_tokens=50,
            stop="END",
            seed=7,
            reasoning="low",
            extra_body={"service_tier": "flex"},
            extra_headers={"X-Trace": "t1"},
        )
        (received,) = sim.requests
    assert "t1" == received.headers["x-trace"]
    expected = {"temperature": 0.5, "top_p": 0.9, "max_completion_tokens": 50, "seed": 7, "service_tier": "flex"}
    assert expected.items() <= received.body.items()
    assert ("low", True) == (received.body["reasoning_effort"], received.authenticated)


async def test_one_client_on_many_tasks(open_client: OpenClient) -> None:
    """Sixty-four calls at once share connections and get each its own answer."""
    async with Simulator(reply=lambda request: Reply(text=request.prompt)) as sim, open_client(sim) as client:
        answers: dict[int, str] = {}

        async def ask(number: int) -> None:
            answers[number] = (await client.send(f"n{number}")).text

        async with anyio.create_task_group() as tasks:
            for number in range(64):
                tasks.start_soon(ask, number)
        assert {number: f"n{number}" for number in range(64)} == answers
        before = sim.connections
        for number in range(8):
            await client.send(f"n{number}")
        assert before == sim.connections


async def test_the_environment_makes_a_client() -> None:
    """from_env finds the providers whose keys are set."""
    async with Simulator(reply="ok") as sim:
        environ = {"OPENAI_API_KEY": "sk-sim-openai", "OPENAI_BASE_URL": sim.url("openai"), "ASYNCLLM_MODEL": "gpt-sim"}
        async with Client.from_env(environ) as client:
            assert "ok" == (await client.send("Hi")).text
    with pytest.raises(errors.ConfigurationError, match="OPENAI_API_KEY"):
        Client.from_env({})


async def test_a_closed_client_says_so(open_client: OpenClient) -> None:
    """After aclose every call is a sentence, and closing again is fine."""
    async with Simulator() as sim, open_client(sim) as client:
        await client.aclose()
        await client.aclose()
        with pytest.raises(errors.ClientStateError, match="closed"):
            await client.send("Hi")
