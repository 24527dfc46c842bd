"""Streams: the same grammar on every provider, fallback before the first content, honesty after it."""

from __future__ import annotations

import gc
import json
from typing import Any

import anyio
import pytest
import trio
import trio.testing

from asyncllm import (
    Client,
    PartEnd,
    PartStart,
    ReasoningDelta,
    ResponseEnd,
    ResponseStart,
    Restart,
    TextDelta,
    Tool,
    ToolCallDelta,
    errors,
)
from asyncllm._engine.stream import Stream
from asyncllm.testing import Fault, Simulator
from clients import OpenClient

WIRES = ["openai", "anthropic"]
LONG = "one two three four five six seven eight nine ten eleven twelve"
anyio_test = pytest.mark.anyio


async def collect(stream: Stream) -> list[Any]:
    return [event async for event in stream]


@anyio_test
@pytest.mark.parametrize("wire", WIRES)
async def test_a_stream_is_one_grammar(open_client: OpenClient, wire: str) -> None:
    """Start, parts with their deltas, end: and the response holds the whole."""
    async with Simulator(reply=LONG) as sim, open_client(sim) as client:
        stream = client.stream("Count", provider=wire)
        events = await collect(stream)
    kinds = [type(event) for event in events]
    assert [ResponseStart, PartStart] == kinds[:2]
    assert [PartEnd, ResponseEnd] == kinds[-2:]
    assert {TextDelta} == set(kinds[2:-2])
    assert LONG == "".join(map(str, events)) == stream.response.text
    reply = stream.response
    assert ("stop", wire, "provider") == (reply.finish_reason, reply.provider, reply.usage.source)
    assert reply.request_id and reply.rate_limits is not None
    (attempt,) = reply.attempts
    assert ("ok", 200) == (attempt.outcome, attempt.status)
    assert 0 < (attempt.first_token_latency or 0) <= (attempt.latency or 0)


@anyio_test
@pytest.mark.parametrize("wire", WIRES)
async def test_a_stream_and_its_unary_twin_agree(open_client: OpenClient, wire: str) -> None:
    """The same question gives the same reply both ways, with reasoning and calls."""
    tool = Tool("f", "d", {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]})
    asked: dict[str, Any] = {"provider": wire, "tools": [tool], "tool_choice": "f", "reasoning": "low"}
    if wire == "anthropic":
        asked = {**asked, "tool_choice": "auto", "messages": "Use f please"}
    else:
        asked = {**asked, "messages": "Use f"}
    async with Simulator(tool_use="always") as sim, open_client(sim) as client:
        whole = await client.send(**asked)
        async with client.stream(**asked) as stream:
            events = await collect(stream)
    streamed = stream.response
    assert (whole.text, whole.reasoning, whole.finish_reason) == (
        streamed.text,
        streamed.reasoning,
        streamed.finish_reason,
    )
    assert [(call.name, call.arguments) for call in whole.tool_calls] == [
        (call.name, call.arguments) for call in streamed.tool_calls
    ]
    deltas = "".join(event.arguments for event in events if isinstance(event, ToolCallDelta))
    assert deltas == "".join(call.raw_arguments for call in streamed.tool_calls)
    assert streamed.reasoning == "".join(event.reasoning for event in events if isinstance(event, ReasoningDelta))


@anyio_test
async def test_text_gives_strings_only(open_client: OpenClient) -> None:
    """.text() yields the text and nothing else."""
    async with Simulator(reply=LONG) as sim, open_client(sim) as client:
        texts = client.stream("Count").text()
        assert LONG == "".join([text async for text in texts])
        assert LONG == texts.response.text
        async with client.stream("Count").text() as texts:
            assert await texts.__anext__()
            await texts.aclose()


@anyio_test
async def test_a_stream_that_has_ended_stays_ended(open_client: OpenClient) -> None:
    """Going on after the end, or after closing, ends at once."""
    async with Simulator(reply=LONG) as sim, open_client(sim) as client:
        stream = client.stream("Count")
        await collect(stream)
        assert [] == await collect(stream)
        async with client.stream("Count") as closed:
            await closed.__anext__()
        assert [] == await collect(closed)
        assert "cancelled" == closed.response.attempts[0].outcome


