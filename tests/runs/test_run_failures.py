"""Runs whose steps fail: what the error carries, how the run goes on, and media that a model cannot be sent."""

from __future__ import annotations

import pickle
from decimal import Decimal
from typing import Any

import pytest

from asyncllm import Audio, Client, Document, Image, Keep, Message, Run, SyncClient, ToolError, Video
from asyncllm.errors import AsyncLLMError, BadRequestError, UnsupportedContentError
from asyncllm.testing import Fault, Simulator, ToolUse

pytestmark = pytest.mark.anyio
GET = ToolUse("get", {})
REFUSED = Fault.status(400, message="no")


def get() -> str:
    """Gets it."""
    return "42"


async def run(client: Client, messages: Any, *, streamed: bool, **options: Any) -> Run[Any]:
    """A run, whole or as events."""
    if not streamed:
        return await client.run(messages, **options)
    async with client.run_stream(messages, **options) as events:
        async for _ in events:
            pass
    return events.result


@pytest.mark.parametrize("streamed", [False, True], ids=["run", "run_stream"])
async def test_the_error_of_a_step_carries_the_run_so_far(*, streamed: bool) -> None:
    """What was said and spent is in ``error.run``; the run goes on from there, and asks for nothing twice."""
    async with Simulator() as sim, Client(sim.config(), environ={}) as client:
        sim.script(GET, REFUSED, "It is 42.")
        with pytest.raises(BadRequestError) as caught:
            await run(client, "Get it", streamed=streamed, tools=[get], provider="anthropic", model="claude-sonnet-5-5")
        so_far = caught.value.run
        assert so_far is not None
        assert ("error", 1, 2) == (so_far.stopped, len(so_far.steps), len(so_far.attempts))
        assert ["user", "assistant", "tool"] == [message.role for message in so_far.messages]
        assert so_far.cost == sum([attempt.cost or Decimal(0) for attempt in so_far.attempts]) > 0
        stored = Run.from_json(so_far.to_json())
        assert ("error", so_far.cost, so_far.messages) == (stored.stopped, stored.cost, stored.messages)
        copied = pickle.loads(pickle.dumps(caught.value))
        assert so_far.messages == copied.run.messages
        found = await run(client, stored, streamed=streamed, tools=[get], provider="anthropic")
        assert ("It is 42.", "done") == (found.text, found.stopped)
        assert 3 == len(sim.requests)


async def test_an_error_of_one_call_has_no_run() -> None:
    """Only runs have one."""
    async with Simulator() as sim, Client(sim.config(), environ={}) as client:
        sim.script(REFUSED)
        with pytest.raises(BadRequestError) as caught:
            await client.send("Hi")
        assert caught.value.run is None


def test_the_blocking_client_has_it_too() -> None:
    """A failed run of `SyncClient` goes on in the same way."""
    with Simulator.in_thread() as sim, SyncClient(sim.config(), environ={}) as client:
        sim.script(GET, REFUSED, "It is 42.")
        with pytest.raises(BadRequestError) as caught:
            client.run("Get it", tools=[get])
        assert caught.value.run is not None
        assert "It is 42." == client.run(caught.value.run, tools=[get]).text


async def test_a_tool_that_stops_the_run_carries_it_as_well() -> None:
    """With ``on_tool_error="raise"`` an error of the library, such as `ToolError` of a tool, has the run."""

    async def fails() -> str:
        """Fails."""
        raise UnsupportedContentError("never")

    async with Simulator() as sim, Client(sim.config(), environ={}) as client:
        sim.script(ToolUse("fails", {}))
        with pytest.raises(UnsupportedContentError) as caught:
            await client.run("Go", tools=[fails], on_tool_error="raise")
        assert caught.value.run is not None
        assert 1 == len(caught.value.run.steps)
    assert not issubclass(ToolError, AsyncLLMError)


async def test_a_conversation_goes_on_after_a_failed_run() -> None:
    """Nothing of the history is lost, also where only its end is sent; the cost of the failed run counts."""
    async with Simulator() as sim, Client(sim.config(), environ={}) as client:
        talk = client.conversation(system="Be short.", tools=[get], keep=Keep(turns=1))
        sim.script("One.", "Two.", GET, REFUSED, "It is 42.")
        for text in ("1", "2"):
            await talk.send(text)
        with pytest.raises(BadRequestError) as caught:
            await talk.run("Get it")
        before = talk.messages
        assert caught.value.run is not None
        assert 5 == len(before)
        await talk.run(caught.value.run)
        assert before == talk.messages[:5]
        assert ["user", "assistant", "tool", "assistant"] == [message.role for message in talk.messages[5:]]