@anyio_test
async def test_the_response_grows_with_the_stream(open_client: OpenClient) -> None:
    """In the middle of a stream the response holds what has come so far."""
    async with Simulator(reply=LONG, chunk_delay=0.001) as sim, open_client(sim) as client:
        stream = client.stream("Count")
        assert ("", ()) == (stream.response.text, stream.response.attempts)
        text = ""
        async with stream:
            async for event in stream:
                text += event.text
                assert stream.response.text.startswith(text)


@anyio_test
@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=503),
        Fault.reset(),
        Fault.cut(after_events=None),
        Fault.error_event(status=429),
        Fault.malformed(),
        Fault.html(),
        Fault.empty(),
        Fault.truncate(after_events=0),
        Fault.cut(after_events=0),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.after_events}",
)
async def test_a_failure_before_the_first_content_is_invisible(
    open_client: OpenClient, wire: str, fault: Fault
) -> None:
    """Whatever breaks before the first content, the next model's stream is all the caller sees."""
    async with Simulator(reply=LONG) as sim, open_client(sim) as client:
        first, second, _ = sim.config()["providers"][wire]["fallback_models"]
        sim.on(first, fault)
        stream = client.stream("Count", provider=wire)
        events = await collect(stream)
    assert 1 == sum(isinstance(event, ResponseStart) for event in events)
    assert (LONG, second) == (stream.response.text, stream.response.model)
    assert [(first, "error"), (second, "ok")] == [(one.model, one.outcome) for one in stream.response.attempts]