PNG = b"\x89PNG\r\n\x1a\n\0\0"
GIVEN: tuple[tuple[str, str, Any, str], ...] = (
    ("anthropic", "claude-sonnet-5-5", Audio(data=b"RIFF", media_type="audio/wav"), "kind Audio (audio/wav, 4 bytes)"),
    ("anthropic", "claude-sonnet-5-5", Audio(data=b"RIFF", media_type="audio/wav", transcript="Hello."), "Hello."),
    ("openai", "gpt-5.4-mini", Video(data=b"\0\0", media_type="video/mp4"), "kind Video (video/mp4, 2 bytes)"),
    ("bedrock", "anthropic.claude", Image(url="https://a.com/x.png"), "kind Image (https://a.com/x.png)"),
    ("groq", "sim", Document(data=b"a,b", media_type="text/csv", name="t.csv"), "a,b"),
    ("groq", "sim", Document(data=b"%PDF", media_type="application/pdf", name="t.pdf"), "Document (t.pdf, "),
)


@pytest.mark.parametrize("streamed", [False, True], ids=["run", "run_stream"])
@pytest.mark.parametrize(("provider", "model", "part", "told"), GIVEN, ids=lambda one: type(one).__name__)
async def test_media_that_a_model_cannot_be_sent_is_told_in_words(
    provider: str, model: str, part: Any, told: str, *, streamed: bool
) -> None:
    """The run goes on: the model reads what it was, with a warning; the history keeps it for another model."""

    def show() -> Any:
        """Shows it."""
        return ["Here it is.", part]

    async with Simulator() as sim:
        config = sim.config()
        config["providers"]["groq"] = {"api_key": "k", "base_url": sim.url("groq"), "fallback_models": ["sim"]}
        async with Client(config, environ={}) as client:
            sim.script(ToolUse("show", {}), lambda request: " ".join(request.tool_results))
            found = await run(
                client, "Show", streamed=streamed, tools=[show], provider=provider, model=model, fallback=[]
            )
        assert told in found.text
        assert "Here it is." in found.text
        assert 2 == len(sim.requests)
        assert type(part).__name__ in found.steps[-1].reply.warnings[-1]
        assert part == found.messages[2].content[0].content[1]  # type: ignore[union-attr]


async def test_media_are_an_error_where_errors_stop_the_run() -> None:
    """``on_tool_error="raise"`` raises, with a sentence that says what to do; so does media of the user's own."""
    sound = Audio(data=b"RIFF", media_type="audio/wav")

    def listen() -> Audio:
        """Listens."""
        return sound

    async with Simulator() as sim, Client(sim.config(), environ={}) as client:
        sim.script(ToolUse("listen", {}))
        with pytest.raises(UnsupportedContentError, match="audio cannot be sent") as caught:
            await client.run("Go", tools=[listen], on_tool_error="raise", provider="anthropic", fallback=[])
        assert caught.value.run is not None
        assert 1 == len(sim.requests)
        with pytest.raises(UnsupportedContentError, match="audio cannot be sent"):
            await client.run(Message.user("Listen", sound), tools=[listen], provider="anthropic", fallback=[])


async def test_all_models_of_a_chain_are_tried_first() -> None:
    """A model of the chain that can be sent the media gets them; in words only where none can."""
    sound = Audio(data=b"RIFF", media_type="audio/wav")

    def listen() -> Audio:
        """Listens."""
        return sound

    async with Simulator() as sim, Client(sim.config(), environ={}) as client:
        options: dict[str, Any] = {"tools": [listen], "provider": "anthropic", "model": "claude-sim"}
        sim.script(ToolUse("listen", {}), "I heard it.")
        found = await client.run("Go", **options, fallback=[("gemini", "gemini-sim")])
        assert ("gemini", "I heard it.") == (found.steps[-1].reply.provider, found.text)
        sim.script(ToolUse("listen", {}), "I was told.")
        found = await client.run("Go", **options, fallback=["claude-sim-mini", "claude-sim-nano"])
        assert ("claude-sim", "I was told.") == (found.steps[-1].reply.model, found.text)


async def test_sound_of_a_tool_stands_beside_its_result_on_bedrock() -> None:
    """Converse has no sound in a result, but in the message that holds it."""

    def listen() -> Audio:
        """Listens."""
        return Audio(data=b"RIFF", media_type="audio/wav")

    async with Simulator() as sim, Client(sim.config(), environ={}) as client:
        sim.script(ToolUse("listen", {}), "I heard it.")
        found = await client.run("Go", tools=[listen], provider="bedrock", model="amazon.nova-sim", fallback=[])
        blocks = sim.requests[-1].body["messages"][-1]["content"]
    assert "I heard it." == found.text
    assert ["toolResult", "text", "audio"] == [next(iter(block)) for block in blocks]