@anyio_test
@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize(
    ("fault", "kind", "inner"),
    [
        (Fault.cut(after_events=2), errors.StreamInterruptedError, errors.ConnectionLostError),
        (Fault.reset(after_events=2), errors.StreamInterruptedError, errors.ConnectionLostError),
        (Fault.truncate(after_events=2), errors.StreamTruncatedError, type(None)),
        (Fault.error_event(status=503, after_events=2), errors.StreamInterruptedError, errors.OverloadedError),
        (Fault.malformed(after_events=2), errors.StreamInterruptedError, errors.ProtocolError),
        (Fault.bad_utf8(after_events=2), errors.StreamInterruptedError, errors.ProtocolError),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else "",
)
async def test_a_failure_after_the_first_content_is_told(
    open_client: OpenClient, wire: str, fault: Fault, kind: type[Exception], inner: type
) -> None:
    """The deltas are delivered, then the error comes with exactly them as its partial response; nothing is replayed."""
    async with Simulator(reply=LONG) as sim, open_client(sim) as client:
        sim.on("*", fault)
        delivered = ""
        with pytest.raises(errors.StreamInterruptedError) as caught:
            async for event in client.stream("Count", provider=wire):
                delivered += event.text
        assert 1 == sim.count()
    assert (kind, inner) == (type(caught.value), type(caught.value.__cause__))
    assert delivered and LONG.startswith(delivered)
    assert caught.value.partial is not None
    assert (delivered, wire) == (caught.value.partial.text, caught.value.provider)
    assert ["interrupted"] == [one.outcome for one in caught.value.attempts]


@anyio_test
async def test_a_server_that_does_not_stream(open_client: OpenClient) -> None:
    """A whole JSON body answers a stream request as one short stream; a stream under a wrong name is still one."""
    message = {"role": "assistant", "content": LONG}
    whole = {"id": "c1", "model": "m1", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    part = {"choices": [{"index": 0, "delta": {"content": LONG}, "finish_reason": "stop"}]}
    bodies = [json.dumps(whole).encode(), b"data: " + json.dumps(part).encode() + b"\n\ndata: [DONE]\n\n"]
    for body in bodies:
        async with Simulator() as sim, open_client(sim) as client:
            sim.on("*", Fault.answer(body))
            stream = client.stream("Count")
            events = await collect(stream)
        assert LONG == "".join(map(str, events)) == stream.response.text
        assert ["ok"] == [one.outcome for one in stream.response.attempts]
    async with Simulator() as sim, open_client(sim) as client:
        sim.on("*", Fault.answer(b'{"error": {"message": "slow down", "code": "rate_limit_exceeded"}}'))
        with pytest.raises(errors.RateLimitError):
            await collect(client.stream("Count", fallback=[]))


@anyio_test
async def test_all_streams_failing(open_client: OpenClient) -> None:
    """When no target gets to its first content the error carries every attempt."""
    async with Simulator() as sim, open_client(sim) as client:
        sim.on("*", Fault.error_event(status=529))
        with pytest.raises(errors.AllFallbacksFailedError) as caught:
            await collect(client.stream("Count"))
    assert 3 == len(caught.value.attempts)


@anyio_test
async def test_the_first_content_has_its_own_timeout(open_client: OpenClient) -> None:
    """A model that says nothing in time is left for the next one."""
    async with Simulator(reply=LONG) as sim, open_client(sim, timeouts={"first_content": 0.05}) as client:
        sim.on("gpt-sim", Fault.heartbeats(interval=0.01))
        stream = client.stream("Count")
        await collect(stream)
    assert [errors.FirstTokenTimeoutError, type(None)] == [type(one.error) for one in stream.response.attempts]
    assert 0.05 <= (stream.response.attempts[0].latency or 0) < 0.55


@anyio_test
async def test_the_total_bounds_the_first_content_of_all_targets(open_client: OpenClient) -> None:
    """Fallbacks share one deadline."""
    async with Simulator(reply=LONG) as sim, open_client(sim) as client:
        sim.on("*", Fault.stall(after="headers"))
        with pytest.raises(errors.DeadlineExceededError):
            await collect(client.stream("Count", timeout=0.05))


@anyio_test
@pytest.mark.parametrize(
    ("timeouts", "timeout", "fault", "kind"),
    [
        ({"idle": 0.08}, None, Fault.stall(after="content"), errors.IdleTimeoutError),
        ({"no_content": 0.08}, None, Fault.heartbeats(interval=0.01, after_events=1), errors.NoContentTimeoutError),
        ({}, 0.08, Fault.stall(after="content"), errors.DeadlineExceededError),
        ({}, 0.08, Fault.heartbeats(interval=0.01, after_events=1), errors.DeadlineExceededError),
    ],
    ids=["idle", "no content", "silent deadline", "noisy deadline"],
)
@pytest.mark.slow
async def test_each_timeout_after_the_first_content(
    open_client: OpenClient, timeouts: dict[str, float], timeout: float | None, fault: Fault, kind: type[Exception]
) -> None:
    """Silence, heartbeats and a named deadline each end the stream with their own error, never early, soon after."""
    async with Simulator(reply=LONG) as sim, open_client(sim, timeouts=timeouts) as client:
        sim.on("*", fault)
        began, delivered = anyio.current_time(), ""
        with pytest.raises(errors.AsyncLLMError) as caught:
            async for event in client.stream("Count", timeout=timeout):
                delivered += event.text
        assert 0.08 <= anyio.current_time() - began < 0.58
    error = caught.value
    assert kind is type(error if timeout else error.__cause__)
    assert delivered == error.partial.text  # type: ignore[attr-defined]


@anyio_test
async def test_a_slow_consumer_is_no_silent_server(open_client: OpenClient) -> None:
    """Time that the caller spends between two events counts against no timeout."""
    timeouts = {"idle": 0.05, "no_content": 0.05}
    async with Simulator(reply=LONG) as sim, open_client(sim, timeouts=timeouts) as client:
        stream = client.stream("Count")
        await stream.__anext__()
        await anyio.sleep(0.15)
        await collect(stream)
    assert LONG == stream.response.text


@anyio_test
async def test_breaking_out_gives_the_connection_back(open_client: OpenClient) -> None:
    """A consumer that just leaves its loop costs one connection, closed as soon as the stream is collected."""
    http = {"max_connections": 1}
    async with Simulator(reply=LONG, chunk_delay=0.01) as sim:
        config = sim.config(http=http)
        async with Client(config, environ={}) as client:

            async def leave() -> None:
                async for event in client.stream("Count"):
                    if event.text:
                        break

            await leave()
            gc.collect()
            with anyio.fail_after(0.5):
                assert (await client.send("Hi")).text


@anyio_test
async def test_two_tasks_on_one_stream_get_a_sentence(open_client: OpenClient) -> None:
    """A stream read in two places at once says so instead of mixing up."""
    async with Simulator(reply=LONG) as sim, open_client(sim) as client:
        sim.on("*", Fault.stall(after="headers"))
        stream = client.stream("Count")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stream.__anext__)
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(errors.ClientStateError, match="two tasks"):
                await stream.__anext__()
            tasks.cancel_scope.cancel()
        await stream.aclose()


@anyio_test
async def test_a_cancelled_stream_closes_its_connection(open_client: OpenClient) -> None:
    """A cancel in the middle of a read leaves no connection and no open attempt."""
    async with Simulator(reply=LONG) as sim, open_client(sim) as client:
        sim.on("*", Fault.stall(after="content"))
        stream = client.stream("Count")
        with anyio.move_on_after(0.5):
            await collect(stream)
        assert ["cancelled"] == [one.outcome for one in stream.response.attempts]
        with anyio.fail_after(10):
            while sim.open_connections:
                await anyio.sleep(0.005)


def test_timeouts_are_exact_on_a_clock_of_their_own() -> None:
    """On a clock that jumps, idle, no_content and the deadline end a stream at their moment exactly."""

    class Silent:
        """A transport whose answer says two words and then only what the test wants."""

        status = 200

        def __init__(self, heartbeat: float | None) -> None:
            self.headers = {"content-type": "text/event-stream"}
            self.heartbeat = heartbeat
            self.lost = trio.Event()
            chunk = b'data: {"choices":[{"index":0,"delta":{"content":"Hi"}}]}\n\n'
            self.pieces = [chunk]

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
        """A client on a transport of the test."""

        heartbeat: float | None = None

        def _build_transport(self, background: object) -> Any:
            return Silent(self.heartbeat)

    async def run(timeouts: dict[str, float], timeout: float | None, heartbeat: float | None) -> tuple[float, type]:
        client = Offline(
            {
                "active_provider": "openai",
                "active_model": "m",
                "providers": {"openai": {"api_key": "k"}},
                "timeouts": timeouts,
                "cost_tracking": {"enabled": False},  # its thread lives on a real clock
            },
            environ={},
        )
        client.heartbeat = heartbeat
        began = trio.current_time()
        try:
            async for _ in client.stream("Hi", timeout=timeout):
                pass
        except errors.AsyncLLMError as error:
            kind = type(error.__cause__ or error)
        await client.aclose()
        return trio.current_time() - began, kind

    def on_mock_clock(*args: Any) -> tuple[float, type]:
        seconds, kind = trio.run(run, *args, clock=trio.testing.MockClock(autojump_threshold=0))
        return round(seconds, 6), kind

    assert (60, errors.IdleTimeoutError) == on_mock_clock({}, None, None)
    assert (300, errors.NoContentTimeoutError) == on_mock_clock({}, None, 7.0)
    assert (20, errors.IdleTimeoutError) == on_mock_clock({"idle": 20}, None, None)
    assert (100, errors.DeadlineExceededError) == on_mock_clock({}, 100.0, 7.0)
    assert (45, errors.DeadlineExceededError) == on_mock_clock({}, 45.0, None)


@pytest.mark.anyio
async def test_a_streamed_answer_that_does_not_fit_is_asked_for_again(open_client: OpenClient) -> None:
    """With validation_retries the reply begins again, told by a `Restart`; every asking is an attempt."""
    answers = iter(["{}", '{"n": "x"}', '{"n": 3}'])
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    async with Simulator(reply=lambda request: next(answers)) as sim, open_client(sim) as client:
        stream = client.stream("Count", response_format=schema, validation_retries=2)
        events = [event async for event in stream]
        told = [message["content"] for message in sim.requests[-1].body["messages"]]
        records = [record.status async for record in client.ledger.records()]
    assert ({"n": 3}, '{"n": 3}', 3) == (
        stream.response.parsed,
        stream.response.text,
        len(stream.response.attempts),
    )
    assert ["n: is missing" in event.reason for event in events if isinstance(event, Restart)] == [True, False]
    assert ["Count", "{}"] == told[:2]
    assert ["ok", "ok", "ok"] == records
    with pytest.raises(errors.BadRequestError, match="validation_retries"):
        client.stream("Count", response_format=schema, validation_retries=1).text()


@pytest.mark.anyio
async def test_a_stream_that_never_fits_raises_at_its_end(open_client: OpenClient) -> None:
    """Every event is delivered first; the error and the response both list every asking."""
    async with Simulator(reply="[]") as sim, open_client(sim) as client:
        stream = client.stream("Count", response_format={"type": "object"}, validation_retries=1)
        with pytest.raises(errors.StructuredOutputError) as caught:
            async for _ in stream:
                pass
    assert (2, 2, "[]", None) == (
        len(caught.value.attempts),
        len(stream.response.attempts),
        stream.response.text,
        stream.response.parsed,
    )
